//! `desktop`.

use qwenda_testkit::TinyModel;

use crate::service::{Tab, address, bare, get, post};

#[tokio::test]
async fn a_window_talks_to_a_model_in_the_program_and_closing_it_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    TinyModel::qwen2().write(&folder.path().join("tiny.gguf")).unwrap();
    let mut command = bare(env!("CARGO_BIN_EXE_desktop"), &["./tiny.gguf"], folder.path());
    // Without a PATH there is no browser to be opened, so the address is printed.
    let mut desktop = command.env("QWENDA_HOME", folder.path()).spawn().unwrap();
    let (host, path) = address(&mut desktop).await;
    assert!(path.len() > 32, "{path}");
    let mut window = Tab::open(&host, "GET", &format!("{path}window"), "", "").await;
    window.sees("text/event-stream").await;

    assert!(get(&host, &path).await.1.contains("new EventSource"));
    assert_eq!(get(&host, "/").await.0, 404);
    assert_eq!(post(&host, "/chat", "", "[]").await.0, 404);
    let chat = format!("{path}chat");
    let (status, text) = post(&host, &chat, "", r#"[{"role": "user", "content": "hi"}]"#).await;
    assert!(status == 200 && !text.is_empty(), "{status} {text}");
    assert_eq!(post(&host, &chat, "", "[]").await.0, 400);

    drop(window);
    assert!(desktop.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_model_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bare(env!("CARGO_BIN_EXE_desktop"), &["./nowhere.gguf"], folder.path());
    let child = command.env("QWENDA_HOME", folder.path()).spawn().unwrap();
    let ran = crate::service::finish(child, "").await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("nowhere.gguf"), "{}", ran.stderr);
}
