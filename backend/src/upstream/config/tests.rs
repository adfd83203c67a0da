use super::*;
use crate::Thinking;

const CLOUD: &str = r#"
[[upstream]]
name = "cloud"
base_url = "https://dashscope.aliyuncs.com/compatible-mode/v1/"
api_key_env = "CLOUD_KEY"
models = ["qwen-plus", { id = "eye", upstream = "qwen-vl-max", media = true, thinking = "on", context = 32768 },
          { id = "vectors", embed = true, dimensions = 512 }, { id = "ranks", rerank = true }]
"#;

fn read(text: &str) -> Result<Vec<UpstreamConfig>, String> {
    #[derive(Deserialize)]
    struct File {
        upstream: Vec<Written>,
    }
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let env = |name: &str| (name == "CLOUD_KEY").then(|| " sk-secret\n".to_owned());
    resolve(file.upstream, &env).map_err(|error| error.to_string())
}

#[test]
fn a_table_is_resolved_with_its_defaults() {
    let [cloud] = read(CLOUD).unwrap().try_into().unwrap();
    assert_eq!(cloud.base_url, "https://dashscope.aliyuncs.com/compatible-mode/v1");
    assert_eq!(cloud.rerank_url, "https://dashscope.aliyuncs.com/compatible-mode/v1/rerank");
    assert_eq!(cloud.api_key.as_ref().unwrap().reveal(), "sk-secret");
    assert_eq!((cloud.retries, cloud.connect_timeout), (2, Duration::from_secs(10)));
    let [plus, eye, vectors, ranks] = cloud.models.as_slice() else { panic!("{:?}", cloud.models) };
    assert_eq!((plus.id.as_str(), plus.upstream.as_str(), plus.thinking), ("qwen-plus", "qwen-plus", Thinking::Never));
    assert!(plus.abilities.chat && plus.abilities.forwards && !plus.abilities.media);
    assert_eq!((eye.upstream.as_str(), eye.context_tokens_max), ("qwen-vl-max", 32_768));
    assert!(eye.abilities.media && eye.thinking == Thinking::Optional { default: true });
    assert_eq!(vectors.abilities.embed.unwrap().dimensions_default, 512);
    assert!(!vectors.abilities.chat && !ranks.abilities.chat && ranks.abilities.rerank);
}

#[test]
fn a_key_is_never_shown() {
    let written = format!("{CLOUD}retries = 3\n").replace("api_key_env = \"CLOUD_KEY\"", "api_key = \"sk-secret\"");
    assert!(!format!("{:?}", read(&written).unwrap()).contains("secret"));
    assert!(
        !format!("{:?}", Written { api_key: Some(Secret::new("sk-secret")), ..Written::default() }).contains("secret")
    );
    let both = CLOUD.replace("api_key_env", "api_key = \"sk-secret\"\napi_key_env");
    let with_password = CLOUD.replace("https://", "https://me:sk-secret@");
    let unusable = CLOUD.replace("api_key_env = \"CLOUD_KEY\"", "api_key = \"sk-secret\\u0007\"");
    for text in [both, with_password, unusable] {
        let error = read(&text).unwrap_err();
        assert!(error.contains("`cloud`") && !error.contains("secret"), "{error}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_upstream() {
    for (from, to, said) in [
        ("name = \"cloud\"", "", "upstream `#1`: `name` is missing"),
        ("base_url", "rerank_url", "upstream `cloud`: `base_url` is missing"),
        ("https://", "ftp://", "`base_url` is an address"),
        ("/v1/", "/v1/chat/completions", "ends before `/chat/completions`"),
        ("CLOUD_KEY", "OTHER_KEY", "OTHER_KEY, which is not set"),
        ("\"qwen-plus\"", "{ upstream = \"x\" }", "`models.id` is missing"),
        ("context = 32768", "context = 0", "`context of eye` is from 1"),
        ("thinking = \"on\"", "thinking = \"sometimes\"", "sometimes"),
        ("media = true", "meida = true", "meida"),
        ("name = ", "nmae = \"x\"\nname = ", "nmae"),
        ("name = ", "retries = 11\nname = ", "`retries` is from 0 to 10, not 11"),
        ("name = ", "idle_timeout_ms = 0\nname = ", "`idle_timeout_ms` is from 1"),
    ] {
        let error = read(&CLOUD.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(said), "{to}: {error}");
    }
    assert_eq!(read(&CLOUD.repeat(2)).unwrap_err(), "two upstreams are called `cloud`");
    let none = "[[upstream]]\nname = \"a\"\nbase_url = \"http://x/v1\"\n";
    assert_eq!(read(none).unwrap_err(), "upstream `a`: `models` is missing");
}
