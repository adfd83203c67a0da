//! Requests that a seeded mutator has been at: whatever comes, no 5xx, no panic, and the next good
//! request is answered.

use qwenda_testkit::{Script, mutate::mutant};
use serde_json::{Value, json};

use crate::service::{CHAT, Service, request};

const SEED: u64 = 20_261_123;
const ROUNDS: u64 = 250;

fn samples() -> Vec<Vec<u8>> {
    [
        json!({}),
        json!({"stream": true, "stream_options": {"include_usage": true}, "temperature": 0.7, "top_p": 0.8,
            "top_k": 20, "min_p": 0.1, "n": 2, "seed": 1234, "stop": ["a", "b"], "max_tokens": 100}),
        json!({"stop": [[1, 2], [3]], "logit_bias": {"5": 1.5}, "logprobs": true, "top_logprobs": 2,
            "presence_penalty": 1.5, "frequency_penalty": -1, "repetition_penalty": 1.1}),
        json!({"messages": [
            {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": "你好 🙂"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "content": "4", "tool_call_id": "1"},
            {"role": "assistant", "content": "pre", "partial": true}]}),
        json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto",
            "response_format": {"type": "json_object"}, "enable_thinking": false, "enable_search": false,
            "user": "u", "metadata": {"a": [1, null, true]}}),
    ]
    .map(|fields| request(fields).to_string().into_bytes())
    .to_vec()
}

#[tokio::test]
async fn no_body_is_a_5xx_and_the_next_good_request_is_answered() {
    let service = Service::start().await;
    let samples = samples();
    let others: Vec<&[u8]> = samples.iter().map(Vec::as_slice).collect();
    let good = request(json!({})).to_string();
    let mut connection = service.connect().await;
    let (mut accepted, mut refused) = (0, 0);
    for (index, sample) in samples.iter().enumerate() {
        for round in 0..ROUNDS {
            let body = mutant(SEED + index as u64, round, sample, &others);
            let script = || Script::text(3, &["a", "b"]);
            service.backend.answer(script());
            connection.write(service.head("POST", CHAT, Some(body.len())).as_bytes()).await;
            connection.write(&body).await;
            let reply = connection.reply().await;
            let shown = || format!("sample {index} round {round}: {reply:?}");
            assert!(reply.status == 200 || (400..500).contains(&reply.status), "{}", shown());
            if reply.status == 200 {
                accepted += 1;
            } else {
                refused += 1;
                let body: Value = reply.json();
                assert!(body["error"]["message"].is_string(), "{}", shown());
                assert_eq!(body["request_id"], reply.request_id(), "{}", shown());
            }
            if round % 50 == 0 {
                service.backend.answer(script());
                connection.write(service.head("POST", CHAT, Some(good.len())).as_bytes()).await;
                connection.write(good.as_bytes()).await;
                assert_eq!(connection.reply().await.status, 200, "{}", shown());
            }
        }
    }
    assert!(accepted > 20 && refused > 20, "{accepted} accepted, {refused} refused: the mutator is blunt");
}
