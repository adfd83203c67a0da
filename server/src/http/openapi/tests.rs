use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::http::table;

mod corpus;
mod schema;

const STRICTNESSES: [Strictness; 3] = [Strictness::Auto, Strictness::Qwen, Strictness::OpenAi];
const LANGUAGES: [Language; 2] = [Language::En, Language::Zh];

/// Every value of the document, with the names that lead to it.
fn walk(value: &Value, at: &str, see: &mut impl FnMut(&str, &Value)) {
    see(at, value);
    match value {
        Value::Array(list) => list.iter().enumerate().for_each(|(i, one)| walk(one, &format!("{at}/{i}"), see)),
        Value::Object(map) => map.iter().for_each(|(name, one)| walk(one, &format!("{at}/{name}"), see)),
        _ => {}
    }
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, item)| (format!("{} {path}", method.to_uppercase()), item))
    })
}

#[test]
fn the_document_has_every_route_and_no_other() {
    // The router is made of this table and of nothing else.
    let routes: BTreeSet<String> =
        table().iter().map(|route| format!("{} {}", route.method, route.path.replace("{*", "{"))).collect();
    assert!(routes.len() > 20, "{routes:?}");
    let document = document(Strictness::Auto, Language::En);
    let described: BTreeSet<String> = operations(&document).map(|(route, _)| route).collect();
    assert_eq!(described, routes);
}

#[test]
fn what_can_be_picked_up_again_is_described_so() {
    let kept: BTreeSet<String> = table().iter().filter(|route| route.kept).map(|route| route.path.clone()).collect();
    let document = document(Strictness::Auto, Language::En);
    let described = operations(&document).filter(|(_, item)| item["parameters"].to_string().contains("IdempotencyKey"));
    let described: BTreeSet<String> = described.map(|(route, _)| route.replace("POST ", "")).collect();
    assert_eq!(described, kept);
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    for (strictness, language) in STRICTNESSES.into_iter().flat_map(|one| LANGUAGES.map(|language| (one, language))) {
        let document = document(strictness, language);
        let mut used = BTreeSet::new();
        walk(&document, "", &mut |at, value| {
            if let Some(target) = value.get("$ref").and_then(Value::as_str) {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{at}: {target}");
                used.insert(pointer.to_owned());
            }
            assert!(!at.ends_with(parts::WITH) && !at.ends_with(parts::STRICTNESS), "{at} was left");
        });
        for kind in ["schemas", "parameters", "headers"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let unused = !used.contains(&format!("/components/{kind}/{name}"));
                // These hold under one strictness only.
                assert!(!unused || name == "NativeToolChoice", "{kind} {name} is not used");
            }
        }
    }
}

#[test]
fn every_schema_is_one_and_every_example_is_of_its_schema() {
    let document = document(Strictness::Qwen, Language::En);
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        schema::is_schema(&document, &document["components"]["schemas"][name]);
    }
    let mut examples = 0;
    for (route, item) in operations(&document) {
        let body = &item["requestBody"]["content"]["application/json"];
        for (name, example) in body["examples"].as_object().into_iter().flatten() {
            let complaints = schema::complaints(&document, &body["schema"], &example["value"]);
            assert!(complaints.is_empty(), "{route} {name}: {complaints}");
            examples += 1;
        }
        assert!(body.is_null() || body["examples"].is_object(), "{route} has no example");
    }
    assert!(examples > 20);
}

#[test]
fn every_text_is_in_the_language_that_was_asked_for() {
    let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    for language in LANGUAGES {
        let mut texts = 0;
        walk(&document(Strictness::Auto, language), "", &mut |at, value| {
            let (parent, name) = at.rsplit_once('/').unwrap_or_default();
            let is_text = matches!(name, "description" | "summary")
                && !parent.ends_with("/properties")
                && !parent.contains("/value");
            if !is_text {
                return;
            }
            let text = value.as_str().unwrap_or_else(|| panic!("{at} is {value}"));
            assert_eq!(is_chinese(text), language == Language::Zh, "{at}: {text}");
            texts += 1;
        });
        assert!(texts > 200, "{texts}");
    }
}

#[test]
fn ids_of_operations_are_of_one_operation_each() {
    let document = document(Strictness::Auto, Language::En);
    let mut seen = BTreeMap::new();
    for (route, item) in operations(&document) {
        let before = seen.insert(item["operationId"].as_str().unwrap().to_owned(), route.clone());
        assert!(before.is_none(), "{route} and {before:?}");
    }
}

#[test]
fn the_document_says_what_this_strictness_takes() {
    let of = |strictness| document(strictness, Language::En)["components"]["schemas"].clone();
    let (auto, qwen, openai) = (of(Strictness::Auto), of(Strictness::Qwen), of(Strictness::OpenAi));
    let temperature = |schemas: &Value| schemas["ChatRequest"]["properties"]["temperature"].clone();
    assert_eq!(temperature(&qwen)["exclusiveMaximum"], 2);
    assert_eq!(temperature(&openai)["maximum"], 2);
    assert!(temperature(&openai).get("exclusiveMaximum").is_none());
    let words = |schemas: &Value| schemas["ToolChoice"]["anyOf"][0]["enum"].to_string().contains("required");
    assert_eq!((words(&auto), words(&qwen), words(&openai)), (true, false, true));
}

#[test]
fn bounds_are_those_that_the_types_check() {
    use qwenda_types::{chat, completions, embeddings, rerank};
    let schemas = document(Strictness::Qwen, Language::En)["components"]["schemas"].clone();
    for (pointer, want) in [
        ("/ChatRequest/properties/n/maximum", u64::from(chat::N_MAX)),
        ("/ChatRequest/properties/seed/maximum", chat::SEED_MAX),
        ("/ChatRequest/properties/seed/default", chat::SEED_DEFAULT),
        ("/GenerationParameters/properties/seed/maximum", chat::SEED_MAX_WIDE),
        ("/ChatRequest/properties/stop/anyOf/2/maxItems", chat::STOP_COUNT_MAX as u64),
        ("/ChatRequest/properties/stop/anyOf/1/maxLength", chat::STOP_BYTES_MAX as u64),
        ("/ChatRequest/properties/logit_bias/maxProperties", chat::LOGIT_BIAS_MAX as u64),
        ("/ChatRequest/properties/tools/maxItems", chat::TOOLS_MAX as u64),
        ("/ChatRequest/properties/top_logprobs/maximum", chat::TOP_LOGPROBS_MAX.into()),
        ("/CompletionRequest/properties/prompt/anyOf/1/maxItems", completions::PROMPTS_MAX as u64),
        ("/CompletionRequest/properties/logprobs/anyOf/0/maximum", completions::LOGPROBS_MAX.into()),
        ("/EmbeddingRequest/properties/input/anyOf/1/maxItems", embeddings::ROWS_MAX as u64),
        ("/Dimensions/maximum", embeddings::DIMENSIONS_MAX.into()),
        ("/RerankRequest/properties/documents/maxItems", rerank::DOCUMENTS_MAX as u64),
    ] {
        assert_eq!(schemas.pointer(pointer).and_then(Value::as_u64), Some(want), "{pointer}");
    }
    let wide = document(Strictness::OpenAi, Language::En)["components"]["schemas"]["ChatRequest"]["properties"].clone();
    assert_eq!(wide["seed"]["maximum"], chat::SEED_MAX_WIDE);
    assert_eq!(wide["top_logprobs"]["maximum"], chat::TOP_LOGPROBS_MAX_OPENAI);
}
