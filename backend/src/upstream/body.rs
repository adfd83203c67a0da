//! Requests as the upstream gets them: as the caller sent them, with the upstream's name of the model.

use qwenda_types::{
    chat::{ChatRequest, StreamOptions},
    completions::CompletionRequest,
    embeddings::EmbeddingRequest,
    rerank::RerankRequest,
};
use serde::Serialize;

/// A chat is always asked for as a stream with its usage: it is read as it comes, and counted.
pub(super) fn chat(mut request: ChatRequest, model: &str) -> Vec<u8> {
    model.clone_into(&mut request.model);
    request.stream = true;
    request.stream_options = with_usage(request.stream_options);
    json(&request)
}

/// As a chat.
pub(super) fn completion(mut request: CompletionRequest, model: &str) -> Vec<u8> {
    model.clone_into(&mut request.model);
    request.stream = true;
    request.stream_options = with_usage(request.stream_options);
    json(&request)
}

pub(super) fn embedding(mut request: EmbeddingRequest, model: &str) -> Vec<u8> {
    model.clone_into(&mut request.model);
    json(&request)
}

/// Every document's score is asked for: the best are chosen, and the documents repeated, here.
pub(super) fn rerank(mut request: RerankRequest, model: &str) -> Vec<u8> {
    model.clone_into(&mut request.model);
    request.top_n = None;
    request.return_documents = false;
    json(&request)
}

fn with_usage(options: Option<StreamOptions>) -> Option<StreamOptions> {
    Some(StreamOptions { include_usage: true, ..options.unwrap_or_default() })
}

fn json(request: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(request).expect("requests are always JSON")
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn sent(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    fn fields(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_chat_keeps_every_field_but_its_model_and_how_it_is_sent() {
        let url = "data:image/png;base64,iVBORw0KGgo+/==";
        let asked = json!({
            "model": "ours", "seed": 7, "temperature": 0.25, "enable_thinking": true, "thinking_budget": 50,
            "enable_search": true, "search_options": {"forced_search": true}, "made_up": [1, {"a": null}],
            "stream_options": {"include_usage": false, "made_up": 1}, "max_tokens": 5, "n": 2, "stop": ["x"],
            "messages": [
                {"role": "system", "content": "s", "cache_control": {"type": "ephemeral"}},
                {"role": "user", "name": "me", "content": [
                    {"type": "image_url", "image_url": {"url": url, "detail": "high"}, "min_pixels": 3136},
                    {"type": "text", "text": "what is it?"}]},
                {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1.0}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "[]"}],
            "tools": [{"type": "function", "function": {"name": "f", "strict": true,
                "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false,
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        });
        let request = ChatRequest::from_map(fields(asked.clone())).unwrap();
        let mut want = asked;
        want["model"] = "theirs".into();
        want["stream"] = true.into();
        want["stream_options"]["include_usage"] = true.into();
        assert_eq!(sent(&chat(request, "theirs")), want);
    }

    #[test]
    fn the_other_requests_keep_theirs() {
        let asked = json!({"model": "m", "prompt": ["a", "b"], "suffix": "c", "echo": true, "made_up": 1});
        let request = CompletionRequest::from_map(fields(asked.clone())).unwrap();
        let body = sent(&completion(request, "m"));
        for (field, value) in asked.as_object().unwrap() {
            assert_eq!(body[field], *value, "{field}");
        }
        assert_eq!((&body["stream"], &body["stream_options"]["include_usage"]), (&json!(true), &json!(true)));

        let asked = json!({"model": "m", "input": ["a"], "dimensions": 8, "encoding_format": "base64", "made_up": 1});
        let request = EmbeddingRequest::from_map(fields(asked.clone())).unwrap();
        let mut want = asked;
        want["input"] = "a".into();
        assert_eq!(sent(&embedding(request, "m")), want);

        let asked = json!({"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 1, "return_documents": true,
            "instruct": "i"});
        let request = RerankRequest::from_map(fields(asked)).unwrap();
        let want = json!({"model": "t", "query": "q", "documents": ["a", "b"], "instruct": "i"});
        assert_eq!(sent(&rerank(request, "t")), want);
    }
}
