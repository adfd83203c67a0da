//! What must hold for any bytes; run by the fuzzer and, under a seeded mutator, by ordinary tests.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    Dialect,
    chat::{ChatChunk, ChatRequest, ChatResponse, Limits, Strictness},
    completions::CompletionRequest,
    dashscope::{
        ChunksToFrames, Endpoint, Form, FramesToChunks, NativeResponse, ResultFormat, chat_from_map, chat_to_map,
        embeddings::{self, NativeEmbeddings},
        rerank::{self, NativeRanking},
        tokenizer::TokenizerRequest,
    },
    embeddings::{EmbeddingRequest, EmbeddingResponse, EncodingFormat, Vector},
    error::ApiError,
    rerank::{RerankRequest, RerankResponse},
    sse::{Decoder, Event},
};

const STRICTNESSES: [Strictness; 3] = [Strictness::Auto, Strictness::Qwen, Strictness::OpenAi];
const ENDPOINTS: [Endpoint; 2] = [Endpoint::Text, Endpoint::Multimodal];
const LIMITS: Limits = Limits { output_tokens_max: 1000 };
/// Longest event of a stream of [`stream`].
const EVENT_BYTES_MAX: usize = 1 << 16;

fn map(data: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(data).ok()
}

/// What is written can be read: no member stands in it twice, no number is none.
fn written<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_string(value).expect("it is plain JSON");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A native request for a chat, or for tokens: refused, or the same after writing and reading it again,
/// in either dialect.
///
/// # Panics
/// If one of that does not hold.
pub fn native_request(data: &[u8]) {
    let Some(map) = map(data) else { return };
    let _ = TokenizerRequest::from_map(map.clone());
    for endpoint in ENDPOINTS {
        let Ok((request, options)) = chat_from_map(map.clone(), endpoint) else { continue };
        for strictness in STRICTNESSES {
            let _ = request.validate_as(Dialect::Native, strictness);
        }
        let _ = request.validate_limits(LIMITS);
        for thinking in [false, true] {
            let _ = options.form(&request, endpoint, thinking);
        }
        let native = written(&chat_to_map(&request, &options, endpoint));
        let again = chat_from_map(native.clone(), endpoint).unwrap_or_else(|error| panic!("{error}: {native:?}"));
        assert_eq!(again, (request.clone(), options), "{native:?}");
        assert_eq!(written::<ChatRequest>(&request), request, "in the other dialect");
    }
}

/// Requests of the other endpoints: refused, or the same after writing and reading them again.
///
/// # Panics
/// If one of that does not hold.
pub fn other_requests(data: &[u8]) {
    let Some(map) = map(data) else { return };
    if let Ok(request) = CompletionRequest::from_map(map.clone()) {
        STRICTNESSES.iter().for_each(|strictness| drop(request.validate(*strictness)));
        let _ = (request.validate_limits(LIMITS), request.choices(), request.is_infill());
        assert_eq!(CompletionRequest::from_map(fields(&request)), Ok(request));
    }
    if let Ok(request) = EmbeddingRequest::from_map(map.clone()) {
        let _ = request.validate(Dialect::Compat, Strictness::Qwen);
        assert_eq!(EmbeddingRequest::from_map(fields(&request)).as_ref(), Ok(&request));
        if let Ok(native) = embeddings::to_map(&request) {
            embeddings::from_map(written(&native)).expect("what was written can be read");
        }
    }
    if let Ok(request) = embeddings::from_map(map.clone()) {
        let _ = request.validate(Dialect::Native, Strictness::Qwen);
        let native = embeddings::to_map(&request).expect("it has texts only");
        assert_eq!(embeddings::from_map(written(&native)), Ok(request));
    }
    for request in [RerankRequest::from_map(map.clone()), rerank::from_map(map)].into_iter().flatten() {
        let _ = (request.validate(), RerankResponse::new(Vec::new(), request.model.as_str(), 0, ""));
        assert_eq!(RerankRequest::from_map(fields(&request)).as_ref(), Ok(&request));
        assert_eq!(rerank::from_map(written(&rerank::to_map(&request))), Ok(request));
    }
}

fn fields(request: &impl Serialize) -> Map<String, Value> {
    let text = serde_json::to_string(request).expect("it is plain JSON");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A stream of either dialect: the same events wherever it is cut, and what they say can be written in
/// the other dialect, in frames of what is new and of everything so far.
///
/// # Panics
/// If one of that does not hold.
pub fn stream(data: &[u8]) {
    let whole = events(&[data]);
    let (a, b) = (data.len() / 3, data.len() / 2);
    assert_eq!(whole, events(&[&data[..a], &data[a..b], &data[b..]]), "cut at {a} and {b}");
    let Ok(events) = whole else { return };
    for incremental in [true, false] {
        for (endpoint, result_format) in [
            (Endpoint::Text, ResultFormat::Text),
            (Endpoint::Text, ResultFormat::Message),
            (Endpoint::Multimodal, ResultFormat::Message),
        ] {
            let mut frames = ChunksToFrames::new(Form { endpoint, result_format, incremental }, 2);
            for chunk in said::<ChatChunk>(&events) {
                frames.push(chunk).iter().for_each(|frame| drop(written(frame)));
            }
            written(&frames.done());
        }
        let mut chunks = FramesToChunks::new(incremental, 1, "m");
        for frame in said::<NativeResponse>(&events) {
            chunks.push(frame).iter().for_each(|chunk| drop(written(chunk)));
        }
        written(&chunks.done());
    }
}

fn events(pieces: &[&[u8]]) -> Result<Vec<Event>, crate::sse::TooLong> {
    let mut decoder = Decoder::new(EVENT_BYTES_MAX);
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(decoder.push(piece)?);
    }
    events.extend(decoder.finish());
    Ok(events)
}

fn said<T: DeserializeOwned>(events: &[Event]) -> impl Iterator<Item = T> {
    events.iter().filter_map(|event| serde_json::from_str(&event.data).ok())
}

/// A whole answer of either dialect, of any endpoint: it can be written in the other one.
///
/// # Panics
/// If it cannot.
pub fn answer(data: &[u8]) {
    let forms = ENDPOINTS.into_iter().flat_map(|endpoint| {
        [ResultFormat::Text, ResultFormat::Message].map(|result_format| Form {
            endpoint,
            result_format,
            incremental: false,
        })
    });
    for form in forms {
        if let Ok(answer) = serde_json::from_slice::<ChatResponse>(data) {
            written(&written(&NativeResponse::from_chat(answer, form)).into_chat(1, "m"));
        }
        if let Ok(answer) = serde_json::from_slice::<NativeResponse>(data) {
            written(&NativeResponse::from_chat(written(&answer.into_chat(1, "m")), form));
        }
    }
    if let Ok(answer) = serde_json::from_slice::<EmbeddingResponse>(data) {
        NativeEmbeddings::from_compat(answer).iter().for_each(|native| drop(written(native)));
    }
    if let Ok(answer) = serde_json::from_slice::<NativeEmbeddings>(data) {
        written(&answer.into_compat("m", EncodingFormat::Base64));
    }
    if let Ok(answer) = serde_json::from_slice::<RerankResponse>(data) {
        written(&NativeRanking::from(answer));
    }
    if let Ok(answer) = serde_json::from_slice::<NativeRanking>(data) {
        written(&answer.into_flat("m"));
    }
}

/// The body of an error of any service: it is read, whatever it is, and what is handed on reads as the
/// same error.
///
/// # Panics
/// If it is not.
pub fn error(data: &[u8]) {
    for status in [200, 400, 401, 404, 418, 429, 500, 503] {
        let read = ApiError::read(status, data);
        for dialect in [Dialect::Compat, Dialect::Native] {
            let again =
                |error: &ApiError| ApiError::read(error.status_in(dialect), error.body_in(dialect, "r").as_bytes());
            // Words of a page that is no JSON may say, once they are a message, what they did not say before.
            let error = again(&read);
            let (again, body) = (again(&error), error.body_in(dialect, "r"));
            assert_eq!(again.name_in(dialect), error.name_in(dialect), "{status} {dialect:?}: {body}");
            assert_eq!(again.status_in(dialect), error.status_in(dialect), "{status} {dialect:?}: {body}");
        }
    }
}

/// A vector as base64: none, or the same numbers after writing them again.
///
/// # Panics
/// If they are others.
pub fn vector(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let Some(numbers) = Vector::Base64(text).numbers() else { return };
    let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    let again = Vector::new(numbers.clone(), EncodingFormat::Base64).numbers().expect("it was written so");
    assert_eq!(bits(&again), bits(&numbers));
}
