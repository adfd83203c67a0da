//! Answers as values.

use qwenda::{Kind, Mock, extract::Mode};
use serde_json::json;

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct Invoice {
    number: String,
    /// In cents.
    total: u64,
}

fn invoice() -> Invoice {
    Invoice { number: "A7".to_owned(), total: 1999 }
}

#[tokio::test]
async fn the_model_is_held_to_the_schema_as_it_can_be() {
    let answer = r#"{"number": "A7", "total": 1999}"#;
    for (model, thinking, mode, format) in [
        ("qwen-plus", None, Mode::Auto, Some("json_schema")),
        ("qwen-plus", Some(true), Mode::Auto, None),
        ("qwen-turbo", None, Mode::Auto, Some("json_object")),
        ("qwen-turbo", None, Mode::Schema, Some("json_schema")),
        ("qwen-plus", None, Mode::Prompt, None),
    ] {
        let mock = Mock::new().reply(answer);
        let mut chat = mock.client().chat(model).user("A7: 19.99");
        if let Some(thinking) = thinking {
            chat = chat.thinking(thinking);
        }
        assert_eq!(chat.extract::<Invoice>().mode(mode).await.unwrap().into_inner(), invoice());
        let body = &mock.bodies()[0];
        assert_eq!(body.get("response_format").map(|form| form["type"].as_str().unwrap()), format, "{model}");
        if format == Some("json_schema") {
            let schema = &body["response_format"]["json_schema"];
            assert_eq!(schema["name"], "Invoice");
            assert_eq!(schema["schema"]["properties"]["total"]["description"], "In cents.");
            assert_eq!(body["messages"].as_array().unwrap().len(), 1);
        } else {
            let first = &body["messages"][0];
            assert_eq!(first["role"], "system");
            assert!(first["content"].as_str().unwrap().contains("JSON schema"), "{first}");
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_is_asked_again_only_where_that_is_wanted_and_never_changed() {
    let wrong = r#"{"number": "planted", "total": "planted"}"#;
    let error = Mock::new().reply(wrong).client().chat("m").user("x").extract::<Invoice>().await.unwrap_err();
    assert_eq!((error.kind(), error.partial().unwrap().text()), (Kind::Malformed, wrong));
    assert!(!format!("{error} {error:?}").contains("planted"), "{error}");
    let mock = Mock::new().reply(wrong).reply("```json\n{\"number\": \"A7\", \"total\": 1999}\n```");
    let extracted = mock.client().chat("qwen-plus").user("x").extract::<Invoice>().repairs(1).await.unwrap();
    assert_eq!((&*extracted, extracted.replies.len()), (&invoice(), 2));
    assert_eq!(extracted.cost().unwrap().to_string(), "0.00002");
    let messages = mock.bodies()[1]["messages"].clone();
    assert_eq!(messages[1]["content"], json!(wrong));
    assert!(messages[2]["content"].as_str().unwrap().contains("invalid type"), "{messages}");
}

#[tokio::test]
async fn text_around_the_json_and_a_cut_are_errors() {
    for (answer, says) in [
        ("{\"number\": \"A7\", \"total\": 1} and more", "no JSON"),
        ("Sure!", "no JSON"),
        ("{\"number\": \"A7\"}", "missing field `total`"),
    ] {
        let error = Mock::new().reply(answer).client().chat("m").user("x").extract::<Invoice>().await.unwrap_err();
        assert!(error.message().contains(says), "{answer}: {error}");
    }
    let cut = json!({"choices": [{"delta": {"content": "{\"num"}, "finish_reason": "length"}]});
    let error = Mock::new().events([cut]).client().chat("m").user("x").extract::<Invoice>().await.unwrap_err();
    assert!(error.message().contains("most tokens"), "{error}");
}

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct Order {
    #[schemars(length(min = 1, max = 3))]
    lines: Vec<Line>,
}

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct Line {
    #[schemars(regex(pattern = r"^[A-Z]\d+$"))]
    code: String,
    #[schemars(range(min = 1, max = 99))]
    count: u32,
}

#[tokio::test]
async fn ranges_lengths_and_patterns_of_the_schema_hold() {
    for (answer, wants) in [
        (json!({"lines": [{"code": "A7", "count": 2}]}), None),
        (json!({"lines": []}), Some("`/lines`: ")),
        (json!({"lines": [{"code": "planted", "count": 2}]}), Some("`/lines/0/code`: value does not match")),
        (
            json!({"lines": [{"code": "A7", "count": 7777}]}),
            Some("`/lines/0/count`: value is greater than the maximum of 99"),
        ),
    ] {
        let mock = Mock::new().reply(answer.to_string());
        let got = mock.client().chat("m").user("x").extract::<Order>().await;
        match wants {
            None => assert_eq!(got.unwrap().lines[0].count, 2),
            Some(wants) => {
                let error = got.unwrap_err();
                assert!(error.kind() == Kind::Malformed && error.message().contains(wants), "{error}");
                assert!(!error.message().contains("planted") && !error.message().contains("7777"), "{error}");
            }
        }
        let mock = Mock::new().reply(answer.to_string());
        let mut stream = mock.client().chat("m").user("x").extract::<Order>().stream_partial().await.unwrap();
        while let Some(value) = stream.next().await {
            value.unwrap();
        }
        assert_eq!(stream.finish().is_ok(), wants.is_none(), "{answer}");
    }
}
