//! What the log holds, and what it never does.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use qwenda_backend::BackendError;
use qwenda_testkit::Script;
use serde_json::json;

use crate::service::{CHAT, Service, request};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn neither_keys_nor_prompts_nor_answers_are_logged_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // All of this test runs on one thread, so a subscriber of this thread hears it all.
    let _heard = tracing::subscriber::set_default(subscriber);

    let service = Service::start().await;
    let planted = "PLANTED-PROMPT";
    let fields =
        |stream| json!({"messages": [{"role": "user", "content": planted}], "stream": stream, "user": planted});
    for stream in [false, true] {
        service.backend.answer(Script::text(3, &["PLANTED-ANSWER"]));
        assert_eq!(service.chat(fields(stream)).await.status, 200);
    }
    service.backend.answer(Script::refuse(BackendError::Internal("page 7 is torn".to_owned())));
    assert_eq!(service.chat(fields(false)).await.status, 500);
    let wrong = request(json!({"temperature": 3, "messages": [{"role": "user", "content": planted}]}));
    let refused = service.post(CHAT, wrong.to_string()).await;
    assert_eq!(refused.status, 400);
    assert_eq!(service.post(CHAT, format!("{{\"{planted}")).await.status, 400);
    assert_eq!(service.get(&format!("/{planted}?key={}", service.key)).await.status, 404);
    let head = "GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-PLANTED-KEY\r\n\r\n";
    assert_eq!(service.send(head, b"").await.status, 401);

    let text = log.text();
    for secret in ["PLANTED", &service.key, &service.key[3..]] {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
    // What an operator does find: the failure with its cause, each request with its id, the usage.
    for wanted in ["page 7 is torn", refused.request_id(), "outcome=\"finished\"", "completion_tokens=1"] {
        assert!(text.contains(wanted), "{wanted} is not in the log:\n{text}");
    }
    assert_eq!(text.matches("settled").count(), 2);
}
