//! Keys are printed once, listed by what recognises them, and revoked by any of it.

use serde_json::Value;

use crate::common::Home;

#[test]
fn a_new_key_is_alone_on_stdout() {
    let home = Home::new();
    let ran = home.run(&["keys", "create", "--data-dir", "data", "--name", "me"]);
    let key = ran.ok().strip_suffix('\n').unwrap();
    assert!(key.starts_with("sk-") && !key.contains(char::is_whitespace) && key.len() > 20, "{key}");
    assert!(ran.stderr.contains("`me`"));
    assert_eq!(home.run(&["keys", "create", "--data-dir", "data", "--quiet"]).stderr, "");
}

#[test]
fn keys_are_listed_without_themselves_and_revoked_by_id_name_or_ending() {
    let home = Home::new();
    let all = |args: &[&str]| home.run(&[&["keys"], args, &["--data-dir", "data"]].concat());
    let keys: Vec<String> = ["a", "b", "c", "twin", "twin"]
        .iter()
        .map(|name| all(&["create", "--name", name]).ok().trim().to_owned())
        .collect();
    let listed = || all(&["list", "--json"]).json()["keys"].as_array().unwrap().clone();
    let named = |name: &str| -> Vec<Value> { listed().into_iter().filter(|key| key["name"] == name).collect() };
    let of = |name: &str, field: &str| named(name)[0][field].as_str().unwrap().to_owned();
    assert_eq!(listed().len(), 5);
    assert!(keys[1].ends_with(&of("b", "last4")));
    let shown = format!("{} {}", all(&["list"]).ok(), all(&["list", "--json"]).ok());
    assert!(keys.iter().all(|key| !shown.contains(key.as_str())));

    all(&["revoke", &of("a", "id")]).ok();
    all(&["revoke", "b"]).ok();
    all(&["revoke", &of("c", "last4")]).ok();
    all(&["revoke", "b"]).fails(2, &["no key `b`"]);
    all(&["revoke", "twin"])
        .fails(2, &[named("twin")[0]["id"].as_str().unwrap(), named("twin")[1]["id"].as_str().unwrap()]);
    let works = |name: &str| named(name).iter().all(|key| key["revoked_at"].is_null());
    assert_eq!(["a", "b", "c", "twin"].map(works), [false, false, false, true]);
}

#[test]
fn a_name_that_would_drive_a_terminal_is_refused() {
    let home = Home::new();
    home.run(&["keys", "create", "--data-dir", "data", "--name", "a\x1b[2J"]).fails(2, &["name"]);
    home.run(&["keys", "create", "--data-dir", "data", "--name", " "]).fails(2, &["name"]);
}
