//! What the log holds, and what it never does.

use std::{
    cell::RefCell,
    io::{self, Write},
    sync::Once,
};

use qwenda_backend::BackendError;
use qwenda_testkit::Script;
use serde_json::json;

use crate::service::{CHAT, Service, request};

thread_local! {
    // Each test runs on a thread of its own, so this is one test's log.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs everything of all tests. One subscriber for the whole process: with one per test, what is
/// logged by one would depend on which others run.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        let subscriber = everything.with_ansi(false).with_writer(|| Log).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// What this test has logged so far.
pub(crate) fn logged() -> String {
    LOG.with_borrow(|log| String::from_utf8(log.clone()).unwrap())
}

#[tokio::test]
async fn neither_keys_nor_prompts_nor_answers_are_logged_at_any_level() {
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

    let text = logged();
    for secret in ["PLANTED", &service.key, &service.key[3..]] {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
    // What an operator does find: the failure with its cause, each request with its id, the usage.
    for wanted in ["page 7 is torn", refused.request_id(), "outcome=\"finished\"", "completion_tokens=1"] {
        assert!(text.contains(wanted), "{wanted} is not in the log:\n{text}");
    }
    assert_eq!(text.matches("settled").count(), 2);
}
