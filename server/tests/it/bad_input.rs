//! What a caller can do wrong, and what they read then. Nothing of it reaches the backend.

use serde_json::{Value, json};

use crate::service::{CHAT, Service, request};

const PARAMETER: &str = "invalid_parameter_error";

#[tokio::test]
async fn wrong_requests_get_the_contract_s_status_code_and_words() {
    let service = Service::start().await;
    let user = json!({"role": "user", "content": "hi"});
    for (fields, status, code, keyword) in [
        (json!({"model": "qwen-scriptd"}), 404, "model_not_found", "`qwen-scripted`"),
        (json!({"model": null}), 400, "invalid_request_error", "you must provide a model parameter."),
        (json!({"temperature": 2}), 400, PARAMETER, "Temperature should be in [0.0, 2.0)"),
        (json!({"temperature": "hot"}), 400, PARAMETER, "'temperature' must be Float"),
        (json!({"top_p": 0}), 400, PARAMETER, "Range of top_p should be (0.0, 1.0]"),
        (json!({"seed": -1}), 400, "invalid_value", "-1 is lesser than the minimum of 0 - 'seed'"),
        (json!({"n": 5}), 400, PARAMETER, "Range of n should be [1, 4]"),
        (json!({"max_tokens": 5000}), 400, PARAMETER, "Range of max_tokens should be [1, 4096]"),
        (json!({"messages": []}), 400, PARAMETER, "[] is too short"),
        (json!({"messages": "hi"}), 400, PARAMETER, "'messages' must be List"),
        (json!({"messages": null}), 400, PARAMETER, "Either \"prompt\" or \"messages\""),
        (json!({"messages": [{"role": "system", "content": "s"}]}), 400, PARAMETER, "role of user"),
        (
            json!({"messages": [user, {"role": "assistant", "content": "a"}]}),
            400,
            PARAMETER,
            "The last message must have the role user or tool",
        ),
        (
            json!({"messages": [user, {"role": "tool", "content": "t", "tool_call_id": "1"}]}),
            400,
            PARAMETER,
            "must be a response to a preceeding message with \"tool_calls\"",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
            400,
            PARAMETER,
            "'messages[0].content[0]'",
        ),
    ] {
        let reply = service.chat(fields.clone()).await;
        reply.refuses(status, code, keyword);
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error", "{fields}");
    }
    assert_eq!(service.backend.calls().len(), 0);
    assert_eq!(service.totals.requests(), 0);
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_by_name() {
    let service = Service::start().await;
    let tool = json!({"type": "function", "function": {"name": "f", "description": "d"}});
    for (fields, code, keyword) in [
        (json!({"tools": [tool], "n": 2}), PARAMETER, "n"),
        (json!({"tool_choice": "required"}), PARAMETER, "tool_choice can only be set when tools are set"),
        (json!({"tool_choice": {"type": "function"}}), PARAMETER, "tool_choice is one of the strings"),
        (json!({"functions": [tool]}), PARAMETER, "'functions'"),
        (json!({"response_format": {"type": "json_object"}}), PARAMETER, "must contain the word 'json'"),
        (json!({"response_format": {"type": "xml"}}), PARAMETER, "The response_format type from user is xml."),
        (json!({"response_format": "json"}), PARAMETER, "Unknown format of response_format"),
        (
            json!({"enable_thinking": true}),
            "InvalidParameter.NotSupportEnableThinking",
            "The model qwen-scripted does not support enable_thinking.",
        ),
        (json!({"thinking_budget": 100}), PARAMETER, "thinking_budget"),
        (json!({"reasoning_effort": "low"}), PARAMETER, "reasoning_effort"),
        (json!({"enable_search": true}), PARAMETER, "This model does not support enable_search."),
        (json!({"enable_code_interpreter": true}), PARAMETER, "enable_code_interpreter"),
        (json!({"modalities": ["text", "audio"]}), PARAMETER, "modalities"),
        (json!({"audio": {"voice": "x"}}), PARAMETER, "audio"),
        (json!({"translation_options": {}}), PARAMETER, "translation_options"),
        (json!({"vl_high_resolution_images": true}), PARAMETER, "vl_high_resolution_images"),
        (json!({"skill": []}), PARAMETER, "skill"),
    ] {
        service.chat(fields).await.refuses(400, code, keyword);
    }
    assert_eq!(service.backend.calls().len(), 0);

    for fields in [
        json!({"tools": []}),
        json!({"tool_choice": "auto"}),
        json!({"tool_choice": "none"}),
        json!({"response_format": {"type": "text"}}),
        json!({"enable_thinking": false}),
        json!({"enable_search": false, "search_options": {"forced_search": false}}),
        json!({"reasoning_effort": "none"}),
        json!({"parallel_tool_calls": true}),
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a",
            "cache_control": {"type": "ephemeral"}}]}]}),
    ] {
        service.backend.answer(qwenda_testkit::Script::text(1, &["x"]));
        let reply = service.chat(fields.clone()).await;
        assert_eq!(reply.status, 200, "{fields}: {}", reply.body);
    }
}

#[tokio::test]
async fn bodies_that_are_no_requests_are_refused() {
    let service = Service::start().await;
    let format = "Required body invalid, please check the request body format.";
    let deep = "[".repeat(100_000);
    for body in [
        &b""[..],
        b"{",
        b"null",
        b"[]",
        b"\"text\"",
        b"{\"model\": \"qwen-scripted\",}",
        b"{\"model\": \"\xff\xfe\"}",
        b"{\"messages\": \"\\ud800\"}",
        b"model=x",
        deep.as_bytes(),
    ] {
        service.post(CHAT, body).await.refuses(400, PARAMETER, format);
    }
    let reply = service.post(CHAT, b"{\"model\": \"secret \xff\"}").await;
    reply.refuses(400, PARAMETER, "not UTF-8 at byte 18");
    assert!(!reply.body.contains("secret"));

    let body = request(json!({})).to_string();
    let head = service.head("POST", CHAT, Some(body.len()));
    let head = head.replace("Content-Type", "Content-Encoding: gzip\r\nContent-Type");
    service.send(&head, body.as_bytes()).await.refuses(400, PARAMETER, "Content-Encoding");
}

#[tokio::test]
async fn paths_and_verbs_that_are_not_there_are_refused_in_the_same_shape() {
    let service = Service::start().await;
    for path in ["/", "/v1", "/v1/nothing", "/v2/chat/completions", "/%ff", "/v1/chat/completions/"] {
        service.get(path).await.refuses(404, "not_found", "Request path not found.");
    }
    service.get(CHAT).await.refuses(400, PARAMETER, "Request method 'GET' is not supported.");
    service.post("/v1/models", "{}").await.refuses(400, PARAMETER, "Request method 'POST' is not supported.");
    let head = service.head("DELETE", "/healthz", None);
    service.send(&head, b"").await.refuses(400, PARAMETER, "Request method 'DELETE' is not supported.");
}

#[tokio::test]
async fn keys_that_are_missing_wrong_or_malformed_are_refused_before_the_body_is_looked_at() {
    let service = Service::start().await;
    let right = format!("Bearer {}", service.key);
    let mut headers = vec![
        String::new(),
        "Authorization: \r\n".to_owned(),
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        "Authorization: Basic YTpi\r\n".to_owned(),
        "Authorization: Bearer sk-00000000000000000000000000000000\r\n".to_owned(),
        "Authorization: Bearer sk-\u{e9}\u{e9}\u{e9}\u{e9}\r\n".to_owned(),
        format!("Authorization: Bearer sk-{}\r\n", "a".repeat(5000)),
        format!("Authorization: {}\r\n", service.key),
        format!("Authorization: {right}x\r\n"),
        format!("X-Api-Key: {}\r\n", service.key),
    ];
    headers.push(format!("Authorization: {}\r\n", right.to_uppercase()));
    for header in headers {
        for path in [CHAT, "/v1/models"] {
            let verb = if path == CHAT { "POST" } else { "GET" };
            let head = format!("{verb} {path} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: 1\r\n\r\n");
            let reply = service.send(&head, b"{").await;
            reply.refuses(401, "invalid_api_key", "Incorrect API key provided.");
            assert!(!reply.body.contains("sk-"), "{}", reply.body);
        }
    }
    let head = format!("GET /v1/models HTTP/1.1\r\nHost: x\r\nauthorization: {right}\r\n\r\n");
    assert_eq!(service.send(&head, b"").await.status, 200);
}

#[tokio::test]
async fn an_error_says_nothing_of_the_content() {
    let service = Service::start().await;
    let planted = "PLANTED-7f3a";
    for fields in [
        json!({"temperature": 3}),
        json!({"messages": [{"role": "user", "content": planted}, {"role": "assistant", "content": planted}]}),
        json!({"messages": [{"role": "user", "content": {"x": planted}}]}),
        json!({"stop": [planted, 1]}),
    ] {
        let mut request = request(json!({"messages": [{"role": "user", "content": planted}]}));
        for (key, value) in fields.as_object().unwrap() {
            request[key] = Value::clone(value);
        }
        let reply = service.post(CHAT, request.to_string()).await;
        assert_eq!(reply.status, 400);
        assert!(!reply.body.contains(planted), "{}", reply.body);
    }
}
