//! Everything but chats: completions, embeddings, rerank, the tokenizer, errors.

use qwenda_types::{
    Dialect,
    chat::{Limits, Strictness},
    completions::{CompletionRequest, CompletionResponse},
    dashscope::{
        embeddings::{self, NativeEmbeddings},
        rerank::{self, NativeRanking},
        tokenizer::{TokenizerRequest, TokenizerResponse},
    },
    embeddings::{EmbeddingRequest, EmbeddingResponse},
    error::{ApiError, Invalid},
    rerank::{RerankRequest, RerankResponse},
    sse,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{REQUEST_ID, name, object, refusal, written::Written};
use crate::{
    cases::{Case, Section},
    reader::events,
};

fn section(case: &Case, is_request: bool, dialect: Dialect) -> Option<&Section> {
    case.sections.iter().find(|section| section.is_request == is_request && section.dialect == dialect)
}

fn given(case: &Case, is_request: bool, dialect: Dialect) -> Option<Value> {
    section(case, is_request, dialect).map(|section| object(&section.text, &case.name).into())
}

fn read<T: DeserializeOwned>(case: &Case, text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}: {text}", case.name))
}

/// Whether a request is accepted, and by whose rules; the request if it could be read.
fn checked<T>(
    out: &mut Written,
    dialect: Dialect,
    request: Result<T, Invalid>,
    check: impl Fn(&T, Strictness) -> Result<(), Invalid>,
) -> Option<T> {
    out.title(&format!("request {}", name(dialect)));
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            out.line("refused", &refusal(error, dialect));
            return None;
        }
    };
    let said = |strictness| {
        check(&request, strictness).map_or_else(|error| refusal(error, dialect), |()| "accepted".to_owned())
    };
    let qwen = said(Strictness::Qwen);
    out.line("checked", &qwen);
    for (rules, strictness) in [("auto", Strictness::Auto), ("openai", Strictness::OpenAi)] {
        let other = said(strictness);
        if other != qwen {
            out.line(&format!("checked by {rules}"), &other);
        }
    }
    Some(request)
}

pub(super) fn completions(case: &Case) -> String {
    let mut out = Written::default();
    let asked = given(case, true, Dialect::Compat);
    if let Some(section) = section(case, true, Dialect::Compat) {
        let request = CompletionRequest::from_map(object(&section.text, &case.name));
        let limits = Limits { output_tokens_max: 32_768 };
        let check = |request: &CompletionRequest, strictness| {
            request.validate(strictness).and_then(|()| request.validate_limits(limits))
        };
        if let Some(request) = checked(&mut out, Dialect::Compat, request, check) {
            out.value("compat", &request, &[("as written", asked.as_ref())]);
            out.line("choices", &request.choices().to_string());
            if request.is_infill() {
                out.line("infill", "yes");
            }
        }
    }
    if let Some(answer) = section(case, false, Dialect::Compat) {
        out.title("answer compat");
        if answer.is_stream() {
            let stream = answer.stream();
            let again: String = events([stream.as_bytes()])
                .iter()
                .map(|event| match event.data.as_str() {
                    sse::DONE => sse::data(sse::DONE),
                    data => sse::data(&json(&read::<CompletionResponse>(case, data))),
                })
                .collect();
            out.stream("compat", &again, &[("as written", Some(stream))]);
        } else {
            let response: CompletionResponse = read(case, &answer.text);
            out.value("compat", &response, &[("as written", given(case, false, Dialect::Compat).as_ref())]);
        }
    }
    out.finish()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it is plain JSON")
}

pub(super) fn embeddings(case: &Case) -> String {
    let mut out = Written::default();
    let asked = [Dialect::Compat, Dialect::Native].map(|dialect| given(case, true, dialect));
    let mut last = EmbeddingRequest::default();
    for dialect in [Dialect::Compat, Dialect::Native] {
        let Some(section) = section(case, true, dialect) else { continue };
        let map = object(&section.text, &case.name);
        let request = match dialect {
            Dialect::Compat => EmbeddingRequest::from_map(map),
            Dialect::Native => embeddings::from_map(map),
        };
        let check = |request: &EmbeddingRequest, strictness| request.validate(dialect, strictness);
        let Some(request) = checked(&mut out, dialect, request, check) else { continue };
        let own = |of| if of == dialect { "as written" } else { "as given" };
        out.value("compat", &request, &[(own(Dialect::Compat), asked[0].as_ref())]);
        match embeddings::to_map(&request) {
            Ok(map) => out.value("native", &map, &[(own(Dialect::Native), asked[1].as_ref())]),
            Err(error) => out.line("native", &refusal(error, Dialect::Native)),
        }
        last = request;
    }
    let answers = [Dialect::Compat, Dialect::Native].map(|dialect| given(case, false, dialect));
    if let Some(section) = section(case, false, Dialect::Compat) {
        out.title("answer compat");
        let response: EmbeddingResponse = read(case, &section.text);
        out.value("compat", &response, &[("as written", answers[0].as_ref())]);
        match NativeEmbeddings::from_compat(response) {
            Some(native) => out.value("native", &native, &[("as given", answers[1].as_ref())]),
            None => out.line("native", "no vectors"),
        }
    }
    if let Some(section) = section(case, false, Dialect::Native) {
        out.title("answer native");
        let response: NativeEmbeddings = read(case, &section.text);
        out.value("native", &response, &[("as written", answers[1].as_ref())]);
        let compat = response.into_compat(&last.model, last.encoding_format);
        out.value("compat", &compat, &[("as given", answers[0].as_ref())]);
    }
    out.finish()
}

pub(super) fn rerank(case: &Case) -> String {
    let mut out = Written::default();
    let asked = [Dialect::Compat, Dialect::Native].map(|dialect| given(case, true, dialect));
    let mut model = String::new();
    for dialect in [Dialect::Compat, Dialect::Native] {
        let Some(section) = section(case, true, dialect) else { continue };
        let map = object(&section.text, &case.name);
        let request = match dialect {
            Dialect::Compat => RerankRequest::from_map(map),
            Dialect::Native => rerank::from_map(map),
        };
        let Some(request) = checked(&mut out, dialect, request, |request, _| request.validate()) else { continue };
        let own = |of| if of == dialect { "as written" } else { "as given" };
        out.value("flat", &request, &[(own(Dialect::Compat), asked[0].as_ref())]);
        out.value("native", &rerank::to_map(&request), &[(own(Dialect::Native), asked[1].as_ref())]);
        model = request.model;
    }
    let answers = [Dialect::Compat, Dialect::Native].map(|dialect| given(case, false, dialect));
    if let Some(section) = section(case, false, Dialect::Compat) {
        out.title("answer flat");
        let response: RerankResponse = read(case, &section.text);
        out.value("flat", &response, &[("as written", answers[0].as_ref())]);
        out.value("native", &NativeRanking::from(response), &[("as given", answers[1].as_ref())]);
    }
    if let Some(section) = section(case, false, Dialect::Native) {
        out.title("answer native");
        let response: NativeRanking = read(case, &section.text);
        out.value("native", &response, &[("as written", answers[1].as_ref())]);
        out.value("flat", &response.into_flat(&model), &[("as given", answers[0].as_ref())]);
    }
    out.finish()
}

pub(super) fn tokenizer(case: &Case) -> String {
    let mut out = Written::default();
    if let Some(section) = section(case, true, Dialect::Native) {
        let request = TokenizerRequest::from_map(object(&section.text, &case.name));
        if let Some(request) = checked(&mut out, Dialect::Native, request, |_, _| Ok(())) {
            out.line("model", request.model());
            match &request {
                TokenizerRequest::Prompt { text, .. } => out.value("prompt", text, &[]),
                TokenizerRequest::Chat(chat) => out.value("chat", chat, &[]),
            }
        }
    }
    if let Some(section) = section(case, false, Dialect::Native) {
        out.title("answer native");
        let response: TokenizerResponse = read(case, &section.text);
        out.value("native", &response, &[("as written", given(case, false, Dialect::Native).as_ref())]);
    }
    out.finish()
}

/// Answers that are errors, of this service's kind or of others', handed on in either dialect.
pub(super) fn errors(case: &Case) -> String {
    let mut out = Written::default();
    for answer in case.answers() {
        let status = answer.more.iter().find_map(|word| word.parse().ok()).unwrap_or(400);
        out.title(&format!("answer {} {status}", name(answer.dialect)));
        let error = ApiError::read(status, answer.text.trim().as_bytes());
        let retry = if error.is_retryable() { ", may be tried again" } else { "" };
        out.line("code", &format!("{:?}{retry}", error.code()));
        for dialect in [Dialect::Compat, Dialect::Native] {
            let body: Map<String, Value> = read(case, &error.body_in(dialect, REQUEST_ID));
            let written = serde_json::from_str(&answer.text).ok().filter(|_| answer.dialect == dialect);
            let which = format!("{}, {}", name(dialect), error.status_in(dialect));
            out.value(&which, &body, &[("as written", written.as_ref())]);
        }
    }
    out.finish()
}
