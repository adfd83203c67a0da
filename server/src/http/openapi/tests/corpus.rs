//! The requests of the corpus and the answers of the snapshots against the schemas of the document.

use qwenda_types::{
    Dialect,
    chat::{ChatRequest, Limits},
    completions::CompletionRequest,
    dashscope::{Endpoint, chat_from_map, embeddings, rerank, tokenizer::TokenizerRequest},
    embeddings::EmbeddingRequest,
    error::Invalid,
    rerank::RerankRequest,
};

use super::{super::operation::event_of, *};

const LIMITS: Limits = Limits { output_tokens_max: 32_768 };
const MULTIMODAL: &str = "/api/v1/services/aigc/multimodal-generation/generation";
const TEXT: &str = "/api/v1/services/aigc/text-generation/generation";

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.retain(|path| path.extension().is_some_and(|ends| ends == "txt"));
    files.sort();
    files
}

/// Whether the types take a request, and if not why.
type Verdict = Result<(), String>;

fn verdict<T>(read: Result<T, Invalid>, check: impl FnOnce(&T) -> Result<(), Invalid>) -> Verdict {
    read.and_then(|request| check(&request)).map_err(|error| error.message)
}

/// Where a request of the corpus goes, and what the types say of it on a server of this strictness.
fn judged(kind: &str, title: &str, map: Map<String, Value>, strictness: Strictness) -> (&'static str, Verdict) {
    let native = title.contains("native");
    let strictness = if native && strictness == Strictness::Auto { Strictness::Qwen } else { strictness };
    match (kind, native) {
        ("completions", _) => (
            "/v1/completions",
            verdict(CompletionRequest::from_map(map), |request| {
                request.validate(strictness).and_then(|()| request.validate_limits(LIMITS))
            }),
        ),
        ("embeddings", false) => (
            "/v1/embeddings",
            verdict(EmbeddingRequest::from_map(map), |request| request.validate(Dialect::Compat, strictness)),
        ),
        ("embeddings", true) => (
            "/api/v1/services/embeddings/text-embedding/text-embedding",
            verdict(embeddings::from_map(map), |request| request.validate(Dialect::Native, strictness)),
        ),
        ("rerank", false) => ("/v1/reranks", verdict(RerankRequest::from_map(map), RerankRequest::validate)),
        ("rerank", true) => {
            ("/api/v1/services/rerank/text-rerank/text-rerank", verdict(rerank::from_map(map), RerankRequest::validate))
        }
        ("tokenizer", _) => ("/api/v1/tokenizer", verdict(TokenizerRequest::from_map(map), |_| Ok(()))),
        (_, false) => (
            "/v1/chat/completions",
            verdict(ChatRequest::from_map(map), |request| {
                request.validate(strictness).and_then(|()| request.validate_limits(LIMITS))
            }),
        ),
        (_, true) => {
            let (endpoint, path) = match title.contains("multimodal") {
                true => (Endpoint::Multimodal, MULTIMODAL),
                false => (Endpoint::Text, TEXT),
            };
            let read = chat_from_map(map, endpoint).map(|(request, _)| request);
            (
                path,
                verdict(read, |request| {
                    request.validate_as(Dialect::Native, strictness).and_then(|()| request.validate_limits(LIMITS))
                }),
            )
        }
    }
}

/// Rules about several fields, about names, or about the model's bounds, which no schema says.
const NOT_SAID: [&str; 25] = [
    "they belong into",
    "Only one of the parameters",
    "Either \"prompt\" or",
    "must contain the word 'json'",
    "The last message must have the role",
    "do not contain elements with the role of user",
    "partial can only be set",
    "partial is not supported",
    "must be a response to a preceeding message",
    "must be followed by tool messages",
    "Range of n should be [1, 1]",
    "tool_choice can only be set when tools are set",
    "tool_choice names",
    "tool_choice should be",
    "Tool names are not allowed",
    "Json mode response is not supported",
    "reasoning_effort and thinking_budget",
    "reasoning_effort cannot be",
    "top_logprobs can only be set",
    "suffix",
    "Range of max_tokens should be [1, 32768]",
    "Range of max_completion_tokens should be [1, 32768]",
    "best_of should be equal",
    "batch size is invalid",
    "dimension",
];

/// The schema of the body that this address takes.
fn taken<'a>(document: &'a Value, path: &str) -> &'a Value {
    &document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
}

#[test]
fn the_schemas_take_the_requests_that_the_types_take_and_no_others() {
    let documents = STRICTNESSES.map(|strictness| (strictness, document(strictness, Language::En)));
    let (mut counts, mut wrong) = ([0; 2], String::new());
    for file in files(&folder("../types/tests/corpus")) {
        let text = fs::read_to_string(&file).unwrap().replace("\r\n", "\n");
        let kind = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let sections = text.split("\n=== ").filter(|section| section.starts_with("request "));
        for (section, (strictness, document)) in sections.flat_map(|one| documents.iter().map(move |two| (one, two))) {
            let (title, body) = section.split_once('\n').unwrap();
            let body: Value = serde_json::from_str(body).unwrap();
            let (path, verdict) = judged(kind, title, body.as_object().unwrap().clone(), *strictness);
            let complaints = schema::complaints(document, taken(document, path), &body);
            let name = format!("{} {title} {strictness:?}", file.display());
            match verdict {
                Err(why) => {
                    counts[1] += 1;
                    if complaints.is_empty() && NOT_SAID.iter().all(|rule| !why.contains(rule)) {
                        wrong += &format!("{name}: refused with {why:?}, but of its schema\n");
                    }
                }
                Ok(()) => {
                    counts[0] += 1;
                    if !complaints.is_empty() {
                        wrong += &format!("{name}: {complaints}");
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(counts[0] > 360 && counts[1] > 180, "{counts:?}");
}

#[test]
fn at_every_bound_the_schemas_and_the_types_agree() {
    let said = json!([{"role": "user", "content": "json"}]);
    let chat = json!({"model": "m", "messages": said});
    let native = json!({"model": "m", "input": {"messages": said}, "parameters": {}});
    let completion = json!({"model": "m", "prompt": "a"});
    let mut probes: Vec<Value> = vec![
        json!({"top_logprobs": 5, "logprobs": true}),
        json!({"top_logprobs": 6, "logprobs": true}),
        json!({"top_logprobs": 21, "logprobs": true}),
        json!({"tools": [{"function": {"name": "f"}}], "tool_choice": "required"}),
        json!({"tools": [{"function": {"name": "f"}}], "tool_choice": "any"}),
        json!({"tools": [{"function": {"name": "f"}}], "tool_choice": {"function": {"name": "f"}}}),
        json!({"tools": [{"function": {"name": "a b"}}]}),
        json!({"stop": vec!["a"; 64]}),
        json!({"stop": vec!["a"; 65]}),
        json!({"stop": [""]}),
        json!({"stop": [[]]}),
        json!({"logit_bias": {"1": 100}}),
        json!({"logit_bias": {"1": 100.5}}),
        json!({"logit_bias": {"x": 1}}),
    ];
    for field in [
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "n",
        "seed",
        "max_tokens",
        "max_completion_tokens",
        "thinking_budget",
        "logprobs",
    ] {
        let values =
            ["null", "-3", "-2", "-1", "-0.5", "0", "0.5", "1", "1.0", "1.5", "2", "2.5", "4", "5", "6", "true"];
        let values =
            values.iter().chain(&["2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "\"1\""]);
        for value in values {
            let value: Value = serde_json::from_str(value).unwrap();
            // What the model bounds is not said as a number.
            if !(field.contains("tokens") || field.contains("budget")) || value.as_f64().is_none_or(|count| count < 1e4)
            {
                probes.push(json!({field: value}));
            }
        }
    }
    let mut wrong = String::new();
    let documents = STRICTNESSES.map(|strictness| (strictness, document(strictness, Language::En)));
    for ((strictness, document), probe) in documents.iter().flat_map(|one| probes.iter().map(move |probe| (one, probe)))
    {
        for (kind, title, base) in
            [("chat", "compat", &chat), ("chat", "native", &native), ("completions", "compat", &completion)]
        {
            let mut body = base.clone();
            let fields = if title == "native" { &mut body["parameters"] } else { &mut body };
            fields.as_object_mut().unwrap().extend(probe.as_object().unwrap().clone());
            let (path, verdict) = judged(kind, title, body.as_object().unwrap().clone(), *strictness);
            let complaints = schema::complaints(document, taken(document, path), &body);
            if verdict.is_ok() != complaints.is_empty() {
                wrong += &format!("{path} {strictness:?} {probe}: {verdict:?}, but {complaints:?}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The address whose answer a snapshot is.
fn address(name: &str) -> (&'static str, &'static str) {
    let begins = |word: &str| name.starts_with(word);
    match name {
        _ if begins("native_models") => ("get", "/api/v1/models"),
        _ if begins("native_embeddings") => ("post", "/api/v1/services/embeddings/text-embedding/text-embedding"),
        _ if begins("native_rerank") => ("post", "/api/v1/services/rerank/text-rerank/text-rerank"),
        _ if begins("native_tokenizer") => ("post", "/api/v1/tokenizer"),
        _ if name.contains("multimodal") => ("post", MULTIMODAL),
        _ if begins("native_") => ("post", TEXT),
        _ if begins("completion") => ("post", "/v1/completions"),
        _ if begins("embeddings") => ("post", "/v1/embeddings"),
        _ if begins("rerank") => ("post", "/v1/reranks"),
        _ if begins("models") => ("get", "/v1/models"),
        _ => ("post", "/v1/chat/completions"),
    }
}

/// Lets every object have the members it names only, so that one that nobody described is found.
fn close(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(close),
        Value::Object(map) => {
            map.values_mut().for_each(close);
            if map.get("properties").is_some_and(Value::is_object) && map.contains_key("type") {
                map.entry("additionalProperties").or_insert(false.into());
            }
        }
        _ => {}
    }
}

#[test]
fn every_member_of_every_answer_is_described() {
    let mut document = document(Strictness::Auto, Language::En);
    close(&mut document["components"]["schemas"]);
    let mut bodies = 0;
    for file in files(&folder("tests/it/snapshots")) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap().replace("\r\n", "\n").replace("<id>", "0");
        let (head, body) = text.split_once("\n\n").unwrap();
        let (method, path) = address(name);
        let responses = &document["paths"][path][method]["responses"];
        let status = head.lines().next().unwrap().strip_prefix("HTTP ").unwrap();
        let content = responses[status]["content"].as_object().unwrap();
        let (_, kind) = head.split_once("content-type: ").unwrap();
        let kind = kind.lines().next().unwrap();
        let described = content.get(kind).unwrap_or_else(|| panic!("{name}: {kind}"));
        let (wanted, values): (_, Vec<&str>) = match event_of(&described["schema"]) {
            Some(event) => (event, body.lines().filter_map(|line| line.strip_prefix("data:")).collect()),
            None => (&described["schema"], vec![body]),
        };
        for value in values.into_iter().filter(|value| value.trim() != "[DONE]") {
            let complaints = schema::complaints(&document, wanted, &serde_json::from_str(value).unwrap());
            assert!(complaints.is_empty(), "{name}: {complaints}{value}");
            bodies += 1;
        }
    }
    assert!(bodies > 80, "{bodies}");
}
