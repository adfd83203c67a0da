//! `automation`.

use qwenda_backend::BackendError;
use qwenda_testkit::Script;
use serde_json::Value;

use crate::service::{Ran, Service};

const AUTOMATION: &str = env!("CARGO_BIN_EXE_automation");

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn work_is_done_in_spite_of_a_busy_service_and_logged_without_a_text() {
    let service = Service::start().await;
    service.backend.answer(Script::text(3, &["eins"]));
    service.backend.answer(Script::refuse(BackendError::Busy { retry_after_ms: 1 }));
    service.backend.answer(Script::text(3, &["zwei\n", "drei"]));
    let Ran { code, stdout, stderr } =
        service.run(AUTOMATION, &["Translate.", "run.log"], "secret-one\n\nsecret-two\n").await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let answers = lines(&stdout);
    assert_eq!((&answers[0]["line"], &answers[0]["answer"]), (&1.into(), &"eins".into()));
    assert_eq!((&answers[1]["line"], &answers[1]["answer"]), (&3.into(), &"zwei\ndrei".into()));

    let log = service.read("run.log");
    for text in ["secret", "Translate", "eins", "zwei", &service.key] {
        assert!(!log.contains(text), "{text} is in {log}");
    }
    let events: Vec<String> = lines(&log).iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(events, ["sent", "began", "finished", "sent", "failed", "sent", "began", "finished"]);
    let finished = &lines(&log)[7];
    assert_eq!((&finished["attempt"], &finished["input_tokens"]), (&2.into(), &3.into()));
}

#[tokio::test]
async fn what_could_not_be_done_is_said_and_is_the_exit_code() {
    let service = Service::start().await;
    service.backend.answer(Script::refuse(BackendError::PromptTooLong { prompt_tokens: 9, limit_tokens: 8 }));
    service.backend.answer(Script::text(3, &["fine"]));
    let ran = service.run(AUTOMATION, &["Translate."], "one\ntwo\n").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let answers = lines(&ran.stdout);
    assert!(answers[0]["error"].is_string());
    assert_eq!(answers[1]["answer"], "fine");
    assert!(ran.stderr.starts_with("1 "));

    // A key that is wrong is so for all lines: it is asked once.
    let mut command = service.command(AUTOMATION, &["Translate."]);
    let child = command.env("QWENDA_API_KEY", "sk-wrong").spawn().unwrap();
    let ran = crate::service::finish(child, "one\ntwo\nthree\n").await;
    assert_eq!((ran.code, lines(&ran.stdout).len()), (Some(1), 3));
    let sent = lines(&service.read("automation.log")).iter().filter(|line| line["event"] == "sent").count();
    assert_eq!(sent, 3, "two of the run before, one of this");
    assert_eq!(service.run(AUTOMATION, &[], "").await.code, Some(2));
}
