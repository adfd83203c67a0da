//! Calls and reasoning in the OpenAI-compatible dialect.

use qwenda_backend::{Abilities, ChatEvent, Counts, ModelCard, Thinking, Timings};
use qwenda_testkit::{Act, Script, Scripted};
use qwenda_types::chat::FinishReason;
use serde_json::{Value, json};

use crate::service::{Service, snapshot};

pub(crate) fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "description": "d", "parameters":
        {"type": "object", "properties": {"city": {"type": "string"}}}}}])
}

fn script(events: Vec<ChatEvent>) -> Script {
    Script::new(events.into_iter().map(Act::Event))
}

fn text(text: &str, completion_tokens: u32) -> ChatEvent {
    ChatEvent::Text { choice: 0, text: text.to_owned(), completion_tokens, logprobs: Vec::new() }
}

/// Some text, then two calls whose arguments come in pieces.
pub(crate) fn calls() -> Script {
    let call = |index, id: &str, completion_tokens| ChatEvent::ToolCall {
        choice: 0,
        index,
        id: id.to_owned(),
        name: "weather".to_owned(),
        completion_tokens,
    };
    let arguments = |index, text: &str, completion_tokens| ChatEvent::ToolArguments {
        choice: 0,
        index,
        text: text.to_owned(),
        completion_tokens,
    };
    script(vec![
        ChatEvent::Started { prompt_tokens: 20, cached_tokens: 16 },
        text("Let me look.", 3),
        call(0, "call_1", 5),
        arguments(0, "{\"city\": ", 8),
        arguments(0, "\"北京\"}", 10),
        call(1, "call_2", 12),
        arguments(1, "{}", 13),
        ChatEvent::Finished { choice: 0, reason: FinishReason::ToolCalls },
        ChatEvent::Done {
            usage: Counts { prompt_tokens: 20, completion_tokens: 14, cached_tokens: 16, reasoning_tokens: 0 },
            timings: Timings::default(),
        },
    ])
}

/// Reasoning, then an answer.
pub(crate) fn reasoned() -> Script {
    let reasoning =
        |text: &str, completion_tokens| ChatEvent::Reasoning { choice: 0, text: text.to_owned(), completion_tokens };
    script(vec![
        ChatEvent::Started { prompt_tokens: 9, cached_tokens: 0 },
        reasoning("Hm, ", 2),
        reasoning("so.", 4),
        text("Yes.", 6),
        ChatEvent::Finished { choice: 0, reason: FinishReason::Stop },
        ChatEvent::Done {
            usage: Counts { prompt_tokens: 9, completion_tokens: 7, cached_tokens: 0, reasoning_tokens: 4 },
            timings: Timings::default(),
        },
    ])
}

/// A service whose model reasons when it is asked to.
pub(crate) async fn thinker(thinking: Thinking) -> Service {
    let card = ModelCard {
        id: "qwen-scripted".to_owned(),
        created: 1,
        owned_by: "testkit".to_owned(),
        context_tokens_max: 4096,
        thinking,
        abilities: Abilities { chat: true, ..Abilities::default() },
    };
    Service::serving(Scripted::with_models(vec![card]), |_| {}).await
}

#[tokio::test]
async fn calls_come_whole_and_as_deltas_that_concatenate_to_the_same() {
    let service = Service::start().await;
    service.backend.answer(calls());
    let whole = service.chat(json!({"tools": tools(), "parallel_tool_calls": true})).await;
    snapshot("tools_whole.txt", &whole.shown());

    service.backend.answer(calls());
    let fields = json!({"tools": tools(), "stream": true, "stream_options": {"include_usage": true}});
    let streamed = service.chat(fields).await;
    snapshot("tools_stream.txt", &streamed.shown());

    let whole = whole.json();
    let mut arguments = [String::new(), String::new()];
    for event in streamed.events().iter().filter(|event| *event != "[DONE]") {
        let chunk: Value = serde_json::from_str(event).unwrap();
        for piece in chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = piece["index"].as_u64().unwrap() as usize;
            // The id and the name come once, with the first piece.
            assert_eq!(piece["id"].is_string(), arguments[index].is_empty() && piece["function"]["arguments"] == "");
            arguments[index].push_str(piece["function"]["arguments"].as_str().unwrap());
        }
    }
    for (call, arguments) in whole["choices"][0]["message"]["tool_calls"].as_array().unwrap().iter().zip(arguments) {
        assert_eq!(call["function"]["arguments"], arguments);
    }
    assert_eq!(service.totals.completion_tokens(), 28);
}

#[tokio::test]
async fn reasoning_comes_apart_from_the_answer() {
    let service = thinker(Thinking::Optional { default: false }).await;
    service.backend.answer(reasoned());
    snapshot("reasoning_whole.txt", &service.chat(json!({"enable_thinking": true})).await.shown());

    service.backend.answer(reasoned());
    let fields = json!({"enable_thinking": true, "stream": true, "stream_options": {"include_usage": true}});
    snapshot("reasoning_stream.txt", &service.chat(fields).await.shown());
}

#[tokio::test]
async fn a_model_that_always_reasons_cannot_be_told_not_to() {
    let service = thinker(Thinking::Always).await;
    let reply = service.chat(json!({"enable_thinking": false})).await;
    reply.refuses(400, "invalid_parameter_error", "restricted to True");
    let reply = service.chat(json!({"thinking_budget": 5000})).await;
    reply.refuses(400, "invalid_parameter_error", "not greater than 4096");
    service.backend.answer(reasoned());
    let reply = service.chat(json!({"thinking_budget": 50})).await;
    assert_eq!(reply.json()["choices"][0]["message"]["reasoning_content"], "Hm, so.");
}

#[tokio::test]
async fn arguments_of_a_call_that_was_not_made_are_a_500_and_not_a_panic() {
    let service = Service::start().await;
    let lost = ChatEvent::ToolArguments { choice: 0, index: 3, text: "{}".to_owned(), completion_tokens: 1 };
    service.backend.answer(script(vec![ChatEvent::Started { prompt_tokens: 1, cached_tokens: 0 }, lost]));
    service.chat(json!({})).await.refuses(500, "internal_error", "internal error");
}
