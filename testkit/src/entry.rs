//! Entry points for fuzzing that cross crates. `gguf` and `tokenizer` have their own; all four are
//! called by the targets in `fuzz/` and, under the seeded mutator, by ordinary tests.

use std::sync::LazyLock;

use qwenda_backend::local::template::{ChatTemplate, message_values};
use qwenda_gguf::Gguf;
use qwenda_types::chat::{ChatRequest, Strictness};
use serde_json::{Map, Value};

use crate::TinyModel;

/// What stands between a template and its messages in the input of [`template`].
pub const SEPARATOR: &str = "\n----\n";

/// A rendering of the conversations below must stay within this; its budget of steps sees to it.
const RENDERED_BYTES_MAX: usize = 64 << 20;

/// A request's JSON: refused, or the same after writing and reading it again, and renderable
/// without a panic by every template the tests know.
///
/// # Panics
/// If one of that does not hold.
pub fn request(data: &[u8]) {
    let Ok(request) = serde_json::from_slice::<ChatRequest>(data) else { return };
    let written = serde_json::to_vec(&request).expect("a request is plain JSON");
    let again: ChatRequest = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("a request is plain JSON"), written, "written twice it is the same");
    if request.validate(Strictness::OpenAi).is_err() {
        return;
    }
    let messages = message_values(&request.messages);
    for template in TEMPLATES.iter() {
        let tools: Vec<_> = request.tools.iter().filter_map(|tool| serde_json::to_value(tool).ok()).collect();
        render(template, &messages, Some(&tools));
    }
}

/// A template and, after [`SEPARATOR`], messages as JSON: an error or a text of bounded length.
///
/// # Panics
/// If it is neither.
pub fn template(data: &[u8]) {
    let data = String::from_utf8_lossy(data);
    let (source, messages) = data.split_once(SEPARATOR).unwrap_or((&data, SAMPLE_MESSAGES));
    let Ok(template) = ChatTemplate::new(source, "<|endoftext|>", "<|im_end|>") else { return };
    let messages = serde_json::from_str(messages).or_else(|_| serde_json::from_str(SAMPLE_MESSAGES));
    let messages: Vec<Value> = messages.expect("the sample is a list");
    render(&template, &messages, None);
    render(&template, &messages, Some(&messages));
}

fn render(template: &ChatTemplate, messages: &[Value], tools: Option<&[Value]>) {
    let extra = Map::from_iter([("enable_thinking".to_owned(), Value::Bool(false))]);
    if let Ok(text) = template.render(messages, tools, true, &extra) {
        assert!(text.len() < RENDERED_BYTES_MAX, "{} bytes were rendered", text.len());
    }
}

const SAMPLE_MESSAGES: &str = r#"[{"role": "user", "content": "hello"}]"#;

/// The templates of the tiny models.
static TEMPLATES: LazyLock<Vec<ChatTemplate>> = LazyLock::new(|| {
    let template = |model: TinyModel| {
        let file = Gguf::from_bytes(model.bytes()).expect("a tiny model is a model file");
        let source = file.str("tokenizer.chat_template").expect("a tiny model has a template");
        ChatTemplate::new(source, "<|endoftext|>", "<|im_end|>").expect("the tiny model's template is one")
    };
    vec![template(TinyModel::qwen2()), template(TinyModel::qwen3())]
});
