//! Prices of one's own: they hold from their time on, go before the lists, and what was asked under older ones
//! stays what it cost.

use serde_json::{Value, json};

use crate::common::{Home, Ran};

fn at(home: &Home, line: &str) -> Ran {
    home.run(&line.split(' ').chain(["--data-dir", "data"]).collect::<Vec<_>>())
}

fn listed(home: &Home, model: &str) -> Vec<Value> {
    at(home, &format!("prices list --model {model} --json")).json()["prices"].as_array().unwrap().clone()
}

#[test]
fn a_price_is_made_and_listed_beside_the_public_ones() {
    let home = Home::new();
    let account = at(&home, "accounts create acme --currency USD").ok().trim().to_owned();
    let made = at(&home, "prices set qwen-plus --input 0.5 --output 2");
    let id = made.ok().trim().to_owned();
    assert!(id.starts_with("price_") && made.stderr.contains("`qwen-plus` has this price (CNY) from "), "{made:?}");
    let tiers = at(
        &home,
        "prices set mine --input 3 --output 9 --thinking 12 --tier 1000:1:2 --tier 2000:2:4:5 --account acme \
         --from 2199-01-01 --until 2199-02-01T12:00:00Z --cost-input 0.1 --cost-output 0.2 --json",
    );
    assert!(tiers.stderr.contains("no price of `mine` was there before"), "{tiers:?}");
    let record = tiers.json();
    let shown = json!({
        "id": record["id"], "model": "mine", "currency": "USD", "account": account,
        "effective_from": 7_226_582_400_i64, "effective_until": 7_229_304_000_i64,
        "tiers": [
            {"input_tokens_max": 1000, "input": "1", "output": "2"},
            {"input_tokens_max": 2000, "input": "2", "output": "4", "output_thinking": "5"},
            {"input": "3", "output": "9", "output_thinking": "12"},
        ],
        "cache_percent": {"implicit_hit": 20, "explicit_hit": 10, "explicit_write": 125},
        "cost": {"currency": "USD", "tiers": [{"input": "0.1", "output": "0.2"}]},
    });
    assert_eq!(record, shown);
    assert_eq!(listed(&home, "mine"), [shown]);
    let ids: Vec<Value> = listed(&home, "qwen-plus").into_iter().map(|price| price["id"].clone()).collect();
    assert!(ids.len() == 3 && ids.contains(&json!(id)), "{ids:?}");
    let table = at(&home, "prices list --model mine").ok().to_owned();
    assert!(table.contains("  2199-01-01  2199-02-01T12:00:00Z  price_"), "{table}");
    assert!(at(&home, "audit").ok().contains("0 requests"));
}

#[cfg(unix)]
#[test]
fn requests_are_charged_by_the_price_they_were_asked_under() {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    at(&home, "topup acme 10").ok();
    let key = at(&home, "keys create --account acme").ok().trim().to_owned();
    let ask = || {
        let service = crate::serve::serve(&home, &["--model", "tiny.gguf", "--alias", "qwen-plus=tiny"]);
        let messages = json!([{"role": "user", "content": "hello"}]);
        let body = json!({"model": "qwen-plus", "messages": messages, "max_tokens": 4});
        let (status, body) = service.chat(&key, &body);
        assert_eq!(status, 200, "{body}");
    };
    ask();
    let first = at(&home, "prices set qwen-plus --input 1000 --output 0 --tier 1:7:7").ok().trim().to_owned();
    at(&home, "prices set qwen-plus --input 5 --output 5 --from 2199-01-01").ok();
    ask();
    let day = at(&home, "usage --json").json()["rows"][0]["at"].as_i64().unwrap();
    let usage = at(&home, &format!("usage --from {day}")).ok().to_owned();
    let month = &usage.lines().nth(1).unwrap()[..7];
    let requests = at(&home, &format!("bill acme --month {month} --json")).json()["requests"].clone();
    assert_eq!(requests.as_array().unwrap().len(), 2, "{requests}");
    let by = |price: &str| requests.as_array().unwrap().iter().filter(|request| request["price"] == price).count();
    assert_eq!(by(&first), 1, "{requests}");
    let ours = requests.as_array().unwrap().iter().find(|request| request["price"] == first.as_str()).unwrap();
    let tokens = ours["input_tokens"].as_i64().unwrap();
    assert_eq!(ours["charge"], json!(format!("0.{tokens:03}").trim_end_matches('0')), "{ours}");
    at(&home, "audit").ok();
}

#[test]
fn nonsense_is_refused_with_its_field_and_makes_no_price() {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    at(&home, "prices set taken --input 1 --output 1 --from 2199-01-01").ok();
    let before = at(&home, "prices list --json").json();
    for (line, said) in [
        ("prices set m", "missing: --input <PRICE>"),
        ("prices set m --input 1", "--output"),
        ("prices set m --input -1 --output 1", "--input cannot be `-1`: this amount must not be negative"),
        ("prices set m --input 1 --output 1e3", "--output cannot be `1e3`"),
        ("prices set m --input 0.0000000001 --output 1", "this one has 10"),
        ("prices set m --input 1000000.1 --output 1", "--input must be in [0, 1000000], not 1000000.1"),
        ("prices set m --input 9223372037 --output 1", "--input cannot be `9223372037`: an amount lies between"),
        ("prices set m --input 1 --output 1 --thinking -3", "--thinking cannot be `-3`"),
        ("prices set m --input 1 --output 1 --tier 1000", "a tier is written TOKENS:INPUT:OUTPUT"),
        ("prices set m --input 1 --output 1 --tier 1:2:3:4:5", "a tier is written TOKENS:INPUT:OUTPUT"),
        ("prices set m --input 1 --output 1 --tier 0:1:1", "--tier must be in [1, "),
        ("prices set m --input 1 --output 1 --tier=-5:1:1", "--tier must be in [1, "),
        ("prices set m --input 1 --output 1 --tier 10:x:1", "--tier cannot be `x`"),
        (
            "prices set m --input 1 --output 1 --tier 20:1:1 --tier 10:1:1",
            "tier 2 ends at 10 input tokens, which is not above 20",
        ),
        ("prices set m --input 1 --output 1 --tier 20:1:1 --tier 20:1:1", "tier 2 ends at 20"),
        ("prices set m* --input 1 --output 1", "MODEL cannot be `m*`: a price is for one model"),
        ("prices set  --input 1 --output 1", "MODEL cannot be ``"),
        ("prices set m --input 1 --output 1 --currency EUR", "`EUR` is no known currency"),
        ("prices set m --input 1 --output 1 --account nobody", "no account has the name or id `nobody`"),
        ("prices set m --input 1 --output 1 --account acme --currency USD", "the account `acme` pays in CNY"),
        ("prices set m --input 1 --output 1 --from 2020-01-01", "2020-01-01T00:00:00Z is over"),
        ("prices set m --input 1 --output 1 --from soon", "--from cannot be `soon`: it is no time"),
        ("prices set m --input 1 --output 1 --until 2020-01-01", "--until must lie behind the beginning"),
        (
            "prices set m --input 1 --output 1 --from 2199-01-02 --until 2199-01-02",
            "is not behind 2199-01-02T00:00:00Z",
        ),
        ("prices set taken --input 1 --output 1 --from 2199-01-01", "begins at the same second, 2199-01-01T00:00:00Z"),
        ("prices set m --input 1 --output 1 --cost-input 1", "--cost-output"),
        ("prices set m --input 1 --output 1 --cost-input 1 --cost-output -1", "--cost-output cannot be `-1`"),
    ] {
        at(&home, line).fails(2, &[said]);
        let zh = at(&home, &format!("{line} --lang zh"));
        assert!(zh.code == Some(2) && zh.stderr.starts_with("错误："), "{line}: {zh:?}");
    }
    assert_eq!(at(&home, "prices list --json").json(), before);
    // For another account, or in another currency, the same second is free.
    at(&home, "prices set taken --input 1 --output 1 --from 2199-01-01 --account acme").ok();
    at(&home, "prices set taken --input 1 --output 1 --from 2199-01-01 --currency usd").ok();
}
