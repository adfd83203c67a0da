//! A planted key, looked for wherever it must not be.

use std::io;

use qwenda::{Client, Error, Lang, Mock, transport::TransportError};
use serde_json::json;

use crate::faults::{Act, Service};

const KEY: &str = "sk-planted-4c9f";
const PROMPT: &str = "prompt-planted-77ab";

/// Everything that an error shows.
fn shown(error: &Error) -> String {
    format!(
        "{error}\n{error:?}\n{error:#?}\n{}\n{}\n{}",
        error.report(),
        error.friendly(Lang::En),
        error.friendly(Lang::Zh)
    )
}

fn check(text: &str) {
    assert!(!text.contains("planted"), "{text}");
}

#[tokio::test]
async fn neither_key_nor_prompt_is_in_what_errors_and_debug_show() {
    let echo = format!(r#"{{"error":{{"code":"invalid_api_key","message":"Incorrect API key provided: {KEY}"}}}}"#);
    let html = format!("<html>{KEY}</html>");
    let wrong = format!("data: {{\"choices\": \"{PROMPT}\"}}\n\n");
    for act in [
        Act::answer(401, "", &echo),
        Act::answer(502, "", &html),
        Act::answer(400, "", &html),
        Act::answer(200, "content-type: text/html\r\n", &html),
        Act::events(&format!("data: {echo}\n\n")),
        Act::events(&wrong),
        Act::events(&format!("data: {PROMPT}\n\nx\n\n")),
        Act::HangUp,
    ] {
        let service = Service::start(vec![act]).await;
        let client = Client::builder().base_url(&service.url).key(KEY).build().unwrap();
        let chat = client.chat("m").user(PROMPT);
        check(&format!("{client:?} {chat:?} {:?}", Client::builder().key(KEY).header("x-secret", KEY)));
        check(&shown(&chat.await.unwrap_err()));
        assert!(service.requests()[0].contains(KEY) && service.requests()[0].contains(PROMPT), "they are sent");
    }
}

#[tokio::test]
async fn what_is_remembered_and_what_comes_back_debugs_without_texts() {
    let mock = Mock::new().tool_calls([("f", json!({"a": PROMPT}))]).stream([PROMPT, KEY]).cut_after(3);
    let client = mock.builder().key(KEY).build().unwrap();
    let reply = client.chat("m").user(PROMPT).await.unwrap();
    check(&format!("{reply:?} {:?}", reply.tool_calls()));
    let mut stream = client.chat("m").user(PROMPT).stream().await.unwrap();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => check(&format!("{event:?} {stream:?}")),
            Err(error) => check(&shown(&error)),
        }
    }
    check(&format!("{:?} {mock:?}", mock.requests()));
}

/// Writes the log into memory.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn neither_key_nor_prompt_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // For all tests: a subscriber of one thread loses what another thread had asked about before.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mock = Mock::new()
        .error(503, format!("busy {KEY} {PROMPT}"))
        .fail(TransportError::Connect { why: "refused".to_owned() })
        .stream([PROMPT]);
    let client = mock.builder().key(KEY).build().unwrap();
    client.chat("m").user(PROMPT).await.unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("sending again") && text.contains("gen_ai.request.model"), "{text}");
    check(&text);
}
