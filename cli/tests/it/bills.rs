//! Usage and bills of requests that a real service answered, to the nano.

use serde_json::{Value, json};

use crate::{
    common::{Home, Ran},
    serve::serve,
};

fn at(home: &Home, line: &str) -> Ran {
    home.run(&line.split(' ').chain(["--data-dir", "data"]).collect::<Vec<_>>())
}

fn nanos(amount: &Value) -> i64 {
    let text = amount.as_str().unwrap();
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{behind:0<9}").parse().unwrap()
}

/// A home with two requests: one that a quota pays in part, one that money pays.
fn home() -> Home {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    at(&home, "accounts create other").ok();
    at(&home, "topup acme 10").ok();
    at(&home, "grant acme 3").ok();
    let key = home.run(&["keys", "create", "--data-dir", "data", "--name", "=1+1,\"x\"", "--account", "acme"]);
    let key = key.ok().trim().to_owned();
    let service = serve(&home, &["--model", "tiny.gguf", "--alias", "qwen-plus=tiny"]);
    for content in ["hello", "how are you"] {
        let (status, body) = service.chat(
            &key,
            &json!({"model": "qwen-plus", "messages": [{"role": "user", "content": content}], "max_tokens": 4}),
        );
        assert_eq!(status, 200, "{body}");
    }
    home
}

#[test]
fn usage_and_bill_come_to_what_the_balance_lost() {
    let home = home();
    at(&home, "audit").ok();
    let account = at(&home, "accounts show acme --json").json();
    let paid = 10_000_000_000 - nanos(&account["balance"]);
    assert!(paid > 0 && account["held"] == "0", "{account}");

    for by in ["minute", "hour", "day"] {
        let usage = at(&home, &format!("usage --by {by} --json")).json();
        let rows = usage["rows"].as_array().unwrap();
        assert_eq!(rows.iter().map(|row| row["requests"].as_i64().unwrap()).sum::<i64>(), 2, "{usage}");
        assert_eq!(rows.iter().map(|row| nanos(&row["charge"])).sum::<i64>(), paid);
        assert_eq!(json!([nanos(&usage["totals"][0]["charge"]), usage["totals"][0]["currency"]]), json!([paid, "CNY"]));
    }
    let rows = |line: &str| at(&home, line).json()["rows"].as_array().unwrap().len();
    assert_eq!(rows("usage --account acme --key =1+1,\"x\" --json"), 1);
    assert_eq!(rows("usage --account other --json"), 0);
    assert_eq!(rows("usage --until 2020-01-01 --json"), 0);
    let table = at(&home, "usage").ok().to_owned();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("TIME        ACCOUNT  KEY       MODEL      REQUESTS"), "{table}");
    assert!(lines[1].contains("  acme     =1+1,\"x\"  qwen-plus         2"), "{table}");
    assert!(lines[2].starts_with("total ") && lines[2].ends_with(" CNY"), "{table}");

    // In the month that the day of the first request is in.
    let day = lines[1].split(' ').next().unwrap();
    let bill = |more: &str| at(&home, &format!("bill acme --month {}{more}", &day[..7]));
    let record = bill(" --json").json();
    let requests = record["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(nanos(&record["total"]), paid);
    assert_eq!(nanos(&record["models"][0]["charge"]), paid);
    for request in requests {
        let lines = request["lines"].as_array().unwrap();
        assert_eq!(lines.iter().map(|line| nanos(&line["amount"])).sum::<i64>(), nanos(&request["charge"]));
    }
    // Those of one second are in any order.
    let mut quota: Vec<i64> = requests.iter().map(|request| request["quota_tokens"].as_i64().unwrap()).collect();
    quota.sort_unstable();
    assert_eq!(quota, [0, 3]);

    let text = bill("");
    assert!(text.stderr.contains("is not over"), "{text:?}");
    assert!(text.ok().ends_with(&format!("\ntotal {} CNY\n", record["total"].as_str().unwrap())), "{text:?}");
    let csv = bill(" --csv");
    let lines: Vec<&str> = csv.ok().split("\r\n").collect();
    assert!(lines.len() == 4 && lines[0].starts_with("time,request,key,") && lines[3].is_empty(), "{csv:?}");
    assert!(lines[1].contains(",\"'=1+1,\"\"x\"\"\",qwen-plus,"), "{csv:?}");
    assert!(lines[2].ends_with(&format!(",{}", requests[1]["charge"].as_str().unwrap())), "{csv:?}");
    assert_eq!(at(&home, "bill acme --month 2020-02 --json").json()["total"], "0");
    assert!(at(&home, "bill acme --month 2020-02 --lang zh").ok().ends_with("\n合计 0 CNY\n"));
}

#[test]
fn nonsense_is_refused_with_its_field() {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    for (line, said) in [
        ("usage --by week", "it takes: minute, hour, day"),
        ("usage --account nobody", "no account has the name or id `nobody`"),
        ("usage --key nothing", "there is no key `nothing`"),
        ("usage --from yesterday", "--from cannot be `yesterday`: it is no time"),
        ("usage --from 2026-03-01 --until 2026-02-01", "--from must lie before --until"),
        ("bill acme", "--month"),
        ("bill acme --month 2026-13", "--month cannot be `2026-13`: a month is written as 2026-02"),
        ("bill nobody --month 2026-02", "no account has the name or id `nobody`"),
        ("bill acme --month 2026-02 --csv --json", "cannot be used with"),
        ("prices list --currency EUR", "`EUR` is no known currency; there are CNY and USD"),
    ] {
        at(&home, line).fails(2, &[said]);
        assert!(at(&home, &format!("{line} --lang zh")).stderr.starts_with("错误："), "{line}");
    }
}

#[test]
fn prices_are_those_of_the_published_lists() {
    let home = Home::new();
    let prices = at(&home, "prices list --currency CNY --model qwen-plus --json").json();
    assert_eq!(prices["prices"].as_array().unwrap().len(), 1);
    let price = &prices["prices"][0];
    assert!(price["id"].as_str().unwrap().ends_with("/qwen-plus"), "{price}");
    assert!(price["tiers"].as_array().unwrap().len() > 1 && price["tiers"][0]["input"].is_string(), "{price}");
    let table = at(&home, "prices list --model qwen-plus*").ok().to_owned();
    assert!(table.starts_with("MODEL ") && table.contains("USD") && !table.contains("qwen-max"), "{table}");
    let none = at(&home, "prices list --model nothing");
    assert!(none.ok().is_empty() && none.stderr.contains("no model of this name has a price"), "{none:?}");
}
