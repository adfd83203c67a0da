//! Keys from their making to their end, and the folder they live in.

use std::sync::Arc;

use qwenda_backend::Priority;
use qwenda_server::{Auth, BindError, ServeConfig, Server, keys};
use qwenda_testkit::{Script, Scripted};

use crate::service::Service;

async fn status(service: &Service, key: &str) -> u16 {
    let head = format!("GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    service.send(&head, b"").await.status
}

#[tokio::test]
async fn a_key_works_from_its_making_to_its_revoking_without_a_restart() {
    let service = Service::start().await;
    let (key, made) = keys::create(service.dir.path(), "laptop").await.unwrap();
    assert_eq!(status(&service, key.reveal()).await, 200);

    let listed = keys::list(service.dir.path()).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&made) && listed.iter().any(|key| key.name == "test"));
    assert!(key.reveal().ends_with(&made.last_four));

    let revoked = keys::revoke(service.dir.path(), "laptop").await.unwrap();
    assert_eq!(revoked.id, made.id);
    assert!(revoked.revoked_at.is_some());
    assert_eq!(status(&service, key.reveal()).await, 401);
    assert_eq!(status(&service, &service.key).await, 200);

    let again = keys::revoke(service.dir.path(), "laptop").await.unwrap_err();
    assert_eq!(again.to_string(), "no working key has the name or id `laptop`");
}

#[tokio::test]
async fn keys_of_one_name_are_revoked_by_id() {
    let dir = tempfile::tempdir().unwrap();
    let (_, a) = keys::create(dir.path(), "ci").await.unwrap();
    let (_, b) = keys::create(dir.path(), "ci").await.unwrap();
    let error = keys::revoke(dir.path(), "ci").await.unwrap_err().to_string();
    assert!(error.contains(&a.id) && error.contains(&b.id), "{error}");
    keys::revoke(dir.path(), &a.id).await.unwrap();
    assert_eq!(keys::revoke(dir.path(), "ci").await.unwrap().id, b.id);
}

#[tokio::test]
async fn names_that_cannot_be_shown_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "  ", "a\nb", "\u{1b}[31m", &"x".repeat(101)] {
        let error = keys::create(dir.path(), name).await.unwrap_err();
        assert!(matches!(error, keys::KeysError::Name), "{name:?}: {error}");
    }
    keys::create(dir.path(), "团队 密钥").await.unwrap();
}

#[tokio::test]
async fn the_folder_holds_no_key_in_clear_and_the_secret_is_the_owner_s() {
    let dir = tempfile::tempdir().unwrap();
    let (key, _) = keys::create(dir.path(), "x").await.unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(key.reveal().len()).any(|window| window == key.reveal().as_bytes());
        assert!(!found, "{} holds the key", path.display());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join(keys::SECRET_FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_lost_or_broken_secret_is_said_and_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join(keys::SECRET_FILE_NAME);
    keys::create(dir.path(), "x").await.unwrap();
    std::fs::write(&secret, "short").unwrap();
    let error = keys::list(dir.path()).await.unwrap_err().to_string();
    assert!(error.contains("it should have 32 bytes"), "{error}");
    std::fs::remove_file(&secret).unwrap();
    for _ in 0..2 {
        let error = keys::list(dir.path()).await.unwrap_err().to_string();
        assert!(error.contains("not the one that the keys of this folder were made with"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_folder_may_be_used_by_many_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let made = (0..8).map(|i| {
        let path = dir.path().to_owned();
        tokio::spawn(async move { keys::create(&path, &format!("k{i}")).await.map(drop) })
    });
    for task in made.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(keys::list(dir.path()).await.unwrap().len(), 8);
    let left = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let drafts = left.filter(|name| name.to_string_lossy().starts_with('.')).count();
    assert_eq!(drafts, 0, "no draft of the secret is left");
}

#[tokio::test]
async fn without_keys_anyone_on_this_machine_may_call_and_nobody_else() {
    let service = Service::with(|config| config.auth = Auth::None).await;
    assert_eq!(service.send("GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n", b"").await.status, 200);
    assert_eq!(status(&service, "sk-whatever").await, 200);

    let mut config = ServeConfig::new("0.0.0.0:0".parse().unwrap(), service.dir.path());
    config.auth = Auth::None;
    let error = Server::bind(config, Arc::new(Scripted::new(&["m"]))).await.unwrap_err();
    assert!(matches!(error, BindError::Config(_)), "{error}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let service = Service::start().await;
    let config = ServeConfig::new(service.addr, service.dir.path());
    let error = Server::bind(config, Arc::new(Scripted::new(&["m"]))).await.unwrap_err().to_string();
    assert!(error.contains(&service.addr.to_string()), "{error}");
}

#[tokio::test]
async fn a_request_says_for_whom_it_is_and_how_urgent() {
    let service = Service::start().await;
    let body = br#"{"model":"qwen-scripted","messages":[{"role":"user","content":"hi"}]}"#;
    let mut asked = Vec::new();
    for header in
        ["", "x-qwenda-priority: interactive\r\n", "x-qwenda-priority: batch\r\n", "x-qwenda-priority: now\r\n"]
    {
        service.backend.answer(Script::text(1, &["hello"]));
        let head = service.head("POST", crate::service::CHAT, Some(body.len()));
        let head = head.replacen("Host: x\r\n", &format!("Host: x\r\n{header}"), 1);
        asked.push(service.send(&head, body).await.status);
    }
    assert_eq!(asked, [200, 200, 200, 400]);
    let calls = service.backend.calls();
    let priorities: Vec<Priority> = calls.iter().map(|call| call.whose.priority).collect();
    assert_eq!(priorities, [Priority::Interactive, Priority::Interactive, Priority::Batch]);
    assert!(calls.iter().all(|call| call.whose.account == calls[0].whose.account && !call.whose.account.is_empty()));
}

#[tokio::test]
async fn metrics_name_models_and_no_caller() {
    let service = Service::start().await;
    let found = service.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"").await;
    assert_eq!(found.status, 200);
    let text = found.body;
    assert!(text.contains("\nqwenda_requests_total 0\n") && !text.contains("sk-"), "{text}");
}
