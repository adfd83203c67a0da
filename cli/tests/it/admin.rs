//! Admin keys are made for a role, printed once, listed without themselves, and revoked; keys are rotated.

use serde_json::json;

use crate::common::{Home, Ran};

fn at(home: &Home, line: &str) -> Ran {
    home.run(&line.split(' ').chain(["--data-dir", "data"]).collect::<Vec<_>>())
}

#[test]
fn an_admin_key_is_alone_on_stdout_and_listed_without_itself() {
    let home = Home::new();
    let made = at(&home, "admin keys create --role owner --name me");
    let key = made.ok().strip_suffix('\n').unwrap().to_owned();
    assert!(key.starts_with("sk-admin-") && !key.contains(char::is_whitespace), "{key}");
    assert!(made.stderr.contains("`me`") && made.stderr.contains("owner"), "{made:?}");
    let signing = at(&home, "admin keys create --role billing --name robot --signing");
    let (id, secret) = signing.ok().trim().split_once(' ').unwrap();
    assert!(id.starts_with("ak_") && secret.len() == 32, "{signing:?}");

    let listed = at(&home, "admin keys list --json").json();
    let of = |name: &str| listed["keys"].as_array().unwrap().iter().find(|key| key["name"] == name).unwrap().clone();
    let (me, robot) = (of("me"), of("robot"));
    assert_eq!(
        json!([me["role"], me["signing"], robot["role"], robot["signing"]]),
        json!(["owner", false, "billing", true])
    );
    assert_eq!((robot["id"].as_str(), key.ends_with(me["last4"].as_str().unwrap())), (Some(id), true));
    let shown = format!("{listed} {}", at(&home, "admin keys list").ok());
    assert!(!shown.contains(&key) && !shown.contains(secret));
    assert!(at(&home, "admin keys list --lang zh").ok().contains("签名"));
}

#[test]
fn an_admin_key_is_revoked_by_id_name_or_ending_and_a_role_is_one_of_five() {
    let home = Home::new();
    for name in ["a", "twin", "twin"] {
        at(&home, &format!("admin keys create --role viewer --name {name}")).ok();
    }
    at(&home, "admin keys revoke twin").fails(2, &["`twin` fits several admin keys"]);
    at(&home, "admin keys revoke a").ok();
    at(&home, "admin keys revoke a").fails(2, &["no working admin key `a`"]);
    at(&home, "admin keys create --role king").fails(2, &["--role cannot be `king`"]);
    at(&home, "admin keys create --role king --lang zh").fails(2, &["--role 不能是 `king`"]);
    at(&home, "admin keys create").fails(2, &["--role"]);
    let keys = at(&home, "admin keys list --json").json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.iter().filter(|key| key["revoked_at"].is_null()).count(), 2);
}

#[test]
fn a_rotated_key_keeps_all_but_its_secret() {
    let home = Home::new();
    let old = at(&home, "keys create --name ci --rpm 60").ok().trim().to_owned();
    let before = at(&home, "keys list --json").json()["keys"][0].clone();
    let rotated = at(&home, "keys rotate ci --overlap 24h");
    let new = rotated.ok().trim().to_owned();
    assert!(new.starts_with("sk-") && new != old && rotated.stderr.contains("the old one works until"), "{rotated:?}");
    let after = at(&home, "keys list --json").json()["keys"][0].clone();
    assert_eq!(json!([after["id"], after["terms"], after["version"]]), json!([before["id"], before["terms"], 2]));
    assert!(new.ends_with(after["last4"].as_str().unwrap()));
    let at_once = at(&home, "keys rotate ci --json");
    assert!(at_once.stderr.contains("no longer works"), "{at_once:?}");
    assert!(at_once.json()["key"].as_str().is_some_and(|key| key != new));
    for overlap in ["31d", "24", "x", "2026-01-01"] {
        at(&home, &format!("keys rotate ci --overlap {overlap}")).fails(2, &["--overlap cannot be"]);
    }
    at(&home, "keys rotate nobody").fails(2, &["no key `nobody`"]);
}

#[test]
fn one_id_with_two_amounts_is_refused() {
    let home = Home::new();
    at(&home, "accounts create acme").ok();
    at(&home, "topup acme 10 --id inv-1").ok();
    assert!(at(&home, "topup acme 10 --id inv-1").stderr.contains("inv-1"));
    at(&home, "topup acme 11 --id inv-1").fails(2, &["`inv-1` was used before for something else: an amount of 10"]);
    at(&home, "topup acme 11 --id inv-1 --lang zh").fails(2, &["`inv-1` 已用于另一笔存入"]);
}
