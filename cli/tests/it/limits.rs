//! What a key may do and spend is shown and changed, holds at once, and two who change it see each other.

use serde_json::{Value, json};

use crate::common::{Home, Ran};

fn at(home: &Home, line: &str) -> Ran {
    home.run(&line.split(' ').chain(["--data-dir", "data"]).collect::<Vec<_>>())
}

fn terms(home: &Home, line: &str) -> Value {
    at(home, &format!("limits {line} --json")).json()["terms"].clone()
}

#[test]
fn what_is_named_changes_and_the_rest_stays() {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    at(&home, "keys create --name ci --account acme --rpm 60 --models a,b* --budget-total 100").ok();
    let kept = terms(&home, "ci");
    assert_eq!(kept, json!({"models": ["a", "b*"], "requests_per_minute": 60, "budget_total": "100"}));
    let changed = at(&home, "limits ci --tpm 1000 --rpm none --networks 10.0.0.0/8,::1/128 --budget-day 2.5 --json");
    assert!(changed.stderr.contains("changed `ci`"), "{changed:?}");
    let record = changed.json();
    assert_eq!(
        json!([record["terms"], record["version"], record["spent"]]),
        json!([
            {"models": ["a", "b*"], "networks": ["10.0.0.0/8", "::1/128"], "tokens_per_minute": 1000,
             "budget_day": "2.5", "budget_total": "100"},
            2,
            {"day": "0", "total": "0"},
        ])
    );
    let set = "ci --concurrency 3 --models any --networks any --expires 2199-12-31 --budget-day none --tpm none";
    let want = json!({"expires_at": 7_258_032_000_i64, "concurrency": 3, "budget_total": "100"});
    assert_eq!(terms(&home, set), want);
    let same = at(&home, "limits ci --concurrency 3 --json");
    assert!(same.stderr.is_empty() && same.json()["version"] == 3, "{same:?}");
    let shown = at(&home, "limits ci --budget-month 9").ok().to_owned();
    for line in ["\naccount               acme\n", "\nmodels                not limited\n"] {
        assert!(shown.contains(line), "{line:?} in {shown}");
    }
    assert!(shown.contains("\nexpires               2199-12-31T00:00:00Z\n"), "{shown}");
    assert!(shown.contains("\nbudget of the month   9, spent 0\n"), "{shown}");
    assert!(at(&home, "limits ci --lang zh").ok().ends_with("\n总预算           100，已用 0\n"));
    let all = "ci --concurrency none --expires never --budget-month none --budget-total none";
    assert_eq!(terms(&home, all), json!({}));
}

#[test]
fn of_many_who_change_one_key_none_overwrites_what_it_did_not_see() {
    let home = Home::new();
    at(&home, "keys create --name k").ok();
    let fields = ["rpm", "tpm", "concurrency"];
    let changes = (0..9).map(|i| {
        let (option, number) = (format!("--{}", fields[i % 3]), (i + 1).to_string());
        home.command(&["limits", "k", &option, &number, "--json", "--data-dir", "data"]).spawn().unwrap()
    });
    let ran: Vec<Ran> =
        changes.collect::<Vec<_>>().into_iter().map(|child| Ran::of(child.wait_with_output().unwrap())).collect();
    let (done, told): (Vec<&Ran>, Vec<&Ran>) = ran.iter().partition(|ran| ran.code == Some(0));
    for ran in told {
        ran.fails(1, &["somebody else changed or revoked the key meanwhile; look at it and try again"]);
    }
    let version = at(&home, "limits k --json").json()["version"].as_u64().unwrap();
    assert_eq!(version, 1 + done.len() as u64);
    let mut versions: Vec<u64> = done.iter().map(|ran| ran.json()["version"].as_u64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=version).collect::<Vec<_>>());
}

#[cfg(unix)]
#[test]
fn a_running_service_holds_to_it_from_the_next_request_on() {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    at(&home, "topup acme 10").ok();
    at(&home, "prices set qwen-plus --input 1000 --output 1000").ok();
    let key = at(&home, "keys create --name k --account acme --budget-total 5").ok().trim().to_owned();
    let service = crate::serve::serve(&home, &["--model", "tiny.gguf", "--alias", "qwen-plus=tiny"]);
    let ask = || {
        let messages = json!([{"role": "user", "content": "hello"}]);
        let body = json!({"model": "qwen-plus", "messages": messages, "max_tokens": 2});
        let (status, body) = service.chat(&key, &body);
        if status == 200 { "ok".to_owned() } else { format!("{status} {body}") }
    };
    assert_eq!(ask(), "ok");
    at(&home, "limits k --models other").ok();
    assert!(ask().contains("may not use the model `qwen-plus`"), "{}", ask());
    at(&home, "limits k --models any --networks 10.0.0.0/8").ok();
    assert!(ask().contains("may not be used from"), "{}", ask());
    at(&home, "limits k --networks any --rpm 1").ok();
    let said = [ask(), ask()];
    assert!(said.iter().any(|said| said.starts_with("429 ")), "{said:?}");
    at(&home, "limits k --rpm none").ok();
    assert_eq!(ask(), "ok");

    let spent = at(&home, "limits k --json").json()["spent"]["total"].as_str().unwrap().to_owned();
    assert!(spent.starts_with("0."), "{spent}");
    let refused = format!("--budget-total cannot be `0.001`: {spent} of it is spent already");
    at(&home, "limits k --budget-total 0.001").fails(2, &[&refused]);
    let zh = at(&home, "limits k --budget-total 0.001 --lang zh");
    assert!(zh.stderr.contains(&format!("--budget-total 不能是 `0.001`：已经用了 {spent}")), "{zh:?}");
    at(&home, &format!("limits k --budget-total {spent}")).ok();
    assert!(ask().contains("budget (total) has 0 left"), "{}", ask());
    at(&home, "limits k --budget-total none").ok();
    assert_eq!(ask(), "ok");
    at(&home, "audit").ok();
}

#[test]
fn nonsense_is_refused_with_its_field_and_changes_nothing() {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    for line in ["--name k --account acme --rpm 5", "--name free", "--name twin", "--name twin", "--name gone"] {
        at(&home, &format!("keys create {line}")).ok();
    }
    at(&home, "keys revoke gone").ok();
    let before = at(&home, "keys list --json").json();
    for (line, said) in [
        ("limits", "missing: <ID|NAME|LAST4>"),
        ("limits nobody", "there is no key `nobody`"),
        ("limits gone --rpm 1", "there is no key `gone`"),
        ("limits twin --rpm 1", "`twin` fits several keys"),
        ("limits k --rpm 0", "--rpm must be in [1, "),
        ("limits k --rpm -1", "--rpm must be in [1, "),
        ("limits k --rpm many", "--rpm must be in [1, "),
        ("limits k --tpm 1.5", "--tpm must be in [1, "),
        ("limits k --concurrency 4294967296", "--concurrency must be in [1, 4294967295], not 4294967296"),
        ("limits k --budget-day -1", "--budget-day cannot be `-1`: this amount must not be negative"),
        ("limits k --budget-month 1e3", "--budget-month cannot be `1e3`"),
        ("limits k --budget-total 9223372036.854775808", "--budget-total cannot be `9223372036.854775808`"),
        ("limits free --budget-day 1", "--budget-day is for keys of an account"),
        ("limits k --models a*b", "--models cannot be `a*b`"),
        ("limits k --models ,", "--models cannot be ``"),
        ("limits k --networks 10.0.0.0/40", "--networks cannot be `10.0.0.0/40`"),
        ("limits k --expires 2020-01-01", "2020-01-01T00:00:00Z is over"),
        ("limits k --expires none", "--expires cannot be `none`: it is no time"),
        ("limits k --rpm 7 --budget-day x", "--budget-day cannot be `x`"),
    ] {
        at(&home, line).fails(2, &[said]);
        let zh = at(&home, &format!("{line} --lang zh"));
        assert!(zh.code == Some(2) && zh.stderr.starts_with("错误："), "{line}: {zh:?}");
    }
    assert_eq!(at(&home, "keys list --json").json(), before);
}
