//! Calls whose answers come in one piece, in both dialects, and what they cost.

use qwenda::{Budget, ChatBuilder, Event, Fault, Finish, Kind, Message, Mock, Protocol, Retry, ThinkingSwitch};
use serde_json::{Value, json};

/// An answer with the vectors `[first], [first + 1], …`.
fn vectors(first: u32, count: u32) -> Value {
    // The last one first: order is the index's business.
    let data = (0..count).rev().map(|index| json!({"index": index, "embedding": [first + index]}));
    json!({"data": data.collect::<Vec<_>>(), "usage": {"prompt_tokens": count, "total_tokens": count}})
}

#[tokio::test]
async fn texts_beyond_what_a_model_takes_at_once_are_split_and_stay_in_order() {
    let mock = Mock::new().json(vectors(0, 10)).json(vectors(10, 10)).json(vectors(20, 3));
    let texts: Vec<String> = (0..23).map(|number| number.to_string()).collect();
    let embeddings = mock.client().embed("text-embedding-v4", texts).parallel(1).await.unwrap();
    let got: Vec<f32> = embeddings.vectors.iter().map(|vector| vector[0]).collect();
    assert_eq!(got, (0..23).map(|number| number as f32).collect::<Vec<_>>());
    assert_eq!((embeddings.input_tokens, embeddings.parts.len()), (23, 3));
    // 0.5 CNY a million.
    assert_eq!(embeddings.cost.unwrap().to_string(), "0.0000115 CNY");
    let counts: Vec<usize> = mock.bodies().iter().map(|body| body["input"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [10, 10, 3]);
}

#[tokio::test]
async fn a_vector_too_few_or_of_no_text_is_an_error() {
    for answer in [vectors(0, 1), vectors(0, 3), json!({"data": []}), json!([1])] {
        let mock = Mock::new().json(answer);
        let error = mock.client().embed("m", ["a", "b"]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
    }
    let none: [&str; 0] = [];
    assert_eq!(Mock::new().client().embed("m", none).await.unwrap_err().kind(), Kind::Invalid);
}

/// A piece of a completion.
fn piece(text: &str, finish: Option<&str>) -> Value {
    json!({"id": "cmpl-1", "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": finish}]})
}

#[tokio::test]
async fn a_completion_comes_in_pieces_in_either_protocol_and_is_whole_at_its_end() {
    let counts = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}});
    for protocol in [Protocol::OpenAi, Protocol::DashScope] {
        let mock =
            Mock::new().events([piece("a ", None), piece("+ b", None), piece("", Some("length")), counts.clone()]);
        let client = mock.builder().protocol(protocol).build().unwrap();
        let mut stream = client.complete("qwen-coder-turbo", "x").suffix("y").stream().await.unwrap();
        let mut texts = Vec::new();
        while let Some(event) = stream.next().await {
            if let Event::Text(text) = event.unwrap() {
                texts.push(text.text);
            }
        }
        assert_eq!(texts, ["a ", "+ b"], "{protocol:?}");
        let reply = stream.finish().unwrap();
        assert_eq!((reply.text(), reply.finish()), ("a + b", &Finish::Length), "{protocol:?}");
        assert_eq!(reply.usage().unwrap().output_tokens, 2, "{protocol:?}");
        let body = &mock.bodies()[0];
        assert_eq!((&body["stream"], &body["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
        assert!(mock.requests()[0].url.ends_with("/v1/completions"), "{protocol:?}");
    }
}

#[tokio::test]
async fn a_completion_that_comes_whole_or_is_cut_is_told_apart() {
    let mut whole = piece("all", Some("stop"));
    whole["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4});
    let mock = Mock::new().json(whole).events([piece("some", None)]).error(400, "no");
    let ask = || mock.client().complete("m", "x").stream();
    assert_eq!(ask().await.unwrap().collect().await.unwrap().text(), "all");
    let cut = ask().await.unwrap().collect().await.unwrap_err();
    assert_eq!((cut.kind(), cut.partial().unwrap().text()), (Kind::Truncated, "some"));
    assert_eq!(ask().await.unwrap_err().kind(), Kind::Refused);
}

#[tokio::test]
async fn whether_to_reason_is_written_as_the_service_reads_it() {
    let sent = async |switch: ThinkingSwitch, chat: fn(ChatBuilder) -> ChatBuilder| {
        let mock = Mock::new().reply("hi");
        let client = mock.builder().thinking_switch(switch).build().unwrap();
        chat(client.chat("m").user("hi")).await.unwrap();
        let body = mock.bodies().remove(0);
        (body.get("enable_thinking").cloned(), body.get("chat_template_kwargs").cloned())
    };
    let off = |chat: ChatBuilder| chat.thinking(false);
    assert_eq!(sent(ThinkingSwitch::Field, off).await, (Some(json!(false)), None));
    assert_eq!(sent(ThinkingSwitch::Template, off).await, (None, Some(json!({"enable_thinking": false}))));
    assert_eq!(sent(ThinkingSwitch::Template, |chat| chat).await, (None, None));
    // What is there already stays.
    let own = |chat: ChatBuilder| chat.thinking(true).field("chat_template_kwargs", json!({"tone": "dry"}));
    let both = json!({"tone": "dry", "enable_thinking": true});
    assert_eq!(sent(ThinkingSwitch::Template, own).await, (None, Some(both)));
    let kept = |chat: ChatBuilder| chat.preserve_thinking(true);
    assert_eq!(sent(ThinkingSwitch::Field, kept).await, (None, None));
    assert_eq!(sent(ThinkingSwitch::Template, kept).await, (None, Some(json!({"preserve_thinking": true}))));
}

#[tokio::test]
async fn faults_are_theirs_who_can_put_them_right() {
    for (status, code, fault) in [
        (401, "invalid_api_key", Fault::Credentials),
        (403, "access_denied", Fault::Credentials),
        (400, "Arrearage", Fault::Account),
        (400, "invalid_parameter_error", Fault::Caller),
        (404, "model_not_found", Fault::Caller),
        (429, "limit_requests", Fault::Caller),
        (503, "ServiceUnavailable", Fault::Service),
        (500, "internal_error", Fault::Service),
    ] {
        let mock = Mock::new().error(status, format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#));
        let error = mock.client().chat("m").user("hi").retry(Retry::none()).await.unwrap_err();
        assert_eq!(error.fault(), fault, "{code}");
    }
}

#[tokio::test]
async fn the_native_dialect_embeds_and_ranks_too() {
    let vectors = json!([{"text_index": 1, "embedding": [1.0]}, {"text_index": 0, "embedding": [0.5]}]);
    let ranks = json!([{"index": 1, "relevance_score": 0.75}]);
    let mock = Mock::new()
        .json(json!({"output": {"embeddings": vectors}, "usage": {"total_tokens": 4}, "request_id": "r1"}))
        .json(json!({"output": {"results": ranks}, "usage": {"total_tokens": 9}, "request_id": "r2"}));
    let client = mock.builder().protocol(Protocol::DashScope).build().unwrap();
    let embeddings = client.embed("text-embedding-v4", ["a", "b"]).query().dimensions(64).await.unwrap();
    assert_eq!(embeddings.vectors, [[0.5], [1.0]]);
    assert_eq!(embeddings.parts[0].request_id.as_deref(), Some("r1"));
    let ranking = client.rerank("qwen3-rerank", "q", ["a", "b"]).top(1).await.unwrap();
    assert_eq!((ranking.hits[0].index, ranking.input_tokens), (1, 9));
    let bodies = mock.bodies();
    assert_eq!(bodies[0]["input"]["texts"], json!(["a", "b"]));
    assert_eq!(bodies[0]["parameters"], json!({"dimension": 64, "text_type": "query"}));
    assert_eq!(bodies[1]["input"], json!({"query": "q", "documents": ["a", "b"]}));
    let urls: Vec<String> = mock.requests().into_iter().map(|request| request.url).collect();
    assert!(urls[0].ends_with("/api/v1/services/embeddings/text-embedding/text-embedding"), "{urls:?}");
    assert!(urls[1].ends_with("/api/v1/services/rerank/text-rerank/text-rerank"), "{urls:?}");
}

#[tokio::test]
async fn tokens_and_completions_are_asked_for_where_the_contract_has_them() {
    let tokens =
        json!({"output": {"token_ids": [1, 2], "tokens": ["a", "b"]}, "usage": {"input_tokens": 2}, "request_id": "r"});
    let completion = json!({"choices": [{"text": "x", "index": 0, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}});
    let mock = Mock::new().json(tokens.clone()).json(tokens).json(completion);
    let client = mock.client();
    assert_eq!(client.tokenize("m", "ab").await.unwrap().ids, [1, 2]);
    assert_eq!(client.tokenize("m", vec![Message::user("ab")]).await.unwrap().texts, ["a", "b"]);
    let completion = client.complete("m", "before").suffix("after").max_tokens(1).await.unwrap();
    assert_eq!((completion.text.as_str(), completion.usage.unwrap().input_tokens), ("x", 5));
    let bodies = mock.bodies();
    assert_eq!(bodies[0]["input"], json!({"prompt": "ab"}));
    assert_eq!(bodies[1]["input"]["messages"][0]["content"], json!("ab"));
    assert_eq!((&bodies[2]["prompt"], &bodies[2]["suffix"]), (&json!("before"), &json!("after")));
}

#[tokio::test]
async fn an_error_with_a_good_status_is_one_all_the_same() {
    let mock = Mock::new().json(json!({"code": "InvalidApiKey", "message": "m", "request_id": "r5"}));
    let error = mock.client().models().await.unwrap_err();
    assert_eq!((error.kind(), error.request_id()), (Kind::Unauthorized, Some("r5")));
}

#[tokio::test]
async fn a_budget_is_spent_by_what_calls_cost_and_by_what_nobody_knows() {
    let mock = Mock::new().reply("a").error(500, "broken").error(400, "bad").stream(["a", "b"]).cut_after(2);
    let client = mock.builder().retry(Retry::none()).budget(Budget::total("1 CNY").unwrap()).build().unwrap();
    let chat = || client.chat("qwen-plus").user("hi").max_tokens(1000);
    let most = chat().estimate().most.unwrap().amount;
    let mut spent = chat().await.unwrap().cost().unwrap().amount;
    assert_eq!(client.spent(), spent);
    chat().await.unwrap_err();
    spent = spent.checked_add(most).unwrap();
    assert_eq!(client.spent(), spent, "a failed service may bill");
    chat().await.unwrap_err();
    assert_eq!(client.spent(), spent, "what is refused is free");
    chat().await.unwrap_err();
    assert_eq!(client.spent(), spent.checked_add(most).unwrap(), "an answer that was cut is billed");
    assert_eq!(mock.requests().len(), 4);
    let unpriced = client.chat("somebody-elses").user("hi").max_tokens(1).await.unwrap_err();
    assert_eq!((unpriced.kind(), mock.requests().len()), (Kind::OverBudget, 4));
}
