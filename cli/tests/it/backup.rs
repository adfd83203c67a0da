//! A backup is made beside a running service, holds no secret, overwrites nothing, and adds up where it is put back.

use std::fs;

use serde_json::json;

use crate::common::{Home, Ran};

fn at(home: &Home, line: &str) -> Ran {
    home.run(&line.split(' ').chain(["--data-dir", "data"]).collect::<Vec<_>>())
}

#[cfg(unix)]
#[test]
fn a_backup_of_a_running_service_is_put_back_and_adds_up() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    at(&home, "accounts create acme").ok();
    at(&home, "topup acme 10").ok();
    let key = at(&home, "keys create --name k --account acme").ok().trim().to_owned();
    let ask = |service: &crate::serve::Service| {
        let messages = json!([{"role": "user", "content": "hello"}]);
        let body = json!({"model": "qwen-plus", "messages": messages, "max_tokens": 2});
        assert_eq!(service.chat(&key, &body).0, 200);
    };
    let service = crate::serve::serve(&home, &["--model", "tiny.gguf", "--alias", "qwen-plus=tiny"]);
    ask(&service);
    let made = at(&home, "backup copy.db --json");
    assert!(made.stderr.contains("key-secret; without it"), "{made:?}");
    let record = made.json();
    ask(&service);
    drop(service);

    let copy = home.path().join("copy.db");
    let (bytes, secret) = (fs::read(&copy).unwrap(), fs::read(home.path().join("data/key-secret")).unwrap());
    assert_eq!(json!([record["file"], record["bytes"]]), json!(["copy.db", bytes.len()]));
    assert!(!bytes.windows(secret.len()).any(|window| window == secret), "the secret is in the copy");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".copy")), "{left:?}");

    fs::create_dir(home.path().join("back")).unwrap();
    fs::copy(&copy, home.path().join("back/qwenda.db")).unwrap();
    fs::copy(home.path().join("data/key-secret"), home.path().join("back/key-secret")).unwrap();
    let audit = |folder: &str| home.run(&["audit", "--json", "--data-dir", folder]).json();
    assert_eq!(json!([audit("back")["requests"], audit("back")["difference"]]), json!([1, null]));
    assert_eq!(json!([audit("data")["requests"], audit("data")["difference"]]), json!([2, null]));
    let mut back = home.command(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "back"]);
    back.args(["--model", "tiny.gguf", "--alias", "qwen-plus=tiny"]);
    ask(&crate::serve::Service::start(back));

    // Without the secret it is said what is missing.
    fs::create_dir(home.path().join("half")).unwrap();
    fs::copy(&copy, home.path().join("half/qwenda.db")).unwrap();
    home.run(&["audit", "--data-dir", "half"])
        .fails(1, &["is not the one that the keys of this folder were made with"]);
}

#[test]
fn what_cannot_be_written_is_refused_and_nothing_is_overwritten() {
    let home = Home::new();
    at(&home, "backup copy.db").fails(2, &["there is no database", "qwenda.db"]);
    assert!(!home.path().join("data").exists(), "a backup made a data folder");
    at(&home, "keys create").ok();
    fs::write(home.path().join("mine.db"), "").unwrap();
    for (line, said) in [
        ("backup", "missing: <FILE>"),
        ("backup mine.db", "FILE cannot be `mine.db`: it is there already"),
        ("backup data", "FILE cannot be `data`: it is there already"),
        ("backup data/qwenda.db", "it is there already"),
        ("backup no/such/folder/copy.db", "cannot write no/such/folder/copy.db"),
        ("backup ..", "FILE cannot be `..`"),
        ("backup ", "FILE"),
    ] {
        at(&home, line).fails(2, &[said]);
        let zh = at(&home, &format!("{line} --lang zh"));
        assert!(zh.code == Some(2) && zh.stderr.starts_with("错误："), "{line}: {zh:?}");
    }
    assert_eq!(fs::read(home.path().join("mine.db")).unwrap(), b"");
    let mut server = home.command(&["backup", "copy.db", "--data-dir", "data"]);
    server.env("QWENDA_DATABASE_URL", "postgres://u:p@127.0.0.1:1/d");
    Ran::of(server.output().unwrap()).fails(2, &["the database is on a server", "`pg_dump`"]);
    assert!(!home.path().join("copy.db").exists());
    assert_eq!(at(&home, "backup copy.db").ok(), "copy.db\n");
}
