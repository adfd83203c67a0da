//! What nobody can have meant, and databases that cannot be used: clear errors, and nothing half-done.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection};
use tokio::runtime::Runtime;

use crate::{
    check,
    home::{self, Home},
    upstream::Upstream,
    wire::{Answer, Ask, request},
};

/// That a command ends with this code, says this, and nothing on stdout.
#[track_caller]
fn fails(mut command: Command, code: i32, said: &str) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(code) && output.stdout.is_empty() && stderr.contains(said), "{output:?}");
}

/// Everything that an operator is shown.
fn shown(home: &Home) -> [Value; 4] {
    ["accounts list", "accounts show acme", "keys list", "audit"].map(|line| home.json(line))
}

#[test]
fn a_database_from_the_future_is_refused_by_every_command_and_left_alone() {
    let upstream = Upstream::start(home::seed());
    let home = Home::new(&upstream, None);
    home.run("accounts create acme");
    let path = home.data().join("qwenda.db");
    sqlx::any::install_default_drivers();
    Runtime::new().unwrap().block_on(async {
        let mut connection = AnyConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'later', TRUE, x'00', 0)",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        connection.close().await.unwrap();
    });
    let before = fs::read(&path).unwrap();
    for line in [
        "serve --listen 127.0.0.1:0",
        "accounts list",
        "accounts create other",
        "topup acme 1",
        "keys create --account acme",
        "usage",
        "audit",
    ] {
        fails(home.command(line), 1, "written by a newer version of this program (schema 9999");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_that_may_not_be_written_is_refused_before_anybody_is_served() {
    let upstream = Upstream::start(home::seed());
    let home = Home::new(&upstream, None);
    home.run("accounts create acme");
    // Root may write everything; then the service runs as somebody else, who must find everything it needs.
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let program = home.path().join("qwenda");
    if is_root {
        fs::copy(env!("CARGO_BIN_EXE_qwenda"), &program).unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let as_other = |line: &str| {
        let inner = home.command(line);
        if !is_root {
            return inner;
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).args(inner.get_args());
        command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(home.path());
        command
    };
    for file in fs::read_dir(home.data()).unwrap() {
        fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o444)).unwrap();
    }
    for (folder, said) in [(0o555, "cannot open the database"), (0o777, "cannot open the database")] {
        fs::set_permissions(home.data(), fs::Permissions::from_mode(folder)).unwrap();
        let before = fs::read(home.data().join("qwenda.db")).unwrap();
        for line in ["serve --listen 127.0.0.1:0", "topup acme 1", "keys create --account acme"] {
            fails(as_other(line), 1, said);
        }
        assert_eq!(fs::read(home.data().join("qwenda.db")).unwrap(), before);
    }
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn amounts_that_make_no_sense_are_refused_over_http_and_change_nothing() {
    let upstream = Upstream::start(home::seed());
    let home = Home::new(&upstream, None);
    home.run("accounts create acme --credit 1");
    home.run("topup acme 5");
    let key = home.run("keys create --name k --account acme");
    let admin = home.run("admin keys create --role owner --name me");
    let server = home.serve();
    let before = shown(&home);
    let ask = |method: &str, path: &str, key: &str, more: &str, body: &Value, named: &str| {
        let headers = format!("authorization: Bearer {key}\r\n{more}");
        let (status, answer) = request(server.address(), method, path, &headers, &body.to_string());
        assert!((400..500).contains(&status) && answer.contains(named), "{method} {path} {more}{body}: {answer}");
    };
    let chat = Ask { mark: (0, 1), ..Ask::default() }.body();
    for most in ["-1", "0.0000000001", "1e3", "NaN", "inf", "1,5", "9223372036.854775808", "99999999999999999999999"] {
        let more = format!("x-qwenda-max-cost: {most}\r\n");
        ask("POST", "/v1/chat/completions", &key, &more, &chat, "max-cost");
    }
    for tokens in [json!(-1), json!(0), json!(1.5), json!(1e30), json!("18446744073709551616")] {
        let mut body = chat.clone();
        body["max_tokens"] = tokens;
        ask("POST", "/v1/chat/completions", &key, "", &body, "max_tokens");
    }
    let topups = "/admin/v1/accounts/acme/topups";
    for amount in ["0", "", "x", "1e3", "1,5", "0.0000000001", "9223372036.854775808", "9223372036.854775807"] {
        ask("POST", topups, &admin, "", &json!({"id": "a", "amount": amount}), "amount");
    }
    ask("POST", topups, &admin, "", &json!({"id": "a", "amount": "-5.000000001"}), "paid back");
    let grants = "/admin/v1/accounts/acme/grants";
    for tokens in [json!(0), json!(-1), json!(1.5), json!(9_223_372_036_854_775_808_u64), json!("x")] {
        ask("POST", grants, &admin, "", &json!({"id": "a", "tokens": tokens}), "tokens");
    }
    for (field, value) in [
        ("currency", json!("EUR")),
        ("currency", json!("cny ")),
        ("credit", json!("-1")),
        ("credit", json!("9223372036.854775808")),
    ] {
        ask("POST", "/admin/v1/accounts", &admin, "", &json!({"name": "x", field: value}), field);
    }
    for budget in ["budget_day", "budget_month", "budget_total"] {
        for amount in ["-1", "0.0000000001", "9223372036.854775808", "x"] {
            ask("POST", "/admin/v1/keys", &admin, "", &json!({"name": "x", "account": "acme", budget: amount}), budget);
        }
    }
    assert_eq!(shown(&home), before);
    assert!(upstream.sent().is_empty(), "somebody was asked for an answer");
    server.stop();
    check::adds_up(&home);
}

#[test]
fn a_budget_below_what_is_spent_is_refused_and_the_old_one_goes_on() {
    let upstream = Upstream::start(home::seed());
    let home = Home::new(&upstream, None);
    home.run("accounts create acme");
    home.run("topup acme 5");
    let key = home.run("keys create --name k --account acme --budget-total 2");
    let server = home.serve();
    let ask = |number: u64| {
        let ask = Ask { mark: (0, number), max_tokens: Some(10), ..Ask::default() };
        let answer = Answer::begin(server.address(), &key, &ask).unwrap();
        (answer.status, answer.whole().unwrap())
    };
    assert_eq!(ask(100).0, 200);
    // 100 tokens of input and ten of output are spent.
    let before = home.json("limits k");
    fails(home.command("limits k --budget-total 0.000119999"), 2, "0.00012");
    assert_eq!(home.json("limits k"), before);
    assert_eq!(ask(101).0, 200);
    // What is spent and no more may be the budget; then nothing fits it any more, and the balance is left alone.
    home.run("limits k --budget-total 0.000241");
    let (status, body) = ask(102);
    assert!(status == 429 && body.contains("budget"), "{status} {body}");
    assert_eq!(home.json("accounts show acme")["balance"], "4.999759");
    server.stop();
    check::adds_up(&home);
    check::nothing_stays_held(&home);
}
