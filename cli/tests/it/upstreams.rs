//! `qwenda serve` with upstreams: alone, beside a model of its own, and with settings that are wrong.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    common::Home,
    serve::{Service, key, serve},
};

fn settings(home: &Home, text: &str) {
    std::fs::write(home.path().join("qwenda.toml"), text).unwrap();
}

fn table(behind: &Service, id: &str) -> String {
    format!(
        "[[upstream]]\nname = \"behind\"\nbase_url = \"http://{}/v1\"\napi_key_env = \"BEHIND_KEY\"\n\
         models = [{{ id = \"{id}\", upstream = \"tiny\" }}]\n",
        behind.address()
    )
}

fn hello(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello, vault 4711"}], "max_tokens": 8})
}

fn text(service: &Service, key: &str, model: &str) -> Value {
    let (status, body) = service.chat(key, &hello(model));
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["choices"][0]["message"]["content"].take()
}

fn models(service: &Service) -> Vec<String> {
    let (_, body) = service.request("GET", "/v1/models", "", "");
    let models: Value = serde_json::from_str(&body).unwrap();
    models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

fn front(home: &Home, key: &str, more: &[&str]) -> Command {
    let mut command = home.command(&[&["serve", "--listen", "127.0.0.1:0", "--no-auth"], more].concat());
    command.env("BEHIND_KEY", key).env("QWENDA_LOG", "trace");
    command
}

#[test]
fn an_upstream_answers_alone_or_beside_a_model_of_ours_and_its_key_stays_a_secret() {
    let (behind, home) = (Home::new(), Home::new());
    let secret = key(&behind);
    let behind = serve(&behind, &["--model", "tiny.gguf"]);
    let want = text(&behind, &secret, "tiny");
    settings(&home, &table(&behind, "far"));
    // No model is here, and none is fetched.
    let alone = Service::start(front(&home, &secret, &[]));
    assert_eq!(models(&alone), ["far"]);
    assert_eq!(text(&alone, "", "far"), want);
    alone.signal("TERM");
    let (code, log) = alone.ends();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(&secret) && !log.contains("4711"), "{log}");

    let both = Service::start(front(&home, &secret, &["--model", "tiny.gguf"]));
    assert_eq!(models(&both), ["tiny", "far"]);
    assert_eq!((text(&both, "", "tiny"), text(&both, "", "far")), (want.clone(), want));

    settings(&home, &table(&behind, "tiny"));
    let twice = front(&home, &secret, &["--model", "tiny.gguf"]).output().unwrap();
    crate::common::Ran::of(twice).fails(2, &["the model `tiny` is given twice"]);
}

#[test]
fn wrong_settings_are_named_in_both_languages_and_never_show_a_key() {
    let home = Home::new();
    let good = "name = \"a\"\nbase_url = \"http://127.0.0.1:9/v1\"\napi_key = \"sk-secret\"\nmodels = [\"m\"]\n";
    for (from, to, en, zh) in [
        ("name = \"a\"", "", "`name` is missing", "缺少 `name`"),
        ("127.0.0.1", "me:sk-secret@127.0.0.1", "`base_url` is an address", "不带用户名"),
        ("/v1", "/v1/embeddings", "`base_url` ends before `/embeddings`", "不应包含 `/embeddings`"),
        ("name", "api_key_env = \"X\"\nname", "not both", "只能写一个"),
        ("api_key = \"sk-secret\"", "api_key_env = \"NOT_SET\"", "NOT_SET, which is not set", "NOT_SET 未设置"),
        ("sk-secret", "sk-secret\\u0001", "no header can carry", "无法放入请求头"),
        ("name", "retries = 99\nname", "`retries` is from 0 to 10, not 99", "`retries` 的范围是 0 到 10"),
        ("name", "api_kye = \"sk-secret\"\nname", "2: unknown field `api_kye`", "api_kye"),
    ] {
        settings(&home, &format!("[[upstream]]\n{}", good.replacen(from, to, 1)));
        for (lang, said) in [("en", en), ("zh", zh)] {
            let ran = home.run(&["serve", "--listen", "127.0.0.1:0", "--lang", lang]);
            ran.fails(2, &[said]);
            assert!(!ran.stderr.contains("sk-secret"), "{ran:?}");
        }
    }
    settings(&home, &format!("[[upstream]]\n{good}[[upstream]]\n{good}"));
    home.run(&["serve", "--listen", "127.0.0.1:0"]).fails(2, &["two upstreams are called `a`"]);
}
