//! Every route that is called with POST, and good requests of each.

use serde_json::{Value, json};

use crate::service::Service;

/// One route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub(super) path: &'static str,
    samples: fn() -> Vec<Sample>,
}

/// One good request.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// What stands after the path.
    pub(super) query: &'static str,
    /// Whole lines.
    pub(super) headers: &'static str,
    pub(super) body: Option<Value>,
}

pub(super) const CHATS: [Route; 2] = [
    Route { path: "/v1/chat/completions", samples: chats },
    Route { path: "/compatible-mode/v1/chat/completions", samples: chats },
];
pub(super) const GENERATIONS: [Route; 2] = [
    Route { path: "/api/v1/services/aigc/text-generation/generation", samples: generations },
    Route { path: "/api/v1/services/aigc/multimodal-generation/generation", samples: multimodal },
];
pub(super) const COMPLETIONS: [Route; 2] = [
    Route { path: "/v1/completions", samples: completions },
    Route { path: "/compatible-mode/v1/completions", samples: completions },
];
pub(super) const EMBEDDINGS: [Route; 3] = [
    Route { path: "/v1/embeddings", samples: embeddings },
    Route { path: "/compatible-mode/v1/embeddings", samples: embeddings },
    Route { path: "/api/v1/services/embeddings/text-embedding/text-embedding", samples: native_embeddings },
];
pub(super) const RERANKS: [Route; 6] = [
    Route { path: "/v1/rerank", samples: reranks },
    Route { path: "/v1/reranks", samples: reranks },
    Route { path: "/compatible-mode/v1/rerank", samples: reranks },
    Route { path: "/compatible-mode/v1/reranks", samples: reranks },
    Route { path: "/compatible-api/v1/reranks", samples: reranks },
    Route { path: "/api/v1/services/rerank/text-rerank/text-rerank", samples: native_reranks },
];
pub(super) const TOKENIZER: [Route; 1] = [Route { path: "/api/v1/tokenizer", samples: tokenizer }];
pub(super) const TOKENS: Route = Route { path: "/api/v1/tokens", samples: tokens };

impl Route {
    pub(super) fn samples(&self) -> Vec<Sample> {
        (self.samples)()
    }

    pub(super) fn is_native(&self) -> bool {
        self.path.starts_with("/api/v1/")
    }

    /// The head of a request of this sample; `more` are whole lines.
    pub(super) fn head(&self, service: &Service, sample: &Sample, body: impl AsRef<[u8]>, more: &str) -> String {
        let path = format!("{}{}", self.path, sample.query);
        let head = service.head("POST", &path, Some(body.as_ref().len()));
        head.replacen("Host", &format!("{}{more}Host", sample.headers), 1)
    }
}

fn plain(fields: Value) -> Sample {
    let mut body = json!({"model": "qwen-scripted"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Sample { query: "", headers: "", body: Some(body) }
}

fn messages() -> Value {
    json!([
        {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "你好 🙂"},
        {"role": "assistant", "content": null, "reasoning_content": "r", "tool_calls": [
            {"id": "1", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "content": "4", "tool_call_id": "1"},
        {"role": "assistant", "content": "pre", "partial": true},
    ])
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object",
        "properties": {"a": {"type": "string", "enum": ["x", "y"]}, "b": {"$ref": "#/$defs/n"}},
        "required": ["a"], "$defs": {"n": {"type": "integer", "minimum": 0}}}}})
}

fn schema() -> Value {
    json!({"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": {"type": "object",
        "properties": {"a": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"const": 1}]}, "maxItems": 3}},
        "required": ["a"], "additionalProperties": false}}})
}

/// Fields that chats have in both dialects.
fn sampling() -> Value {
    json!({"temperature": 0.7, "top_p": 0.8, "top_k": 20, "n": 2, "seed": 1234, "stop": ["a", "b"], "max_tokens": 100,
        "presence_penalty": 1.5, "repetition_penalty": 1.1, "logprobs": true, "top_logprobs": 2})
}

fn chats() -> Vec<Sample> {
    let user = json!([{"role": "user", "content": "hi, as json"}]);
    let chat = |fields: Value| {
        let mut sample = plain(json!({"messages": user}));
        let body = sample.body.as_mut().unwrap().as_object_mut().unwrap();
        body.extend(fields.as_object().unwrap().clone());
        sample
    };
    let mut all = sampling();
    all.as_object_mut().unwrap().extend(
        json!({"stream": true, "stream_options": {"include_usage": true}, "min_p": 0.1, "frequency_penalty": -1,
            "max_completion_tokens": 50, "logit_bias": {"5": 1.5}})
        .as_object()
        .unwrap()
        .clone(),
    );
    vec![
        chat(json!({})),
        chat(all),
        chat(json!({"stop": [[1, 2], [3]], "stream": true})),
        chat(json!({"messages": messages()})),
        chat(json!({"tools": [tool("f"), tool("g")], "tool_choice": {"type": "function", "function": {"name": "g"}},
            "parallel_tool_calls": true})),
        chat(json!({"response_format": {"type": "json_object"}, "enable_thinking": false, "enable_search": false,
            "search_options": {"forced_search": false}, "user": "u", "metadata": {"a": [1, null, true]}})),
        chat(json!({"response_format": schema(), "modalities": ["text"], "store": false, "service_tier": "auto"})),
    ]
}

fn native(input: Value, parameters: Value, headers: &'static str) -> Sample {
    Sample { headers, ..plain(json!({"input": input, "parameters": parameters})) }
}

const SSE: &str = "X-DashScope-SSE: enable\r\n";

fn generations() -> Vec<Sample> {
    let user = || json!({"messages": [{"role": "user", "content": "hi, as json"}]});
    vec![
        native(user(), json!({}), ""),
        native(user(), sampling(), SSE),
        native(json!({"messages": messages()}), json!({"result_format": "message", "incremental_output": true}), SSE),
        native(
            json!({"prompt": "hi", "history": [{"user": "a", "bot": "b"}]}),
            json!({"stop": [1, 2], "enable_thinking": false, "enable_search": false}),
            "",
        ),
        native(
            user(),
            json!({"result_format": "message", "tools": [tool("f")], "tool_choice": "auto",
                "parallel_tool_calls": false}),
            "Accept: text/event-stream\r\n",
        ),
        native(user(), json!({"result_format": "message", "response_format": schema()}), ""),
    ]
}

fn multimodal() -> Vec<Sample> {
    let parts = json!([{"role": "system", "content": [{"text": "s"}]},
        {"role": "user", "content": [{"text": "a"}, {"text": "b", "cache_control": {"type": "ephemeral"}}]}]);
    vec![
        native(json!({"messages": parts}), json!({}), ""),
        native(json!({"messages": parts}), json!({"incremental_output": true, "seed": 3, "max_tokens": 9}), SSE),
        native(
            json!({"messages": [{"role": "user", "content": "a"}]}),
            json!({"vl_enable_image_hw_output": false}),
            "",
        ),
    ]
}

fn completions() -> Vec<Sample> {
    vec![
        plain(json!({"prompt": "def f("})),
        plain(json!({"prompt": ["a"], "suffix": "b", "n": 2, "logprobs": 1, "echo": false, "best_of": 2,
            "stop": "\n", "max_tokens": 9})),
        plain(json!({"prompt": [1, 2, 3], "stream": true, "stream_options": {"include_usage": true}, "seed": 7,
            "temperature": 0, "top_p": 1, "presence_penalty": 0.5, "user": "u"})),
    ]
}

fn embeddings() -> Vec<Sample> {
    vec![
        plain(json!({"input": "a b"})),
        plain(json!({"input": ["a b", "c"], "dimensions": 4, "encoding_format": "base64", "user": "u"})),
        plain(json!({"input": [[1, 2], [3]], "encoding_format": "float"})),
    ]
}

fn native_embeddings() -> Vec<Sample> {
    vec![
        native(json!({"texts": ["a b", "c"]}), json!({"dimension": 4, "text_type": "query"}), ""),
        native(json!({"texts": ["a"]}), json!({"output_type": "dense", "text_type": "document", "instruct": "i"}), ""),
    ]
}

fn reranks() -> Vec<Sample> {
    vec![plain(json!({"query": "red fox", "documents": ["a cat", "a red fox", "red"], "top_n": 2,
        "return_documents": true, "instruct": "i"}))]
}

fn native_reranks() -> Vec<Sample> {
    let input = || json!({"query": "red fox", "documents": ["a cat", "a red fox"]});
    vec![
        native(input(), json!({"top_n": 1, "return_documents": true}), ""),
        native(input(), json!({"instruct": "i"}), ""),
    ]
}

fn tokenizer() -> Vec<Sample> {
    vec![
        native(json!({"prompt": "a b c"}), json!({}), ""),
        native(json!({"messages": messages()}), json!({}), ""),
        native(json!({"messages": [{"role": "user", "content": "a"}]}), json!({"tools": [tool("f")]}), ""),
    ]
}

fn tokens() -> Vec<Sample> {
    ["", "?expire_in_seconds=1800"].map(|query| Sample { query, headers: "", body: None }).to_vec()
}
