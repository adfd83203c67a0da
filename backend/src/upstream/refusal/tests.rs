use serde_json::json;

use super::*;

fn refused(key: &Secret) -> Refused<'_> {
    Refused { upstream: "cloud", model: "ours", key: Some(key) }
}

/// What the caller gets of a refusal, and whether it is asked again.
fn read(status: u16, body: &str) -> (u16, String, String, bool) {
    let key = Secret::new("sk-secret");
    let fault = refused(&key).with_status(status, body.as_bytes(), Some(1500));
    let shown = format!("{:?}", fault.error);
    assert!(!shown.contains("sk-secret"), "{shown}");
    let body = fault.error.to_body("r");
    (fault.error.status(), body.error.code, body.error.message, fault.again)
}

#[test]
fn each_refusal_has_one_meaning() {
    let openai = |code: &str| format!(r#"{{"error":{{"message":"why","type":"t","param":null,"code":"{code}"}}}}"#);
    let native = |code: &str| format!(r#"{{"code":"{code}","message":"why","request_id":"r"}}"#);
    for (status, body, want, name, again) in [
        (400, openai("invalid_parameter_error"), 400, "invalid_parameter_error", false),
        (400, openai("context_length_exceeded"), 400, "context_length_exceeded", false),
        (422, r#"{"detail":"why"}"#.to_owned(), 400, "invalid_parameter_error", false),
        (413, String::new(), 400, "invalid_parameter_error", false),
        (400, native("DataInspectionFailed"), 400, "data_inspection_failed", false),
        (401, openai("invalid_api_key"), 502, "bad_gateway", false),
        (403, openai("access_denied"), 502, "bad_gateway", false),
        (402, String::new(), 502, "bad_gateway", false),
        (400, native("Arrearage"), 502, "bad_gateway", false),
        (429, native("PrepaidBillOverdue"), 502, "bad_gateway", false),
        (404, openai("model_not_found"), 404, "model_not_found", false),
        (404, "<html>nothing</html>".to_owned(), 404, "model_not_found", false),
        (429, openai("limit_requests"), 429, "limit_requests", true),
        (429, "slow down".to_owned(), 429, "limit_requests", true),
        (429, openai("internal_error"), 429, "limit_requests", true),
        (408, String::new(), 504, "GatewayTimeout", false),
        (500, openai("internal_error"), 503, "ServiceUnavailable", true),
        (501, openai("not_supported_error"), 404, "model_not_supported", false),
        (502, "<html>".to_owned(), 503, "ServiceUnavailable", true),
        (503, String::new(), 503, "ServiceUnavailable", true),
        (504, String::new(), 504, "GatewayTimeout", false),
        (301, String::new(), 502, "bad_gateway", false),
    ] {
        let (got, code, message, again_got) = read(status, &body);
        assert_eq!((got, code.as_str(), again_got), (want, name, again), "{status} {body}: {message}");
        assert!(!message.contains("cloud"), "{status} {body}: {message}");
    }
}

#[test]
fn a_mistake_of_the_caller_is_told_in_the_upstream_s_words_without_our_key() {
    let (_, _, message, _) = read(400, r#"{"error":{"message":"temperature is too hot for sk-secret"}}"#);
    assert_eq!(message, "temperature is too hot for ***");
    let (_, _, message, _) = read(401, r#"{"error":{"message":"Incorrect API key provided: sk-secret"}}"#);
    assert!(message.starts_with("The service behind this model does not admit this server."), "{message}");
    let (_, _, message, _) = read(404, r#"{"error":{"message":"The model `theirs` does not exist"}}"#);
    assert!(message.contains("`ours`") && !message.contains("theirs"), "{message}");
    let (_, _, message, _) = read(500, r#"{"error":{"message":"stack trace"}}"#);
    assert!(!message.contains("stack trace"), "{message}");
}

#[test]
fn a_wait_is_handed_on_where_waiting_helps() {
    let key = Secret::new("k");
    let after = |status, body: &str| refused(&key).with_status(status, body.as_bytes(), Some(1500)).error.retry_after();
    assert_eq!(after(429, ""), Some(1500));
    assert_eq!(after(503, ""), Some(1500));
    assert_eq!(after(400, ""), None);
}

#[test]
fn an_error_in_a_stream_tells_its_status_in_one_of_several_ways() {
    let key = Secret::new("k");
    for (status, event, want, again) in [
        (None, json!({"error": {"message": "m", "code": 400}}), 400, false),
        (None, json!({"object": "error", "message": "m", "code": 429}), 429, true),
        (Some(429), json!({"code": "Throttling", "message": "m"}), 429, true),
        (None, json!({"error": {"message": "m", "type": "t", "code": "data_inspection_failed"}}), 400, false),
        (None, json!({"error": {"message": "m"}}), 503, true),
        (None, json!({"error": "m"}), 503, true),
        (Some(200), json!({"error": {"message": "m"}}), 503, true),
    ] {
        let fault = refused(&key).in_stream(status, event.as_object().unwrap());
        assert_eq!((fault.error.status(), fault.again), (want, again), "{event}");
    }
}
