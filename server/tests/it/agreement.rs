//! One question in every way it can be asked: whole and streamed, in both dialects, in increments and
//! cumulative. Text, calls, log-probabilities, ends and usage are the same.

use std::{collections::BTreeMap, sync::Arc};

use qwenda_backend::local::{Local, LocalModel, LocalOptions};
use qwenda_testkit::{Scripted, TinyModel};
use serde_json::{Map, Value, json};

use crate::{
    native::TEXT,
    service::{CHAT, Reply, Service},
};

const SSE: &str = "X-DashScope-SSE: enable\r\n";

/// What a caller has in the end of one choice.
#[derive(Debug, Clone, Default, PartialEq)]
struct Had {
    content: String,
    reasoning: String,
    /// Name and arguments, by index.
    calls: BTreeMap<u64, (String, String)>,
    tokens: Vec<Value>,
    finish_reason: String,
}

impl Had {
    /// Takes a choice that shows what is new.
    fn add(&mut self, choice: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let message = choice.get("delta").unwrap_or(&choice["message"]);
        self.content += &text(&message["content"]);
        self.reasoning += &text(&message["reasoning_content"]);
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let had = self.calls.entry(call["index"].as_u64().unwrap()).or_default();
            had.0 += &text(&call["function"]["name"]);
            had.1 += &text(&call["function"]["arguments"]);
        }
        self.tokens.extend(choice["logprobs"]["content"].as_array().into_iter().flatten().cloned());
        let reason = text(&choice["finish_reason"]);
        if !reason.is_empty() && reason != "null" {
            assert_eq!(std::mem::replace(&mut self.finish_reason, reason), "", "two ends");
        }
    }
}

/// All choices, and the tokens of the prompt and of the answer.
type All = (BTreeMap<u64, Had>, u64, u64);

fn events(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let events = reply.events().into_iter().filter(|event| event != "[DONE]");
    events.map(|event| serde_json::from_str(&event).unwrap()).collect()
}

fn sum(pieces: &[Value], cumulative: bool) -> BTreeMap<u64, Had> {
    let mut all: BTreeMap<u64, Had> = BTreeMap::new();
    for choice in pieces.iter().flat_map(|piece| piece["choices"].as_array().unwrap()) {
        let had = all.entry(choice["index"].as_u64().unwrap_or(0)).or_default();
        if cumulative {
            *had = Had::default();
        }
        had.add(choice);
    }
    all
}

fn compat(pieces: &[Value]) -> All {
    let usage = &pieces.last().unwrap()["usage"];
    (sum(pieces, false), usage["prompt_tokens"].as_u64().unwrap(), usage["completion_tokens"].as_u64().unwrap())
}

fn native(frames: &[Value], cumulative: bool) -> All {
    let outputs: Vec<Value> = frames.iter().map(|frame| frame["output"].clone()).collect();
    let prompt = frames.last().unwrap()["usage"]["input_tokens"].as_u64().unwrap();
    // A frame counts its own choice.
    let mut counts = BTreeMap::new();
    for frame in frames {
        counts
            .insert(frame["output"]["choices"][0]["index"].as_u64(), frame["usage"]["output_tokens"].as_u64().unwrap());
    }
    (sum(&outputs, cumulative), prompt, counts.values().sum())
}

async fn every_way(service: &Service, messages: &Value, fields: &Value) -> [All; 5] {
    let ask = |more: Value| {
        let mut body = json!({"model": "tiny", "messages": messages});
        for fields in [fields, &more] {
            body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        }
        service.post(CHAT, body.to_string())
    };
    let whole = ask(json!({})).await.json();
    let streamed = events(&ask(json!({"stream": true, "stream_options": {"include_usage": true}})).await);
    let ask = |headers: &'static str, more: Value| {
        let mut parameters: Map<String, Value> = fields.as_object().unwrap().clone();
        parameters.extend(more.as_object().unwrap().clone());
        parameters.insert("result_format".to_owned(), json!("message"));
        let body = json!({"model": "tiny", "input": {"messages": messages}, "parameters": parameters});
        async move { service.native(TEXT, headers, &body).await }
    };
    let plain = ask("", json!({})).await.json();
    let increments = events(&ask(SSE, json!({"incremental_output": true})).await);
    let cumulative = events(&ask(SSE, json!({"incremental_output": false})).await);
    [
        compat(&[whole]),
        compat(&streamed),
        native(&[plain], false),
        native(&increments, false),
        native(&cumulative, true),
    ]
}

#[tokio::test]
async fn every_way_of_asking_gives_the_same_answer_and_the_same_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    TinyModel { context: 1024, ..TinyModel::qwen2() }.write(&path).unwrap();
    let models = vec![LocalModel { name: "tiny".to_owned(), path }];
    let local = Local::open(models, LocalOptions::default()).unwrap();
    let service = Service::answering(Arc::new(local), Scripted::new(&[]), |_| {}).await;

    let user = json!([{"role": "user", "content": "你好 the answer as json"}]);
    let begun = json!([user[0], {"role": "assistant", "content": "the ", "partial": true}]);
    let tool = json!([{"type": "function", "function": {"name": "f", "description": "d", "parameters": {
        "type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]}}}]);
    let forced = json!({"type": "function", "function": {"name": "f"}});
    let schema = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "array",
        "items": {"type": "boolean"}, "maxItems": 3}}});
    for (messages, mut fields) in [
        (&user, json!({})),
        (&user, json!({"n": 3, "temperature": 1.9})),
        (&user, json!({"n": 2, "logprobs": true, "top_logprobs": 2})),
        (&user, json!({"stop": ["e", "a", "1"], "logprobs": true})),
        (&user, json!({"stop": [[40], [41, 42]]})),
        (&begun, json!({"logprobs": true})),
        (&user, json!({"tools": tool, "temperature": 1.9})),
        (&user, json!({"tools": tool, "tool_choice": forced, "logprobs": true})),
        (&user, json!({"tools": tool, "tool_choice": forced, "max_tokens": 9})),
        (&user, json!({"response_format": schema, "logprobs": true, "n": 2})),
        (&user, json!({"max_tokens": 1})),
    ] {
        if fields.get("max_tokens").is_none() {
            fields["max_tokens"] = json!(60);
        }
        let ways = every_way(&service, messages, &fields).await;
        assert!(ways[0].0.values().all(|had| !had.finish_reason.is_empty()), "{fields}: {:?}", ways[0]);
        for way in &ways[1..] {
            assert_eq!(*way, ways[0], "{fields}");
        }
    }
}
