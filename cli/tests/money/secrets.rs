//! Keys, prompts and answers are planted, and looked for wherever something stays: the log at its most talkative,
//! what is said of errors, `/metrics`, the database with all that belongs to it, and its backup.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    home::{self, Home, Server},
    upstream::{self, Upstream},
    wire::{Answer, Ask, request},
};

const CHAT: &str = "/v1/chat/completions";
const NATIVE: &str = "/api/v1/services/aigc/text-generation/generation";
const PROMPT: &str = "the-vault-opens-at-4711";
const WRONG: &str = "sk-a-key-that-is-none-4711";

/// What must be nowhere, and what it is called where it is found.
type Secrets = Vec<(&'static str, Vec<u8>)>;

fn check(secrets: &Secrets, place: &str, bytes: &[u8]) {
    for (name, secret) in secrets {
        let found = bytes.windows(secret.len()).position(|window| window == secret);
        assert!(found.is_none(), "{name} is in {place} at {found:?}");
    }
}

/// Every file of a folder, by its name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            // Sockets, and what is gone meanwhile, have nothing in them.
            all.push((path.to_string_lossy().into_owned(), bytes));
        }
    }
    all
}

fn chat(stream: bool) -> Value {
    json!({
        "model": "m",
        "messages": [{"role": "system", "content": PROMPT}, {"role": "user", "content": PROMPT}],
        "stream": stream,
        "user": PROMPT,
    })
}

/// Requests that are answered. The mark of the upstream comes first.
fn asks(server: &Server, key: &str) {
    let bearer = format!("authorization: Bearer {key}\r\n");
    for stream in [false, true] {
        let mut body = chat(stream);
        body["messages"][0]["content"] = format!("0 7 {PROMPT}").into();
        for headers in [bearer.clone(), format!("{bearer}idempotency-key: {stream}\r\n")] {
            for _ in 0..2 {
                let (status, answer) = request(server.address(), "POST", CHAT, &headers, &body.to_string());
                assert!(status == 200 && answer.contains(upstream::WORD.trim()), "{answer}");
            }
        }
        let native = json!({"model": "m", "input": {"messages": body["messages"]}}).to_string();
        let headers = if stream { format!("{bearer}x-dashscope-sse: enable\r\n") } else { bearer.clone() };
        let (status, answer) = request(server.address(), "POST", NATIVE, &headers, &native);
        assert!(status == 200 && answer.contains(upstream::WORD.trim()), "{answer}");
    }
    // One leaves in the middle.
    let ask = Ask { mark: (0, 8), stream: true, ..Ask::default() };
    drop(Answer::begin(server.address(), key, &ask).unwrap().event().unwrap());
}

/// Requests that are refused, each with one thing wrong with it: what is said of them.
fn refusals(server: &Server, key: &str, admin: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut refused = |path: &str, headers: &str, body: &str| {
        let (status, answer) = request(server.address(), "POST", path, headers, body);
        assert!(status >= 400, "{path} {body}: {answer}");
        // These the upstream puts into words, and it says them to who sent the prompt.
        let in_its_words = matches!(status, 400 | 429) && answer.contains("refused: ");
        all.push(if in_its_words { answer.replace(PROMPT, "") } else { answer });
    };
    let bearer = format!("authorization: Bearer {key}\r\n");
    let whole = chat(false).to_string();
    for (field, value) in [
        ("model", json!("none")),
        ("temperature", json!(9)),
        ("n", json!(0)),
        ("max_tokens", json!("many")),
        ("stop", json!({"a": 1})),
        ("tools", json!([{"type": "function"}])),
        ("response_format", json!({"type": "poem"})),
        // What the upstream refuses with all it was sent.
        ("seed", json!(400)),
        ("seed", json!(401)),
        ("seed", json!(403)),
        ("seed", json!(429)),
        ("seed", json!(500)),
    ] {
        let mut body = chat(false);
        body["messages"][0]["content"] = format!("0 9 {PROMPT}").into();
        body[field] = value;
        refused(CHAT, &bearer, &body.to_string());
        body["stream"] = true.into();
        refused(CHAT, &bearer, &body.to_string());
        let parameters = json!({field: body[field]});
        let native = json!({"model": "m", "input": {"messages": body["messages"]}, "parameters": parameters});
        if !matches!(field, "model" | "max_tokens" | "seed") {
            refused(NATIVE, &bearer, &native.to_string());
        }
    }
    refused(CHAT, &bearer, &whole[..whole.len() - 20]);
    refused(CHAT, &bearer, &whole.replace("\"user\"", "\"nobody\""));
    refused(NATIVE, &bearer, &whole);
    refused(CHAT, &format!("{bearer}x-qwenda-max-cost: -1\r\n"), &whole);
    refused(CHAT, &format!("{bearer}x-qwenda-max-cost: 0.000000001\r\n"), &whole);
    refused(CHAT, "", &whole);
    refused(CHAT, &format!("authorization: Bearer {WRONG}\r\n"), &whole);
    refused(CHAT, &format!("authorization: Bearer {}x\r\n", &key[..key.len() - 1]), &whole);
    refused(CHAT, &format!("authorization: {key}\r\n"), &whole);
    refused(CHAT, &format!("authorization: Bearer {admin}\r\n"), &whole);
    refused("/admin/v1/accounts", &bearer, "{}");
    refused("/admin/v1/accounts", &format!("authorization: Bearer {admin}\r\n"), "{\"name\": 7}");
    all
}

fn nothing_stays(database_url: Option<String>, data_of_server: Option<&Path>) {
    let upstream = Upstream::start(home::seed());
    let home = Home::new(&upstream, database_url);
    home.run("accounts create acme");
    home.run("topup acme 10");
    let key = home.run("keys create --account acme");
    let rotated = home.run("keys create --name old --account acme");
    let admin = home.run("admin keys create --role owner --name me");
    let signing = home.run("admin keys create --role owner --name robot --signing");
    let mut command = home.command("serve --listen 127.0.0.1:0");
    command.env("QWENDA_LOG", "trace");
    let server = Server::start(command);

    asks(&server, &key);
    let token = request(
        server.address(),
        "POST",
        "/api/v1/tokens?expire_in_seconds=60",
        &format!("authorization: Bearer {key}\r\n"),
        "",
    );
    let token: Value = serde_json::from_str(token.1.split_once("\r\n\r\n").unwrap().1).unwrap();
    let token = token["token"].as_str().unwrap();
    asks(&server, token);
    asks(&server, &rotated);
    let new = home.run("keys rotate old --overlap 1d");
    asks(&server, &new);

    let secrets: Secrets = [
        ("the key", key.as_str()),
        ("the rotated key", &rotated),
        ("the key it was rotated to", &new),
        ("the temporary key", token),
        ("the admin key", &admin),
        ("what an administrator signs with", signing.split_once(' ').unwrap().1),
        ("the upstream's key", upstream::KEY),
        ("a wrong key", WRONG),
        ("a prompt", PROMPT),
        ("an answer", upstream::WORD.trim()),
    ]
    .map(|(name, secret)| (name, secret.as_bytes().to_vec()))
    .into_iter()
    .chain([("the secret of all keys", fs::read(home.data().join("key-secret")).unwrap())])
    .collect();
    for answer in refusals(&server, &key, &admin) {
        check(&secrets, &format!("an error: {answer}"), answer.as_bytes());
    }
    let (status, metrics) = request(server.address(), "GET", "/metrics", "", "");
    assert_eq!(status, 200);
    check(&secrets, "/metrics", metrics.as_bytes());

    let look = |when: &str| {
        let mut of_books = 0;
        for (name, bytes) in data_of_server.into_iter().chain([home.data().as_path()]).flat_map(files) {
            if !name.ends_with("key-secret") {
                of_books += usize::from(bytes.windows(11).any(|window| window == b"used:tokens"));
                check(&secrets, &format!("{name} {when}"), &bytes);
            }
        }
        assert!(of_books > 0, "the books are not where they are looked for");
    };
    if data_of_server.is_none() {
        let wal = fs::metadata(home.data().join("qwenda.db-wal")).unwrap();
        assert!(wal.len() > 0, "nothing stands before the database");
        home.run("backup copy.db");
        check(&secrets, "the backup", &fs::read(home.path().join("copy.db")).unwrap());
    }
    look("while it serves");
    let log = server.stop();
    assert!(log.contains("settled") && log.contains("TRACE"), "{log}");
    check(&secrets, "the log", log.as_bytes());
    look("when it has stopped");
}

#[test]
fn nothing_secret_stays_anywhere_on_sqlite() {
    nothing_stays(None, None);
}

#[test]
fn nothing_secret_stays_anywhere_on_postgres() {
    let Some(database) = home::postgres() else { return };
    let url = database.url("postgres");
    let folder = url.split_once("host=").unwrap().1.to_owned();
    nothing_stays(Some(url), Some(Path::new(&folder)));
}
