//! `web` and `phone`.

use qwenda_backend::BackendError;
use qwenda_testkit::{Gate, Script, scripted::Played};
use serde_json::{Value, json};

use crate::service::{MODEL, Service, Tab, address, get, post, said};

const WEB: &str = env!("CARGO_BIN_EXE_web");
const PHONE: &str = env!("CARGO_BIN_EXE_phone");

fn asks(text: &str) -> String {
    json!({"messages": [{"role": "user", "content": text}]}).to_string()
}

#[tokio::test]
async fn a_page_reads_an_answer_as_it_comes_and_the_key_stays_on_the_server() {
    let service = Service::start().await;
    let mut web = service.command(WEB, &["127.0.0.1:0"]).spawn().unwrap();
    let (host, _) = address(&mut web).await;
    let (status, page) = get(&host, "/").await;
    assert_eq!(status, 200);
    assert!(page.contains("navigator.language") && !page.contains(&service.key));

    service.backend.answer(Script::text(3, &["Hel", "lo\n\nworld"]));
    let body = json!({"messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"},
    ]});
    let (status, events) = post(&host, "/chat", "", &body.to_string()).await;
    assert_eq!(status, 200);
    assert_eq!(
        events,
        "event: text\ndata: \"Hel\"\n\nevent: text\ndata: \"lo\\n\\nworld\"\n\n\
         event: done\ndata: {\"whole\":true,\"tokens\":2}\n\n"
    );
    let said = said(&service.backend.calls()[0]);
    assert_eq!(said, "system: You are a helpful assistant.\nuser: a\nassistant: b\nuser: c\n");
}

#[tokio::test]
async fn a_browser_that_leaves_ends_its_answer() {
    let service = Service::start().await;
    let mut web = service.command(WEB, &["127.0.0.1:0"]).spawn().unwrap();
    let (host, _) = address(&mut web).await;
    let gate = Gate::new();
    let played = service.backend.answer(Script::text(3, &["Hel", "lo"]).wait_before(2, &gate));
    let mut tab = Tab::open(&host, "POST", "/chat", "", &asks("hi")).await;
    tab.sees("Hel").await;
    drop(tab);
    assert_eq!(played.over().await, Played::Dropped(2));
}

#[tokio::test]
async fn a_page_is_told_what_is_wrong_in_its_language_and_cannot_ask_for_more_than_it_may() {
    let service = Service::start().await;
    let mut web = service.command(WEB, &["127.0.0.1:0"]).spawn().unwrap();
    let (host, _) = address(&mut web).await;
    for (headers, words) in [("", "The service says"), ("Accept-Language: zh-CN,zh;q=0.9\r\n", "服务端信息")] {
        let refused = BackendError::PromptTooLong { prompt_tokens: 9, limit_tokens: 8 };
        service.backend.answer(Script::refuse(refused));
        let (status, events) = post(&host, "/chat", headers, &asks("hi")).await;
        assert_eq!(status, 200);
        assert!(events.starts_with("event: error\ndata: \"") && events.contains(words), "{events}");
    }
    let many = json!({"messages": vec![json!({"role": "user", "content": "a"}); 41]}).to_string();
    let large = asks(&"a".repeat(300_000));
    let system = json!({"messages": [{"role": "system", "content": "You are mine."}]}).to_string();
    for (body, expected) in [(many, 400), (large, 413), (system, 422), ("{}".to_owned(), 422)] {
        let (status, _) = post(&host, "/chat", "", &body).await;
        assert_eq!(status, expected, "{}", &body[..body.len().min(60)]);
    }
    assert_eq!(service.backend.calls().len(), 2);
}

#[tokio::test]
async fn a_phone_gets_a_key_that_ends_and_calls_the_service_with_it() {
    let service = Service::start().await;
    let mut phone = service.command(PHONE, &["127.0.0.1:0"]).spawn().unwrap();
    let (host, _) = address(&mut phone).await;
    assert!(get(&host, "/").await.1.contains("fetch(\"token\")"));
    let (status, made) = get(&host, "/token").await;
    assert_eq!(status, 200);
    let made: Value = serde_json::from_str(&made).unwrap();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("st-") && token != service.key);
    assert_eq!(made["base_url"], format!("http://{}/v1", service.addr));

    // What the page does with it.
    let chat = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let headers = format!("Origin: http://{host}\r\nAuthorization: Bearer {token}\r\n");
    let to = service.addr.to_string();
    service.backend.answer(Script::text(1, &["hello"]));
    let (status, answer) = post(&to, "/v1/chat/completions", &headers, &chat(MODEL)).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("hello"));
    // It is good for the one model, and for no further key.
    assert_ne!(post(&to, "/v1/chat/completions", &headers, &chat("qwen-max")).await.0, 200);
    assert_eq!(post(&to, "/api/v1/tokens", &headers, "").await.0, 403);
}

#[tokio::test]
async fn a_service_that_does_not_know_the_key_is_an_error_that_does_not_show_it() {
    let service = Service::start().await;
    let mut command = service.command(PHONE, &["127.0.0.1:0"]);
    let mut phone = command.env("QWENDA_API_KEY", "sk-planted-key").spawn().unwrap();
    let (host, _) = address(&mut phone).await;
    let (status, text) = get(&host, "/token").await;
    assert_eq!(status, 502);
    assert!(text.contains("key") && !text.contains("planted"), "{text}");
}
