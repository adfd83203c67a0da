//! `qwenda chat` asks a service: what is sent, what is shown, and how it ends when it does not answer.

use std::{
    io::Read,
    net::TcpListener,
    process::{Command, Stdio},
};

use qwenda_testkit::{Asked, FakeUpstream, Framing, Reply};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::common::{Home, Ran};

const SECRET: &str = "sk-never-shown";

/// A service with a script, and a home to ask it from.
pub struct Asks {
    pub home: Home,
    service: FakeUpstream,
    _runtime: Runtime,
}

impl Asks {
    pub fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let service = runtime.block_on(FakeUpstream::start());
        Self { home: Home::new(), service, _runtime: runtime }
    }

    pub fn reply(&self, reply: Reply) {
        self.service.reply(reply);
    }

    pub fn url(&self) -> String {
        self.service.base_url()
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.service.asked()
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.home.command(&[&["chat"], args].concat());
        let ran = Ran::of(command.envs(self.env()).output().unwrap());
        assert!(!format!("{ran:?}").contains(SECRET), "{ran:#?}");
        ran
    }

    pub fn env(&self) -> [(String, String); 2] {
        [("QWENDA_BASE_URL", self.url()), ("QWENDA_API_KEY", SECRET.to_owned())].map(|(k, v)| (k.to_owned(), v))
    }
}

fn chunk(delta: Value, finish: Value) -> String {
    json!({"id": "c-1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).to_string()
}

fn usage() -> String {
    let details = json!({"reasoning_tokens": 40});
    json!({"id": "c-1", "choices": [], "usage": {
        "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500, "completion_tokens_details": details
    }})
    .to_string()
}

/// An answer that reasons and then says these pieces.
pub fn answer(reasoning: &str, texts: &[&str]) -> Reply {
    let mut events = Vec::new();
    if !reasoning.is_empty() {
        events.push(chunk(json!({"reasoning_content": reasoning}), Value::Null));
    }
    events.extend(texts.iter().map(|text| chunk(json!({"content": text}), Value::Null)));
    events.extend([chunk(json!({}), "stop".into()), usage(), "[DONE]".to_owned()]);
    Reply::events(&events.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The beginning of an answer; the rest never comes.
pub fn begun(text: &str) -> Reply {
    Reply::events(&[&chunk(json!({"content": text}), Value::Null)]).framed(Framing::Close).hanging()
}

#[test]
fn a_service_that_the_environment_names_is_asked_and_its_price_is_under_the_answer() {
    let asks = Asks::new();
    asks.reply(answer("", &["Because ", "of Rayleigh."]));
    let ran = asks.run(&["why?", "--system", "be brief", "--temperature", "0.5"]);
    assert_eq!(ran.ok(), "Because of Rayleigh.\n");
    assert!(ran.stderr.contains("1000 tokens in, 500 out"), "{ran:#?}");
    assert!(ran.stderr.contains(" CNY at list price]"), "{ran:#?}");
    let asked = asks.asked();
    assert!(asked[0].head.contains(SECRET));
    let body = &asked[0].body;
    assert_eq!(body["model"], "qwen-plus");
    assert_eq!(body["temperature"], 0.5);
    let said = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "why?"}]);
    assert_eq!(body["messages"], said);
}

#[test]
fn a_file_answers_here_and_so_does_everything_that_is_to_be_local() {
    let asks = Asks::new();
    asks.run(&["hi", "--model", "tiny.gguf", "--max-tokens", "3"]).ok();
    asks.run(&["hi", "--local", "--model", "gpt-9"]).fails(3, &["there is no model `gpt-9`"]);
    assert!(asks.asked().is_empty());
    asks.reply(answer("", &["4"]));
    assert_eq!(asks.run(&["2+2", "--model", "gpt-9"]).ok(), "4\n");
    assert_eq!(asks.asked()[0].body["model"], "gpt-9");
}

#[test]
fn reasoning_is_one_line_beside_the_answer_unless_it_is_asked_for() {
    let asks = Asks::new();
    for _ in 0..4 {
        asks.reply(answer("First I add.", &["4"]));
    }
    let folded = asks.run(&["2+2"]);
    assert_eq!(folded.ok(), "4\n");
    assert!(folded.stderr.contains("(thought for ") && !folded.stderr.contains("First I add"), "{folded:#?}");
    let shown = asks.run(&["2+2", "--reasoning", "--think"]);
    assert_eq!(shown.ok(), "4\n");
    assert!(shown.stderr.contains("First I add.\n(thought for "), "{shown:#?}");
    assert_eq!(asks.asked()[1].body["enable_thinking"], true);
    let quiet = asks.run(&["2+2", "--quiet", "--reasoning"]);
    assert_eq!((quiet.ok(), quiet.stderr.as_str()), ("4\n", ""));
    let record = asks.run(&["2+2", "--json", "--no-stream"]).json();
    assert_eq!((&record["reasoning"], &record["usage"]["reasoning_tokens"]), (&json!("First I add."), &json!(40)));
    assert_eq!(record["cost"]["currency"], "CNY");
    assert_eq!(record["timings"]["prefill_ms"], Value::Null);
}

#[test]
fn every_kind_of_refusal_has_its_exit_code_and_says_whether_it_is_billed() {
    let asks = Asks::new();
    for (status, code, exit) in [
        (401, "invalid_api_key", 6),
        (403, "AccessDenied", 6),
        (400, "Arrearage", 7),
        (403, "AllocationQuota.FreeTierOnly", 7),
        (404, "model_not_found", 3),
        (429, "limit_requests", 8),
        (500, "internal_error", 10),
        (400, "data_inspection_failed", 11),
        (400, "invalid_parameter_error", 2),
    ] {
        let body = json!({"error": {"code": code, "message": "as the service has it"}}).to_string();
        asks.reply(Reply::json(status, body).header("x-should-retry", "false").header("x-request-id", "req-7"));
        let ran = asks.run(&["hi"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(exit), ""), "{status} {code}: {ran:#?}");
        assert!(ran.stderr.contains("billed") && ran.stderr.contains("req-7"), "{ran:#?}");
    }
    let body = json!({"error": {"code": "Arrearage", "message": "no"}}).to_string();
    asks.reply(Reply::json(400, body));
    let zh = asks.run(&["hi", "--lang", "zh"]);
    assert!(zh.stderr.contains("不计费"), "{zh:#?}");
}

#[test]
fn an_answer_that_breaks_off_is_no_success() {
    let asks = Asks::new();
    let whole = answer("", &["Because ", "of Rayleigh."]).framed(Framing::Close);
    let before = String::from_utf8(whole.bytes()).unwrap().find("of Rayleigh").unwrap();
    asks.reply(whole.cut(before));
    let ran = asks.run(&["why?"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(10), "Because \n"), "{ran:#?}");
    assert!(ran.stderr.contains("What came of the answer is billed"), "{ran:#?}");
}

#[test]
fn nobody_at_the_address_is_exit_9() {
    let asks = Asks::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = asks.home.command(&["chat", "hi"]);
    let ran = Ran::of(command.env("QWENDA_BASE_URL", format!("http://{free}/v1")).output().unwrap());
    ran.fails(9, &["No connection", "It is not billed"]);
}

#[test]
fn an_address_that_is_none_is_a_wrong_setting() {
    let home = Home::new();
    let ran = Ran::of(home.command(&["chat", "hi"]).env("QWENDA_BASE_URL", "nowhere").output().unwrap());
    ran.fails(2, &[]);
}

#[test]
fn a_service_whose_answer_is_stopped_is_told_before_the_program_ends() {
    let asks = Asks::new();
    asks.reply(begun("Because of "));
    asks.reply(answer("", &["gone"]));
    let mut command = asks.home.command(&["chat", "why"]);
    let mut child = command.envs(asks.env()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut read = [0; 7];
    child.stdout.as_mut().unwrap().read_exact(&mut read).unwrap();
    assert_eq!(&read, b"Because");
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let asked = asks.asked();
    let key =
        |asked: &Asked| asked.head.lines().find_map(|line| line.strip_prefix("idempotency-key: ").map(str::to_owned));
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1].head.to_lowercase().starts_with("delete ") && asked[1].head.contains("/replay"), "{asked:?}");
    assert!(key(&asked[0]).is_some());
    assert_eq!(key(&asked[0]), key(&asked[1]));
}
