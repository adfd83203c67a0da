//! Which form of the answer may be asked for.

use super::super::{ChatRequest, Content, ResponseFormat};
use super::tools::{is_name, shown};
use crate::error::Invalid;

impl ChatRequest {
    pub(super) fn validate_format(&self) -> Result<(), Invalid> {
        match &self.response_format {
            None | Some(ResponseFormat::Text) => return Ok(()),
            // A model that is not told of JSON writes blanks without end.
            Some(ResponseFormat::JsonObject) if !self.says_json() => {
                let message = "'messages' must contain the word 'json' in some form, to use 'response_format' of \
                               type 'json_object'.";
                return Err(Invalid::parameter("messages", message));
            }
            Some(ResponseFormat::JsonObject) => {}
            Some(ResponseFormat::JsonSchema { json_schema }) => {
                if !is_name(&json_schema.name) {
                    let at = "response_format.json_schema.name";
                    let message = format!(
                        "the name of a schema is 1 to 64 letters, digits, _ or -, not '{}' - '{at}'",
                        shown(&json_schema.name)
                    );
                    return Err(Invalid::parameter(at, message));
                }
            }
        }
        if self.enable_thinking == Some(true) {
            let message = "Json mode response is not supported when enable_thinking is true";
            return Err(Invalid::parameter("response_format", message));
        }
        Ok(())
    }

    fn says_json(&self) -> bool {
        let texts = self.messages.iter().filter_map(|message| message.content.as_ref());
        texts.flat_map(texts_of).any(|text| text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json")))
    }
}

fn texts_of(content: &Content) -> Vec<&str> {
    match content {
        Content::Text(text) => vec![text],
        Content::Parts(parts) => parts.iter().filter_map(|part| part.text.as_deref()).collect(),
    }
}
