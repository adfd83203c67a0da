//! What a server says, as models read it.

use std::collections::HashSet;

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

/// What services take as the name of a function.
const NAME_CHARS_MAX: usize = 64;
/// What later versions of the protocol may have.
const OTHER: &str = "[something that is no text]";

/// The result of a call as a text of at most so many bytes.
pub(super) fn of(result: &CallToolResult, bytes_max: usize) -> String {
    let parts: Vec<String> = result.content.iter().map(part).collect();
    let text = match &result.structured_content {
        // Servers that have both are to repeat the one in the other.
        Some(value) if parts.iter().all(|part| part.trim().is_empty()) => value.to_string(),
        _ => parts.join("\n"),
    };
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}\n[{} bytes more were left out]", &text[..end], text.len() - end)
}

fn part(part: &ContentBlock) -> String {
    match part {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => left_out(&image.mime_type, &image.data),
        ContentBlock::Audio(audio) => left_out(&audio.mime_type, &audio.data),
        ContentBlock::Resource(resource) => match &resource.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => format!("{uri}:\n{text}"),
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                format!("{uri}: {}", left_out(mime_type.as_deref().unwrap_or("application/octet-stream"), blob))
            }
            _ => OTHER.to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("[{}]({})", link.name, link.uri),
        _ => OTHER.to_owned(),
    }
}

/// Base64 is of no use to a model, and is paid for.
fn left_out(mime_type: &str, base64: &str) -> String {
    format!("[{mime_type}, about {} bytes]", base64.len() / 4 * 3)
}

/// Names that services take, each once.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// The name with nothing but letters, digits, `_` and `-`.
    pub(super) fn plain(&mut self, name: &str) -> String {
        let name = plain(name);
        let mut unique = name.clone();
        for number in 2.. {
            if self.0.insert(unique.clone()) {
                break;
            }
            let end = format!("_{number}");
            unique = format!("{}{end}", &name[..name.len().min(NAME_CHARS_MAX - end.len())]);
        }
        unique
    }
}

pub(super) fn plain(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' });
    let plain: String = plain.take(NAME_CHARS_MAX).collect();
    if plain.is_empty() { "tool".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ones_that_services_take_and_each_comes_once() {
        let mut names = Names::default();
        let long = "x".repeat(100);
        let got: Vec<String> =
            ["read", "a.b/c", "a_b/c", "read", "", "读", &long, &long].map(|name| names.plain(name)).into();
        let cut = "x".repeat(64);
        let second = format!("{}_2", &cut[..62]);
        assert_eq!(got, ["read", "a_b_c", "a_b_c_2", "read_2", "tool", "_", cut.as_str(), second.as_str()]);
    }

    #[test]
    fn a_result_is_read_as_text_however_it_comes_and_never_longer_than_it_may_be() {
        let mut result = CallToolResult::success(vec![
            ContentBlock::text("one"),
            ContentBlock::image("AAAAAAAA", "image/png"),
            ContentBlock::text("三"),
        ]);
        assert_eq!(of(&result, 1_000), "one\n[image/png, about 6 bytes]\n三");
        assert_eq!(of(&result, 33), "one\n[image/png, about 6 bytes]\n\n[3 bytes more were left out]");
        result.content.clear();
        result.structured_content = Some(serde_json::json!({"a": 1}));
        assert_eq!(of(&result, 1_000), r#"{"a":1}"#);
    }
}
