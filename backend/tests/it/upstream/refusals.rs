//! Refusals of the upstream, and when it is asked again.

use qwenda_testkit::{FakeUpstream, Reply};
use qwenda_types::error::Code;
use serde_json::json;

use super::asking::{ANSWER, KEY, ask, asked_once, text, upstream};

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, json!({"error": {"message": message, "type": code, "param": null, "code": code}}).to_string())
}

#[tokio::test]
async fn who_is_throttled_waits_and_is_answered() {
    let fake = FakeUpstream::start().await;
    fake.reply(refusal(429, "limit_requests", "slow").header("retry-after", "0"));
    fake.reply(Reply::new(503, "text/html", "<html>").header("retry-after-ms", "1"));
    fake.reply(Reply::events(&ANSWER));
    let (events, error) = ask(&upstream(&fake, "retries = 2"), json!({"seed": 5})).await;
    assert_eq!((text(&events).as_str(), error), ("你好", None));
    let asked = fake.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|one| one.body == asked[0].body && one.body["seed"] == 5));
}

#[tokio::test]
async fn retries_end_with_what_the_upstream_said_last() {
    let fake = FakeUpstream::start().await;
    fake.reply(Reply::json(500, "{}"));
    fake.reply(refusal(429, "limit_requests", "slow").header("retry-after", "0"));
    fake.reply(Reply::events(&ANSWER));
    let (events, error) = ask(&upstream(&fake, "retries = 1"), json!({})).await;
    let error = error.unwrap();
    assert_eq!((events.len(), error.status(), error.retry_after()), (0, 429, Some(0)));
    assert_eq!(fake.asked().len(), 2);
}

#[tokio::test]
async fn a_long_wait_is_left_to_the_caller() {
    let fake = FakeUpstream::start().await;
    fake.reply(refusal(429, "limit_requests", "slow").header("retry-after", "3600"));
    let (_, error) = ask(&upstream(&fake, ""), json!({})).await;
    assert_eq!(error.unwrap().retry_after(), Some(3_600_000));
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn what_asking_again_does_not_help_is_asked_once() {
    for (reply, code) in [
        (refusal(400, "invalid_parameter_error", "no"), Code::InvalidParameter),
        (refusal(401, "invalid_api_key", &format!("Incorrect API key provided: {KEY}")), Code::BadGateway),
        (refusal(403, "access_denied", "no"), Code::BadGateway),
        (refusal(404, "model_not_found", "no `theirs`"), Code::ModelNotFound),
        (Reply::new(307, "text/plain", "").header("location", "http://127.0.0.1:9/v1"), Code::BadGateway),
    ] {
        let fake = FakeUpstream::start().await;
        fake.reply(reply);
        let (_, error) = ask(&upstream(&fake, ""), json!({})).await;
        let error = error.unwrap();
        assert_eq!(error.code(), code, "{error:?}");
        assert!(!error.message().contains("theirs"), "{error:?}");
        assert_eq!(fake.asked().len(), 1, "{error:?}");
    }
}

#[tokio::test]
async fn a_mistake_is_told_as_the_upstream_words_it() {
    let (_, error) = asked_once(refusal(400, "context_length_exceeded", "32769 tokens are too many")).await;
    let body = error.unwrap().to_body("r");
    assert_eq!(body.error.message, "32769 tokens are too many");
    assert_eq!(body.error.code, "context_length_exceeded");
}
