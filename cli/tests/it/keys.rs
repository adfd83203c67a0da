//! Keys are printed once, listed by what recognises them, and revoked by any of it.

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
    let listed = all(&["list", "--json"]).json()["keys"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 5);
    assert_eq!(listed[1]["name"], "b");
    assert!(keys[1].ends_with(listed[1]["last4"].as_str().unwrap()));
    let shown = format!("{} {}", all(&["list"]).ok(), all(&["list", "--json"]).ok());
    assert!(keys.iter().all(|key| !shown.contains(key.as_str())));

    all(&["revoke", listed[0]["id"].as_str().unwrap()]).ok();
    all(&["revoke", "b"]).ok();
    all(&["revoke", listed[2]["last4"].as_str().unwrap()]).ok();
    all(&["revoke", "b"]).fails(2, &["no key `b`"]);
    all(&["revoke", "twin"]).fails(2, &[listed[3]["id"].as_str().unwrap(), listed[4]["id"].as_str().unwrap()]);
    let revoked = all(&["list", "--json"]).json()["keys"].as_array().unwrap().clone();
    let works: Vec<bool> = revoked.iter().map(|key| key["revoked_at"].is_null()).collect();
    assert_eq!(works, [false, false, false, true, true]);
}

#[test]
fn a_name_that_would_drive_a_terminal_is_refused() {
    let home = Home::new();
    home.run(&["keys", "create", "--data-dir", "data", "--name", "a\x1b[2J"]).fails(2, &["name"]);
    home.run(&["keys", "create", "--data-dir", "data", "--name", " "]).fails(2, &["name"]);
}
