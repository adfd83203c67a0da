use qwenda_types::chat::Word;
use serde_json::json;

use super::*;

fn read(kind: Kind, choices: u32, chunks: &[Value]) -> (Vec<ChatEvent>, Result<ChatEvent, Fault>) {
    let mut progress = Progress::new(kind, "up", "request", choices);
    let mut events = Vec::new();
    for chunk in chunks {
        if let Err(fault) = progress.take(chunk.as_object().unwrap().clone(), &mut events) {
            return (events, Err(fault));
        }
    }
    (events, progress.end(true))
}

fn chat(chunks: &[Value]) -> (Vec<ChatEvent>, Result<ChatEvent, Fault>) {
    read(Kind::Chat, 1, chunks)
}

fn delta(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}], "usage": null})
}

fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn text(text: &str, completion_tokens: u32) -> ChatEvent {
    ChatEvent::Text { choice: 0, text: text.to_owned(), completion_tokens, logprobs: Vec::new() }
}

fn finished(choice: u32, reason: FinishReason) -> ChatEvent {
    ChatEvent::Finished { choice, reason }
}

fn started() -> ChatEvent {
    ChatEvent::Started { prompt_tokens: 0, cached_tokens: 0 }
}

fn call(index: u32, id: &str, name: &str) -> ChatEvent {
    ChatEvent::ToolCall { choice: 0, index, id: id.to_owned(), name: name.to_owned(), completion_tokens: 0 }
}

fn arguments(index: u32, text: &str) -> ChatEvent {
    ChatEvent::ToolArguments { choice: 0, index, text: text.to_owned(), completion_tokens: 0 }
}

#[test]
fn text_and_reasoning_come_as_they_came_and_the_usage_is_the_upstream_s() {
    let reasoning = |text: &str| ChatEvent::Reasoning { choice: 0, text: text.to_owned(), completion_tokens: 0 };
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 2}});
    let (events, end) = chat(&[
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": null, "reasoning_content": "h"})),
        delta(json!({"reasoning": "m"})),
        delta(json!({"content": "你"})),
        json!({"choices": [{"index": 0, "delta": {"content": "好"}, "finish_reason": ""}]}),
        json!({"choices": [{"index": 0, "delta": {"content": "!"}, "finish_reason": "stop"}]}),
        delta(json!({"content": ""})),
        json!({"choices": [], "usage": usage}),
    ]);
    let want = [
        started(),
        reasoning("h"),
        reasoning("m"),
        text("你", 0),
        text("好", 0),
        text("!", 0),
        finished(0, FinishReason::Stop),
    ];
    assert_eq!(events, want);
    let counts = Counts { prompt_tokens: 9, completion_tokens: 4, cached_tokens: 8, reasoning_tokens: 2 };
    assert_eq!(end.unwrap(), ChatEvent::Done { usage: counts, timings: Timings::default() });
}

#[test]
fn usage_that_comes_all_along_is_told_all_along() {
    let with = |content: &str, tokens: u32| {
        json!({"choices": [{"index": 0, "delta": {"content": content}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": tokens}})
    };
    let (events, end) = chat(&[with("a", 1), with("b", 2), finish("length")]);
    let begun = ChatEvent::Started { prompt_tokens: 3, cached_tokens: 0 };
    assert_eq!(events, [begun, text("a", 1), text("b", 2), finished(0, FinishReason::Length)]);
    let ChatEvent::Done { usage, .. } = end.unwrap() else { panic!() };
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (3, 2));
}

#[test]
fn calls_are_told_apart_however_an_upstream_numbers_them() {
    let first = |index: Option<u32>, id: &str, name: &str, arguments: &str| {
        let mut call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        if let Some(index) = index {
            call["index"] = index.into();
        }
        delta(json!({"tool_calls": [call]}))
    };
    let more = |index: u32, arguments: &str| {
        delta(json!({"tool_calls": [{"index": index, "id": "", "function": {"name": "", "arguments": arguments}}]}))
    };
    let end = finish("tool_calls");
    let last = finished(0, FinishReason::ToolCalls);
    for (chunks, want) in [
        (
            vec![first(Some(0), "a", "f", ""), more(0, "{"), more(0, "}"), first(Some(1), "b", "g", "{}")],
            vec![call(0, "a", "f"), arguments(0, "{"), arguments(0, "}"), call(1, "b", "g"), arguments(1, "{}")],
        ),
        // From 1 on, and one beside the other.
        (
            vec![first(Some(1), "a", "f", ""), first(Some(2), "b", "g", ""), more(1, "{}"), more(2, "[]")],
            vec![call(0, "a", "f"), call(1, "b", "g"), arguments(0, "{}"), arguments(1, "[]")],
        ),
        // All with the same index, or none.
        (
            vec![first(Some(0), "a", "f", "{}"), first(Some(0), "b", "f", "{"), more(0, "}")],
            vec![call(0, "a", "f"), arguments(0, "{}"), call(1, "b", "f"), arguments(1, "{"), arguments(1, "}")],
        ),
        (
            vec![first(None, "a", "f", "{}"), first(None, "b", "g", "{}")],
            vec![call(0, "a", "f"), arguments(0, "{}"), call(1, "b", "g"), arguments(1, "{}")],
        ),
        // The name again with each piece.
        (
            vec![first(Some(0), "a", "f", "{"), first(Some(0), "a", "f", "}")],
            vec![call(0, "a", "f"), arguments(0, "{"), arguments(0, "}")],
        ),
    ] {
        let (events, ended) = chat(&[chunks.as_slice(), std::slice::from_ref(&end)].concat());
        let want = [&[started()], want.as_slice(), std::slice::from_ref(&last)].concat();
        assert_eq!(events, want);
        assert!(ended.is_ok());
    }
}

#[test]
fn a_call_without_an_id_gets_one_and_one_without_a_name_is_an_error() {
    let (events, _) = chat(&[delta(json!({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}))]);
    let ChatEvent::ToolCall { id, .. } = &events[1] else { panic!("{events:?}") };
    assert!(id.starts_with("call_") && id.len() > 10, "{id}");
    let (_, end) = chat(&[delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}))]);
    assert_eq!(end.unwrap_err().error.status(), 502);
}

#[test]
fn each_choice_ends_for_itself_and_all_must() {
    let of = |index: u32, content: &str, reason: Option<&str>| json!({"choices": [{"index": index, "delta": {"content": content}, "finish_reason": reason}]});
    let chunks = [of(1, "b", None), of(0, "a", Some("stop")), of(1, "", Some("content_filter"))];
    let (events, end) = read(Kind::Chat, 2, &chunks);
    let filtered = FinishReason::Other(Word::new("content_filter"));
    assert_eq!(events[2..], [text("a", 0), finished(0, FinishReason::Stop), finished(1, filtered)]);
    assert!(end.is_ok());
    for (choices, chunks, said) in [(2, &chunks[..2], "1 of 2 choices open"), (1, &chunks[..1], "choice 1 of 1")] {
        let fault = read(Kind::Chat, choices, chunks).1.unwrap_err();
        assert!(fault.error.logged().unwrap().contains(said), "{:?}", fault.error);
        assert_eq!(fault.error.status(), 502);
    }
}

#[test]
fn a_stream_without_its_mark_is_whole_if_its_usage_came() {
    let mut progress = Progress::new(Kind::Chat, "up", "request", 1);
    let take = |progress: &mut Progress, chunk: Value| {
        progress.take(chunk.as_object().unwrap().clone(), &mut Vec::new()).unwrap()
    };
    take(&mut progress, finish("stop"));
    assert!(progress.end(false).is_err() && progress.end(true).is_ok());
    take(&mut progress, json!({"choices": [], "usage": {"prompt_tokens": 1}}));
    assert!(progress.end(false).is_ok());
}

#[test]
fn log_probabilities_of_both_endpoints_are_the_same_to_us() {
    let one = |bytes: &[u8]| TokenLogprob {
        token: "a".to_owned(),
        bytes: bytes.to_vec(),
        logprob: -0.5,
        top: vec![("b".to_owned(), b"b".to_vec(), -1.0)],
    };
    let told = json!({"content": [{"token": "a", "bytes": [97], "logprob": -0.5,
        "top_logprobs": [{"token": "b", "bytes": null, "logprob": -1.0}]}]});
    let (events, _) = chat(&[json!({"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": told}]})]);
    let want = ChatEvent::Text { choice: 0, text: "a".to_owned(), completion_tokens: 0, logprobs: vec![one(b"a")] };
    assert_eq!(events[1], want);
    let lists = json!({"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"b": -1.0}], "text_offset": [0]});
    let chunk = json!({"choices": [{"index": 0, "text": "a", "logprobs": lists, "finish_reason": "stop"}]});
    let (events, end) = read(Kind::Completion, 1, &[chunk]);
    assert_eq!(events, [started(), want, finished(0, FinishReason::Stop)]);
    assert!(end.is_ok());
}

#[test]
fn a_chunk_of_another_shape_is_an_error_that_repeats_nothing_of_it() {
    for chunk in [json!({"choices": "secret"}), json!({"choices": [{"index": "secret"}]})] {
        let fault = chat(&[chunk]).1.unwrap_err();
        assert!(!format!("{fault:?}").contains("secret"), "{fault:?}");
        assert_eq!((fault.error.status(), fault.again), (502, false));
    }
}
