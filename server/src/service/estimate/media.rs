//! How many tokens the images, videos and sounds of a request may come to behind an upstream, which alone reads them.
//!
//! Alibaba's cloud takes one token for 784 pixels (28 × 28) or for 1,024 (32 × 32), by model, and two around each
//! image; how large a picture may stay is said beside it (`max_pixels`, `total_pixels`) or is the model's default. The
//! most of all families is taken here.

use qwenda_types::chat::{ChatRequest, Content, Part};
use serde_json::Value;

/// The fewest pixels that a token stands for.
const PIXELS_OF_TOKEN: u64 = 784;
/// Most pixels of an image where nothing is said, and where it says that it may have more.
const IMAGE_PIXELS: u64 = 2_621_440;
const IMAGE_PIXELS_MAX: u64 = 12_845_056;
/// To so many pixels every picture is blown up, however few it is said to have.
const PIXELS_MIN: u64 = 65_536;
/// Most pixels of all frames of a video where nothing is said.
const VIDEO_PIXELS: u64 = 134_217_728;
/// Tokens around an image, or a frame of a video.
const AROUND: u64 = 2;
/// Sounds: no contract says how long one behind a URL may be; this is an hour at 25 tokens a second.
const AUDIO_TOKENS: u64 = 90_000;

/// What other than text is in a request: bytes that are no text of it, and tokens at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Media {
    pub(super) bytes: u64,
    pub(super) tokens: u64,
}

pub(super) fn of(request: &ChatRequest) -> Media {
    let sharp = request.rest.get("vl_high_resolution_images") == Some(&Value::Bool(true));
    let parts = request.messages.iter().filter_map(|message| match &message.content {
        Some(Content::Parts(parts)) => Some(parts),
        _ => None,
    });
    parts.flatten().fold(Media::default(), |sum, part| {
        let tokens = tokens(part, sharp);
        let bytes = if tokens == 0 { 0 } else { part.rest.values().map(data_bytes).sum() };
        Media { bytes: sum.bytes.saturating_add(bytes), tokens: sum.tokens.saturating_add(tokens) }
    })
}

fn tokens(part: &Part, sharp: bool) -> u64 {
    let said = |name: &str| part.rest.get(name).and_then(Value::as_u64);
    let of_pixels = |pixels: u64| pixels.div_ceil(PIXELS_OF_TOKEN);
    match part.kind.as_str() {
        "image_url" | "image" => {
            let usual = if sharp { IMAGE_PIXELS_MAX } else { IMAGE_PIXELS };
            let pixels = said("max_pixels").filter(|_| !sharp).unwrap_or(usual).clamp(PIXELS_MIN, IMAGE_PIXELS_MAX);
            of_pixels(pixels).saturating_add(AROUND)
        }
        "video_url" | "video" => {
            let frames = part.rest.get("video").and_then(Value::as_array).map_or(0, Vec::len) as u64;
            let least = PIXELS_MIN.saturating_mul(frames.max(1));
            let tokens = of_pixels(said("total_pixels").unwrap_or(VIDEO_PIXELS).max(least));
            tokens.saturating_add(frames.saturating_mul(AROUND)).saturating_add(AROUND)
        }
        "input_audio" | "audio" => AUDIO_TOKENS,
        _ => 0,
    }
}

/// Bytes of the pictures and sounds that are themselves in the request, which are no text to a model.
fn data_bytes(value: &Value) -> u64 {
    match value {
        Value::String(text) if text.starts_with("data:") => text.len() as u64,
        Value::Array(values) => values.iter().map(data_bytes).sum(),
        Value::Object(fields) => fields.values().map(data_bytes).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_parts(parts: Value, sharp: bool) -> Media {
        let request = json!({
            "model": "m",
            "messages": [{"role": "user", "content": parts}],
            "vl_high_resolution_images": sharp,
        });
        of(&serde_json::from_value(request).expect("it is a request"))
    }

    #[test]
    fn pictures_are_at_most_what_the_contract_says_of_their_pixels() {
        let image = json!({"type": "image_url", "image_url": {"url": "https://x/a.png"}});
        for (part, sharp, tokens) in [
            (json!({"type": "text", "text": "data:image/png;base64,AAAA"}), false, 0),
            (image.clone(), false, 3_346),
            (image, true, 16_386),
            (json!({"type": "image_url", "max_pixels": 78_400, "image_url": {"url": "x"}}), false, 102),
            // A caller must not make the hold small by saying so.
            (json!({"type": "image_url", "max_pixels": 1, "image_url": {"url": "x"}}), false, 86),
            (json!({"type": "image_url", "max_pixels": u64::MAX, "image_url": {"url": "x"}}), false, 16_386),
            (json!({"type": "video", "video": ["a", "b"], "total_pixels": 784}), false, 174),
            (json!({"type": "video_url", "video_url": {"url": "x"}}), false, 171_199),
            (json!({"type": "input_audio", "input_audio": {"data": "x"}}), false, 90_000),
        ] {
            assert_eq!(of_parts(json!([part.clone()]), sharp).tokens, tokens, "{part}");
        }
    }

    #[test]
    fn a_picture_in_the_request_counts_by_its_pixels_and_not_by_its_bytes() {
        let url = format!("data:image/png;base64,{}", "A".repeat(1_000));
        let image = json!({"type": "image_url", "image_url": {"url": url}});
        let two = of_parts(json!([image.clone(), image, {"type": "text", "text": "Which is larger?"}]), false);
        assert_eq!(two, Media { bytes: 2 * 1_022, tokens: 2 * 3_346 });
    }
}
