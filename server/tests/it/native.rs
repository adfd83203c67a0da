//! The native dialect over the wire: frames, bodies and errors exactly.

use qwenda_backend::{BackendError, Thinking};
use qwenda_testkit::Script;
use serde_json::{Value, json};

use crate::{
    chat_whole::two_choices,
    service::{Service, snapshot},
    tools::{calls, reasoned, thinker, tools},
};

pub(crate) const TEXT: &str = "/api/v1/services/aigc/text-generation/generation";
const MULTIMODAL: &str = "/api/v1/services/aigc/multimodal-generation/generation";
const SSE: &str = "X-DashScope-SSE: enable\r\n";

fn generation(parameters: Value) -> Value {
    let messages = json!([{"role": "user", "content": "hi"}]);
    json!({"model": "qwen-scripted", "input": {"messages": messages}, "parameters": parameters})
}

#[tokio::test]
async fn whole_answers_stand_in_text_or_in_choices() {
    let service = Service::start().await;
    for (name, script, parameters) in [
        ("text", Script::text(3, &["Hel", "lo"]), json!({})),
        ("message", Script::text(3, &["Hel", "lo"]), json!({"result_format": "message"})),
        ("tools", calls(), json!({"result_format": "message", "tools": tools()})),
        ("two_choices", two_choices(), json!({"result_format": "message", "n": 2})),
    ] {
        service.backend.answer(script);
        let reply = service.native(TEXT, "", &generation(parameters)).await;
        snapshot(&format!("native_whole_{name}.txt"), &reply.shown());
    }
}

#[tokio::test]
async fn streams_are_cumulative_unless_incremental_output_is_asked_for() {
    let service = Service::start().await;
    for (name, script, parameters) in [
        ("cumulative", Script::text(3, &["Hel", "lo"]), json!({})),
        ("incremental", Script::text(3, &["Hel", "lo"]), json!({"incremental_output": true})),
        ("tools_cumulative", calls(), json!({"tools": tools()})),
        ("tools_incremental", calls(), json!({"tools": tools(), "incremental_output": true})),
    ] {
        service.backend.answer(script);
        let reply = service.native(TEXT, SSE, &generation(parameters)).await;
        snapshot(&format!("native_stream_{name}.txt"), &reply.shown());
    }
    service.backend.answer(Script::text(3, &["Hel", "lo"]));
    let accepting = service.native(TEXT, "Accept: text/event-stream\r\n", &generation(json!({}))).await;
    assert!(accepting.body.starts_with("id:1\nevent:result\n:HTTP_STATUS/200\ndata:{"), "{}", accepting.body);
    service.backend.answer(Script::text(3, &["Hel", "lo"]));
    let headers = "Accept: text/event-stream\r\nX-DashScope-SSE: Disable\r\n";
    let declining = service.native(TEXT, headers, &generation(json!({}))).await;
    assert_eq!(declining.json()["output"]["text"], "Hello");
}

#[tokio::test]
async fn reasoning_wants_messages_and_increments() {
    let service = thinker(Thinking::Optional { default: false }).await;
    let asked = |more: Value| {
        let mut parameters = json!({"enable_thinking": true});
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        generation(parameters)
    };
    service.backend.answer(reasoned());
    let whole = service.native(TEXT, "", &asked(json!({}))).await;
    snapshot("native_whole_reasoning.txt", &whole.shown());
    service.backend.answer(reasoned());
    let streamed = service.native(TEXT, SSE, &asked(json!({}))).await;
    snapshot("native_stream_reasoning.txt", &streamed.shown());
    let reply = service.native(TEXT, "", &asked(json!({"result_format": "text"}))).await;
    reply.refuses_natively(400, "InvalidParameter", "result_format parameter must be \"message\"");
    let reply = service.native(TEXT, SSE, &asked(json!({"incremental_output": false}))).await;
    reply.refuses_natively(400, "InvalidParameter", "incremental_output parameter must be \"true\"");
}

#[tokio::test]
async fn every_way_of_asking_counts_the_same() {
    let service = Service::start().await;
    let mut counted = Vec::new();
    for (path, headers) in [(TEXT, ""), (TEXT, SSE), (MULTIMODAL, ""), (MULTIMODAL, SSE)] {
        service.backend.answer(calls());
        let reply = service.native(path, headers, &generation(json!({"tools": tools()}))).await;
        let last = match headers {
            "" => reply.json(),
            _ => serde_json::from_str(reply.events().last().unwrap()).unwrap(),
        };
        counted.push(last["usage"].clone());
    }
    service.backend.answer(calls());
    let compatible = service.chat(json!({"tools": tools()})).await.json();
    assert!(counted.iter().all(|usage| *usage == counted[0]), "{counted:?}");
    assert_eq!(counted[0]["input_tokens"], compatible["usage"]["prompt_tokens"]);
    assert_eq!(counted[0]["output_tokens"], compatible["usage"]["completion_tokens"]);
    assert_eq!(service.totals.requests(), 5);
    assert_eq!(service.totals.completion_tokens(), 5 * 14);
}

#[tokio::test]
async fn the_multimodal_path_answers_text_in_parts_and_names_other_parts() {
    let service = Service::start().await;
    service.backend.answer(Script::text(3, &["Hel", "lo"]));
    let parts =
        |parts: Value| json!({"model": "qwen-scripted", "input": {"messages": [{"role": "user", "content": parts}]}});
    let reply = service.native(MULTIMODAL, "", &parts(json!([{"text": "a"}, {"text": "b"}]))).await;
    snapshot("native_whole_multimodal.txt", &reply.shown());
    let reply = service.native(MULTIMODAL, "", &parts(json!([{"image": "http://x/y.png"}, {"text": "b"}]))).await;
    reply.refuses_natively(400, "InvalidParameter", "image_url");
}

#[tokio::test]
async fn errors_below_api_v1_have_the_native_shape() {
    let service = Service::start().await;
    let post = |body: Value| {
        let service = &service;
        async move { service.native(TEXT, "", &body).await }
    };
    post(json!({"input": {"prompt": "a"}})).await.refuses_natively(400, "BadRequest.EmptyModel", "\"model\"");
    post(json!({"model": "qwen-scripted"})).await.refuses_natively(400, "BadRequest.EmptyInput", "input");
    let reply = post(json!({"model": "qwen-scripted", "messages": []})).await;
    reply.refuses_natively(400, "InvalidParameter", "Either \"prompt\" or \"messages\"");
    let reply = post(generation(json!({"temperature": 2}))).await;
    reply.refuses_natively(400, "InvalidParameter", "Temperature should be in");
    let mut unknown = generation(json!({}));
    unknown["model"] = "qwen-scriptd".into();
    post(unknown).await.refuses_natively(400, "InvalidParameter", "Model not exist.");
    service.get("/api/v1/nothing").await.refuses_natively(404, "NotFound", "not found");
    service.get("/api/v1").await.refuses_natively(404, "NotFound", "not found");
    service.get(TEXT).await.refuses_natively(400, "InvalidParameter", "Request method 'GET' is not supported.");
    service.get("/api/v1x").await.refuses(404, "not_found", "not found");
    let head = format!("POST {TEXT} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    service.send(&head, b"").await.refuses_natively(401, "InvalidApiKey", "Invalid API-key provided.");
    service.post(TEXT, "{").await.refuses_natively(400, "InvalidParameter", "Required body invalid");
    let large = service.head("POST", TEXT, Some(1 << 30));
    service.send(&large, b"").await.refuses_natively(400, "BadRequest.TooLarge", "Payload Too Large");
    let reply = service.native(TEXT, "X-DashScope-Async: enable\r\n", &generation(json!({}))).await;
    reply.refuses_natively(403, "AccessDenied", "Current user api does not support asynchronous calls.");
    assert_eq!(reply.headers["x-should-retry"], "false");
    service.backend.answer(Script::text(1, &["x"]));
    let reply = service.native(TEXT, "X-DashScope-WorkSpace: ws-1\r\n", &generation(json!({}))).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_frame() {
    let service = Service::start().await;
    let broken = BackendError::Busy { retry_after_ms: 10 };
    service.backend.answer(Script::text(1, &["a", "b"]).fail_after(2, broken));
    let reply = service.native(TEXT, SSE, &generation(json!({}))).await;
    snapshot("native_stream_broken.txt", &reply.shown());

    service.backend.answer(Script::refuse(BackendError::Busy { retry_after_ms: 10 }));
    let reply = service.native(TEXT, SSE, &generation(json!({}))).await;
    reply.refuses_natively(429, "Throttling.RateQuota", "Too many requests");
    assert_eq!((reply.headers["retry-after"].as_str(), reply.headers["x-should-retry"].as_str()), ("1", "true"));
}

#[tokio::test]
async fn fields_that_change_nothing_are_named_wherever_they_stand() {
    let service = Service::start().await;
    service.backend.answer(Script::text(1, &["x"]));
    let mut request = generation(json!({"temprature": 1, "top_p": 0.5}));
    request["odd"] = json!(1);
    request["input"]["strange"] = json!(2);
    let reply = service.native(TEXT, "", &request).await;
    let named: Vec<&str> = reply.headers["x-qwenda-ignored-fields"].split(", ").collect();
    assert_eq!(named, ["temprature", "strange", "odd"]);
}
