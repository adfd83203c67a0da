//! Answers in one piece, the models, and health.

use qwenda_backend::{BackendError, ChatEvent, Counts, Timings, TokenLogprob};
use qwenda_testkit::{Act, Gate, Script, scripted::Played};
use qwenda_types::chat::FinishReason;
use serde_json::json;

use crate::service::{CHAT, Service, request, snapshot};

/// Two choices whose pieces come mixed, with log-probabilities.
pub(crate) fn two_choices() -> Script {
    let text = |choice, text: &str, completion_tokens, logprob| ChatEvent::Text {
        choice,
        text: text.to_owned(),
        completion_tokens,
        logprobs: vec![TokenLogprob {
            token: text.to_owned(),
            bytes: text.as_bytes().to_vec(),
            logprob,
            top: vec![(text.to_owned(), text.as_bytes().to_vec(), logprob)],
        }],
    };
    let usage = Counts { prompt_tokens: 9, completion_tokens: 4, cached_tokens: 2, reasoning_tokens: 0 };
    let events = [
        ChatEvent::Started { prompt_tokens: 9, cached_tokens: 2 },
        text(0, "你", 1, -0.5),
        text(1, "ab", 1, f32::NEG_INFINITY),
        ChatEvent::Finished { choice: 1, reason: FinishReason::Length },
        text(0, "好", 2, -0.25),
        ChatEvent::Finished { choice: 0, reason: FinishReason::Stop },
        ChatEvent::Done { usage, timings: Timings::default() },
    ];
    Script::new(events.map(Act::Event))
}

#[tokio::test]
async fn an_answer_has_the_shape_of_the_contract() {
    let service = Service::start().await;
    service.backend.answer(Script::text(3, &["Hel", "lo"]));
    let reply = service.chat(json!({})).await;
    snapshot("whole.txt", &reply.shown());

    service.backend.answer(two_choices());
    let reply = service.chat(json!({"n": 2, "logprobs": true, "top_logprobs": 1})).await;
    snapshot("whole_two_choices.txt", &reply.shown());
}

#[tokio::test]
async fn both_paths_answer_alike_and_tolerate_any_content_type() {
    let service = Service::start().await;
    let body = request(json!({})).to_string();
    let mut shown = Vec::new();
    for path in [CHAT, "/compatible-mode/v1/chat/completions"] {
        service.backend.answer(Script::text(3, &["Hel", "lo"]));
        shown.push(service.post(path, &body).await.shown());
    }
    assert_eq!(shown[0], shown[1]);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "nonsense"] {
        service.backend.answer(Script::text(3, &["Hel", "lo"]));
        let head = service.head("POST", CHAT, Some(body.len())).replace("application/json", kind);
        assert_eq!(service.send(&head, body.as_bytes()).await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn the_backend_gets_the_request_as_it_was_asked() {
    let service = Service::start().await;
    service.backend.answer(Script::text(1, &["x"]));
    let fields = json!({"temperature": 0.5, "top_k": 7, "seed": 9, "stop": ["a", "b"], "max_tokens": 5,
        "logit_bias": {"11": -1.0}, "metadata": {"a": 1}});
    let reply = service.chat(fields.clone()).await;
    let calls = service.backend.calls();
    assert_eq!(calls[0].request_id, reply.request_id());
    assert_eq!(serde_json::to_value(&calls[0].request).unwrap(), request(fields));
}

#[tokio::test]
async fn fields_that_change_nothing_are_named_in_a_header() {
    let service = Service::start().await;
    for (fields, want) in [
        (json!({}), None),
        (json!({"user": "u", "metadata": {}, "unheard_of": 1}), Some("user, metadata, unheard_of")),
        (json!({"enable_search": false, "thinking_budget": null, "modalities": ["text"]}), None),
        (json!({"naïve\r\nkey, x": 1}), Some("na?ve??key??x")),
    ] {
        service.backend.answer(Script::text(1, &["x"]));
        let reply = service.chat(fields.clone()).await;
        assert_eq!(reply.status, 200, "{fields}: {}", reply.body);
        let header = reply.headers.get("x-qwenda-ignored-fields").map(String::as_str);
        assert_eq!(header, want, "{fields}");
    }
}

#[tokio::test]
async fn a_backend_that_refuses_is_answered_in_the_words_of_the_contract() {
    let service = Service::start().await;
    let refused = |error| {
        service.backend.answer(Script::refuse(error));
        service.chat(json!({}))
    };
    let too_long = BackendError::PromptTooLong { prompt_tokens: 5000, limit_tokens: 4096 };
    let reply = refused(too_long).await;
    reply.refuses(400, "invalid_parameter_error", "Range of input length should be [1, 4096]");
    reply.refuses(400, "invalid_parameter_error", "5000");

    let reply = refused(BackendError::Busy { retry_after_ms: 1500 }).await;
    reply.refuses(429, "limit_requests", "Too many requests");
    assert_eq!(reply.headers["retry-after"], "2");
    assert_eq!(reply.headers["retry-after-ms"], "1500");

    let reply = refused(BackendError::Internal("page 7 is torn".to_owned())).await;
    reply.refuses(500, "internal_error", "internal error");
    assert!(!reply.body.contains("torn"));

    let field = "stop".to_owned();
    let reply = refused(BackendError::Unsupported { field, message: "too many".to_owned() }).await;
    reply.refuses(400, "invalid_parameter_error", "too many - 'stop'");
}

#[tokio::test]
async fn a_backend_that_breaks_is_a_500_and_the_next_request_is_answered() {
    let service = Service::start().await;
    service.backend.answer(Script::text(3, &["a", "b"]).fail_after(2, BackendError::Internal("x".to_owned())));
    service.chat(json!({})).await.refuses(500, "internal_error", "internal error");
    // A stream that just ends.
    service.backend.answer(Script::new([Act::Event(ChatEvent::Started { prompt_tokens: 1, cached_tokens: 0 })]));
    service.chat(json!({})).await.refuses(500, "internal_error", "internal error");
    // A choice nobody asked for.
    service.backend.answer(two_choices());
    service.chat(json!({})).await.refuses(500, "internal_error", "internal error");
    service.backend.answer(Script::text(3, &["ok"]));
    assert_eq!(service.chat(json!({})).await.json()["choices"][0]["message"]["content"], "ok");
}

#[tokio::test]
async fn a_caller_who_hangs_up_stops_the_work_and_pays_for_what_was_made() {
    let service = Service::start().await;
    let gate = Gate::new();
    let watch = service.backend.answer(Script::text(3, &["a", "b", "c"]).wait_before(3, &gate));
    let body = request(json!({})).to_string();
    let mut connection = service.connect().await;
    connection.write(service.head("POST", CHAT, Some(body.len())).as_bytes()).await;
    connection.write(body.as_bytes()).await;
    gate.reached().await;
    drop(connection);
    assert_eq!(watch.over().await, Played::Dropped(3));
    // The meter settles when the stream is dropped, which is before the watch says so or just after.
    tokio::task::yield_now().await;
    assert_eq!((service.totals.prompt_tokens(), service.totals.completion_tokens()), (3, 2));
}

#[tokio::test]
async fn models_are_listed_and_shown() {
    let service = Service::start().await;
    snapshot("models.txt", &service.get("/v1/models").await.shown());
    assert_eq!(service.get("/compatible-mode/v1/models").await.json(), service.get("/v1/models").await.json());
    let one = service.get("/v1/models/qwen-other").await;
    assert_eq!(one.json(), service.get("/v1/models").await.json()["data"][1]);
    service.get("/v1/models/qwen/unheard-of").await.refuses(404, "model_not_found", "`qwen-other`");
}

#[tokio::test]
async fn health_asks_for_no_key_and_readiness_follows_the_backend() {
    let service = Service::start().await;
    let get = |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let service = &service;
        async move { service.send(&head, b"").await }
    };
    assert_eq!(get("/healthz").await.body, r#"{"status":"ok"}"#);
    assert_eq!(get("/readyz").await.body, r#"{"status":"ready"}"#);
    assert_eq!(get("/healthz").await.request_id().len(), 36);
    service.backend.set_ready(false);
    get("/readyz").await.refuses(503, "ModelUnavailable", "unavailable");
    assert_eq!(get("/healthz").await.status, 200);
}
