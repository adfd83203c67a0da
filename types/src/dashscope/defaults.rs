//! What a native request means when it does not say: that depends on the model's name.

use super::{Endpoint, ResultFormat};

/// The defaults of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// Where the answer stands.
    pub result_format: ResultFormat,
    /// Whether a frame has only what is new.
    pub incremental_output: bool,
    /// Whether `incremental_output: false` is refused.
    pub incremental_only: bool,
}

/// The defaults of the model of this name. Owners before a `/` and upper case do not matter.
pub fn defaults(model: &str, endpoint: Endpoint) -> Defaults {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let open = is_open_qwen3(&name);
    let recent = open || is_after_qwen3(&name) || begins(&["qwen3-max", "qwen3-vl", "qwq"]);
    let message = (recent && name != "qwen3-next-80b-a3b-instruct") || begins(&["qwen-long"]);
    Defaults {
        result_format: if message || endpoint == Endpoint::Multimodal {
            ResultFormat::Message
        } else {
            ResultFormat::Text
        },
        incremental_output: recent || begins(&["qvq"]),
        incremental_only: open || begins(&["qwq"]),
    }
}

/// `qwen3-0.6b`, `qwen3-next-80b-a3b-thinking`, `qwen3-coder-30b-a3b-instruct`: a size in the name.
fn is_open_qwen3(name: &str) -> bool {
    let Some(mut rest) = name.strip_prefix("qwen3-") else { return false };
    for family in ["next-", "coder-"] {
        rest = rest.strip_prefix(family).unwrap_or(rest);
    }
    let size = rest.split('-').next().unwrap_or_default();
    size.strip_suffix('b').is_some_and(|number| number.parse::<f32>().is_ok())
}

/// `qwen3.5-plus`, `qwen3.8-max`: families that reason unless told not to.
fn is_after_qwen3(name: &str) -> bool {
    name.strip_prefix("qwen3.").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}
