//! Accounts: money and tokens come and go whole or not at all, and what makes no sense is refused with its field.

use serde_json::{Value, json};

use crate::common::{Home, Ran};

/// Runs a command on the data folder of this home: `-- -5` may stand at its end.
fn at(home: &Home, line: &str) -> Ran {
    let (before, behind) = line.split_once(" -- ").map_or((line, None), |(before, behind)| (before, Some(behind)));
    let mut args: Vec<&str> = before.split(' ').collect();
    args.extend(["--data-dir", "data"]);
    args.extend(behind.into_iter().flat_map(|behind| ["--", behind]));
    home.run(&args)
}

fn account(home: &Home, which: &str) -> Value {
    at(home, &format!("accounts show {which} --json")).json()
}

#[test]
fn an_account_is_made_paid_into_and_changed() {
    let home = Home::new();
    let id = at(&home, "accounts create acme --credit 0.5").ok().trim().to_owned();
    assert!(id.starts_with("acc_"), "{id}");
    at(&home, "topup acme 100.000000001 --note cash").ok();
    at(&home, "topup acme -- -0.000000001").ok();
    at(&home, "grant acme 1000 --models qwen3-* --expires 2199-12-31").ok();
    at(&home, "grant acme 500 --pack").ok();
    let shown = account(&home, &id);
    let money = ["balance", "held", "credit", "spendable", "currency"].map(|field| shown[field].as_str().unwrap());
    assert_eq!(money, ["100", "0", "0.5", "100.5", "CNY"]);
    let tokens = |i: usize| {
        let bucket = &shown["tokens"][i];
        json!([bucket["kind"], bucket["models"], bucket["tokens"], bucket["expires_at"]])
    };
    assert_eq!(tokens(0), json!(["quota", "qwen3-*", 1000, 7_258_032_000_i64]));
    assert_eq!(tokens(1), json!(["pack", "*", 500, null]));

    let set = at(&home, "accounts set acme --credit 2 --quota-stops true --suspended true --json").json();
    assert_eq!(json!([set["credit"], set["quota_stops"]]), json!(["2", true]));
    assert!(set["suspended_at"].is_i64());
    assert!(at(&home, "accounts set acme --suspended false --json").json()["suspended_at"].is_null());
    at(&home, "accounts create overseas --currency usd").ok();
    assert_eq!(account(&home, "overseas")["currency"], "USD");
    assert_eq!(at(&home, "accounts list --json").json()["accounts"].as_array().unwrap().len(), 2);
    let audit = at(&home, "audit --json").json();
    assert_eq!(json!([audit["transfers"], audit["requests"], audit["difference"]]), json!([4, 0, null]));
    assert!(at(&home, "audit").ok().contains("4 transfers"));
}

#[test]
fn people_see_aligned_tables_in_their_language() {
    let home = Home::new();
    assert_eq!(at(&home, "accounts list").ok(), "");
    at(&home, "accounts create 团队 --credit 5").ok();
    at(&home, "topup 团队 12.5").ok();
    at(&home, "grant 团队 1000 --expires 2199-12-31").ok();
    // Ids and times differ from run to run.
    let listed = at(&home, "accounts list").ok().to_owned();
    let (head, row) = listed.split_once('\n').unwrap();
    assert_eq!(head, "NAME  CURRENCY  BALANCE  HELD  CREDIT  CAN SPEND  STATE  ID");
    assert!(row.starts_with("团队  CNY          12.5     0       5       17.5  works  acc_"), "{row}");
    let shown = at(&home, "accounts show 团队 --lang zh").ok().to_owned();
    for line in [
        "\n余额              12.5\n",
        "\n免费额度用完即停  否\n",
        "\n\n类型      模型  TOKEN  冻结  失效时间\n免费额度  *      1000     0  2199-12-31T00:00:00Z\n",
    ] {
        assert!(shown.contains(line), "{line:?} in {shown}");
    }
}

#[test]
fn the_same_id_again_does_nothing_and_says_so() {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    let pay = || at(&home, "topup acme 10 --id order-7 --json").json();
    assert_eq!(json!([pay()["done"], pay()["done"]]), json!([true, false]));
    let again = at(&home, "topup acme 10 --id order-7");
    assert!(again.ok().contains("balance") && again.stderr.contains("nothing was done: `order-7`"), "{again:?}");
    at(&home, "grant acme 10 --id gift").ok();
    assert!(at(&home, "grant acme 10 --id gift").stderr.contains("nothing was done: `gift`"));
    let shown = account(&home, "acme");
    assert_eq!(json!([shown["balance"], shown["tokens"].as_array().unwrap().len()]), json!(["10", 1]));
}

#[test]
fn nonsense_is_refused_with_its_field_and_changes_nothing() {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    at(&home, "topup acme 1").ok();
    let before = (account(&home, "acme"), at(&home, "keys list --json").json());
    for (line, code, said) in [
        ("accounts create x --credit -1", 2, "--credit cannot be `-1`: this amount must not be negative"),
        ("accounts create x --credit 0.0000000001", 2, "at most 9 digits behind its point, this one has 10"),
        ("accounts create x --currency EUR", 2, "`EUR` is no known currency; there are CNY and USD"),
        ("accounts create acme", 2, "choose another name"),
        ("accounts show nobody", 2, "`qwenda accounts list` shows them"),
        ("accounts set acme", 2, "give --credit, --quota-stops or --suspended"),
        ("accounts set acme --quota-stops maybe", 2, "it takes: true, false"),
        ("accounts set acme --credit 1e3", 2, "--credit cannot be `1e3`"),
        ("topup nobody 1", 2, "no account has the name or id `nobody`"),
        ("topup acme 0", 2, "AMOUNT cannot be 0"),
        ("topup acme 1.0000000001", 2, "this one has 10"),
        ("topup acme 9223372036.854775808", 2, "an amount lies between"),
        ("topup acme 9223372036.854775807", 2, "more than a balance can hold"),
        ("topup acme 1,5", 2, "not ','"),
        ("topup acme -5", 2, "write `--` before it"),
        ("topup acme -- -5", 1, "lower than what is to be paid back"),
        ("grant acme 0", 2, "TOKENS must be in [1, 9223372036854775807], not 0"),
        ("grant acme 1.5", 2, "TOKENS must be in"),
        ("grant acme 9223372036854775808", 2, "TOKENS must be in"),
        ("grant acme 10 --expires 2020-01-01", 2, "2020-01-01T00:00:00Z is over"),
        ("grant acme 10 --expires 2026-02-30", 2, "--expires cannot be `2026-02-30`: it is no time"),
        ("grant acme 10 --models a*b", 2, "--models cannot be `a*b`"),
        ("keys create --account nobody", 2, "no account has the name or id `nobody`"),
        ("keys create --budget-day 1", 2, "--budget-day needs --account"),
        ("keys create --account acme --budget-total -1", 2, "--budget-total cannot be `-1`"),
        ("keys create --networks 10.0.0.0/40", 2, "--networks cannot be `10.0.0.0/40`"),
        ("keys create --models a,*b", 2, "--models cannot be `*b`"),
        ("keys create --models ,", 2, "--models cannot be ``"),
        ("keys create --expires 1", 2, "1970-01-01T00:00:01Z is over"),
        ("keys create --rpm 0", 2, "--rpm must be in [1, "),
        ("keys create --concurrency -3", 2, "--concurrency must be in [1, 4294967295], not -3"),
    ] {
        at(&home, line).fails(code, &[said]);
        let zh = at(&home, &line.replacen(' ', " --lang zh ", 1));
        assert!(zh.code == Some(code) && zh.stderr.starts_with("错误："), "{line}: {zh:?}");
    }
    assert_eq!((account(&home, "acme"), at(&home, "keys list --json").json()), before);
    assert_eq!(at(&home, "accounts list --json").json()["accounts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_key_on_terms_shows_them() {
    let home = Home::new();
    let id = at(&home, "accounts create acme").ok().trim().to_owned();
    let made = at(
        &home,
        "keys create --name ci --account acme --models qwen-plus,qwen3-* --networks 10.0.0.0/8,::1/128 \
         --expires 2199-12-31 --rpm 60 --tpm 100000 --concurrency 2 --budget-day 1.5 --budget-month 20 \
         --budget-total 100 --json",
    );
    let made = made.json();
    assert!(made["key"].as_str().unwrap().starts_with("sk-"));
    assert_eq!(made["account"], id);
    let listed = at(&home, "keys list --json").json();
    assert_eq!(
        listed["keys"][0]["terms"],
        json!({
            "models": ["qwen-plus", "qwen3-*"], "networks": ["10.0.0.0/8", "::1/128"], "expires_at": 7_258_032_000_i64,
            "requests_per_minute": 60, "tokens_per_minute": 100_000, "concurrency": 2,
            "budget_day": "1.5", "budget_month": "20", "budget_total": "100",
        })
    );
    let shown = at(&home, "keys list").ok().to_owned();
    let terms = "ci    acme     models=qwen-plus,qwen3-* networks=10.0.0.0/8,::1/128 expires=2199-12-31T00:00:00Z rpm=60 \
                 tpm=100000 concurrency=2 budget-day=1.5 budget-month=20 budget-total=100\n";
    assert!(shown.ends_with(terms), "{shown}");
}

#[test]
fn a_balance_that_was_changed_by_other_means_is_found() {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    at(&home, "topup acme 7.25").ok();
    // 7.25 in nanos, as SQLite writes it: six bytes, the greatest first. Once it stands for the balance, once for
    // the transfer; whichever is changed, they differ.
    let [from, to] = [7_250_000_000_i64, 9_250_000_000].map(|nanos| nanos.to_be_bytes()[2..].to_vec());
    let path = home.path().join("data/qwenda.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(6).position(|window| window == from);
    assert!(place.is_some(), "the balance is not where it is looked for");
    bytes[place.unwrap()..][..6].copy_from_slice(&to);
    std::fs::write(&path, bytes).unwrap();
    let audit = at(&home, "audit");
    assert_eq!(audit.code, Some(5), "{audit:?}");
    assert!(audit.stdout.contains("1 transfers"), "{audit:?}");
    assert!(audit.stderr.contains("the books do not add up: "), "{audit:?}");
    let record: Value = serde_json::from_str(&at(&home, "audit --json").stdout).unwrap();
    assert!(record["difference"].as_str().unwrap().contains("transfers come to"), "{record}");
}
