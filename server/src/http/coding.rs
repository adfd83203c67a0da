//! What a body is before it is JSON: content codings, byte-order marks, character sets.

use axum::{
    body::Bytes,
    http::{HeaderMap, header},
};
use qwenda_types::error::ApiError;

use async_compression::{
    tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder},
    zstd::DParameter,
};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::extract::{bad_body, too_large};

// One coding is what callers use; a few more are in the standard; many are an attack.
const CODINGS_MAX: usize = 3;
// The standard's bound of what a decoder must remember: 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const STEP_BYTES: usize = 64 << 10;

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn decoder<'a>(self, bytes: &'a [u8]) -> Box<dyn AsyncRead + Send + Unpin + 'a> {
        match self {
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(bytes);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            // The standard means zlib; some callers send what is inside of it.
            Self::Deflate if is_zlib(bytes) => Box::new(ZlibDecoder::new(bytes)),
            Self::Deflate => Box::new(DeflateDecoder::new(bytes)),
            Self::Brotli => Box::new(BrotliDecoder::new(bytes)),
            Self::Zstd => {
                let window = [DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX)];
                let mut decoder = ZstdDecoder::with_params(bytes, &window);
                decoder.multiple_members(true);
                Box::new(decoder)
            }
        }
    }
}

fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [a, b, ..] if a & 0x0f == 8 && (u16::from(*a) << 8 | u16::from(*b)) % 31 == 0)
}

/// The codings of a body, in the order they were applied.
pub(super) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, ApiError> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name.eq_ignore_ascii_case("identity") {
                continue;
            }
            let shown: String = name.chars().take(40).collect();
            let Some(coding) = Coding::named(name) else {
                return Err(bad_body(&format!(
                    "the Content-Encoding '{shown}' is not read; send gzip, deflate, br, zstd or identity"
                )));
            };
            if codings.len() == CODINGS_MAX {
                return Err(bad_body(&format!("more than {CODINGS_MAX} content codings")));
            }
            codings.push(coding);
        }
    }
    Ok(codings)
}

/// Undoes the codings. What would become larger than `bytes_max` is refused without being made.
pub(super) async fn decode(mut bytes: Bytes, codings: &[Coding], bytes_max: usize) -> Result<Bytes, ApiError> {
    for coding in codings.iter().rev() {
        bytes = decode_one(&bytes, *coding, bytes_max).await?.into();
    }
    Ok(bytes)
}

async fn decode_one(bytes: &[u8], coding: Coding, bytes_max: usize) -> Result<Vec<u8>, ApiError> {
    let mut decoder = coding.decoder(bytes);
    let mut out = Vec::new();
    loop {
        // All input is at hand, so nothing else would let other tasks have their turn.
        tokio::task::consume_budget().await;
        out.reserve(STEP_BYTES);
        match decoder.read_buf(&mut out).await {
            Ok(0) => return Ok(out),
            Ok(_) if out.len() > bytes_max => return Err(too_large(bytes_max, None)),
            Ok(_) => {}
            Err(error) => {
                return Err(
                    bad_body(&format!("it is not whole {}, as Content-Encoding says", coding.name())).log(error)
                );
            }
        }
    }
}

/// The text of a body: UTF-8, perhaps after a byte-order mark.
pub(super) fn text(body: &[u8]) -> Result<&str, ApiError> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    if body.is_empty() {
        return Err(bad_body("it is empty"));
    }
    // JSON begins with two ASCII characters, so a zero among them is a wider encoding's.
    if matches!(body, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, ..] | [_, 0, ..]) {
        return Err(bad_body("it is UTF-16 or UTF-32; send UTF-8"));
    }
    std::str::from_utf8(body).map_err(|error| bad_body(&format!("it is not UTF-8 at byte {}", error.valid_up_to())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_read_in_any_spelling_and_unknown_ones_are_named() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, axum::http::HeaderValue::from_static(value));
            }
            codings(&headers).map_err(|error| error.message())
        };
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&["identity", ""]), Ok(vec![]));
        assert_eq!(read(&["GZip"]), Ok(vec![Coding::Gzip]));
        assert_eq!(read(&["deflate, br", "zstd"]), Ok(vec![Coding::Deflate, Coding::Brotli, Coding::Zstd]));
        assert!(read(&["snappy"]).unwrap_err().contains("'snappy'"));
        assert!(read(&["gzip,gzip,gzip,gzip"]).unwrap_err().contains("more than 3"));
    }

    #[test]
    fn texts_in_wider_encodings_are_named() {
        assert_eq!(text("\u{feff}{}".as_bytes()).unwrap(), "{}");
        assert_eq!(text("{\"你\":1}".as_bytes()).unwrap(), "{\"你\":1}");
        let utf16 = |text: &str, mark: bool, big: bool| -> Vec<u8> {
            let marked = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
            marked.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for (mark, big) in [(false, false), (false, true), (true, false), (true, true)] {
            let error = text(&utf16("{\"a\":1}", mark, big)).unwrap_err().message();
            assert!(error.contains("UTF-16"), "{error}");
        }
        assert!(text(b"").unwrap_err().message().contains("empty"));
        assert!(text("\u{feff}".as_bytes()).unwrap_err().message().contains("empty"));
        assert!(text(b"{\"a\": \xff}").unwrap_err().message().contains("byte 6"));
    }
}
