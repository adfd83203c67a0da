//! What comes back for what was asked.

use qwenda_backend::{
    Backend, Thinking,
    local::{Local, LocalModel, LocalOptions, inspect::Inspector},
};
use qwenda_testkit::TinyModel;
use qwenda_types::chat::FinishReason::{Length, Stop};
use serde_json::{Value, json};

use crate::asking::{Tiny, ask, request};

/// A temperature.
const GREEDY: f64 = 0.0;

#[tokio::test]
async fn a_greedy_answer_is_the_same_every_time_and_its_usage_is_exact() {
    let tiny = Tiny::new();
    let first = tiny.ask(request(json!({"temperature": GREEDY}))).await;
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    let prompt = inspector.render(&[json!({"role": "user", "content": "你好 the answer"})], None).unwrap();
    assert_eq!(first.prompt_tokens as usize, inspector.count(&prompt));
    assert_eq!((first.usage.completion_tokens, first.reasons[0]), (12, Some(Length)));
    assert!(!first.texts[0].is_empty());
    let mut again = tiny.ask(request(json!({"temperature": GREEDY}))).await;
    assert_eq!((first.usage.cached_tokens, again.usage.cached_tokens), (0, 32), "whole pages of the prompt are known");
    (again.timings, again.usage.cached_tokens) = (first.timings, 0);
    assert_eq!(again, first);
}

#[tokio::test]
async fn choice_i_is_sampled_with_seed_plus_i_and_the_seed_is_1234_when_absent() {
    let tiny = Tiny::new();
    let wild = |fields: Value| {
        let mut request = request(json!({"temperature": 1.9, "top_p": 1.0, "top_k": 0}));
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        tiny.ask(request)
    };
    let both = wild(json!({"n": 2, "seed": 1234})).await;
    let alone = [wild(json!({})).await, wild(json!({"seed": 1235})).await];
    assert_eq!(both.texts, [alone[0].texts[0].clone(), alone[1].texts[0].clone()]);
    assert_ne!(both.texts[0], both.texts[1]);
    assert_eq!(both.usage.prompt_tokens, alone[0].usage.prompt_tokens, "the prompt counts once");
    assert_eq!(both.usage.completion_tokens, alone[0].usage.completion_tokens + alone[1].usage.completion_tokens);
}

#[tokio::test]
async fn an_answer_ends_before_a_stop_string_and_at_a_stop_token() {
    let tiny = Tiny::new();
    let whole = tiny.ask(request(json!({"temperature": GREEDY, "max_tokens": 40}))).await.texts.remove(0);
    let characters: Vec<char> = whole.chars().collect();
    let stop: String = characters[characters.len() / 2..][..2].iter().collect();
    let before = &whole[..whole.find(&stop).unwrap()];
    for stop in [json!(stop), json!(["never in it\u{1}", stop])] {
        let cut = tiny.ask(request(json!({"temperature": GREEDY, "max_tokens": 40, "stop": stop}))).await;
        assert_eq!((cut.texts[0].as_str(), cut.reasons[0]), (before, Some(Stop)));
        assert!(cut.usage.completion_tokens < 40);
    }
    let id = Inspector::open(&tiny.file().path).unwrap().ids("t")[0];
    let forced = json!({"temperature": GREEDY, "logit_bias": {id.to_string(): 100}});
    let mut stopped = request(forced.clone());
    assert_eq!(tiny.ask(stopped.clone()).await.texts[0], "t".repeat(12), "the bias decides");
    for stop in [json!([id]), json!([[id]])] {
        stopped["stop"] = stop;
        let answer = tiny.ask(stopped.clone()).await;
        assert_eq!((answer.texts[0].as_str(), answer.reasons[0], answer.usage.completion_tokens), ("", Some(Stop), 1));
    }
}

#[tokio::test]
async fn a_stop_string_may_be_the_name_of_a_control_token() {
    let tiny = Tiny::new();
    let id = Inspector::open(&tiny.file().path).unwrap().ids("<|im_start|>")[0];
    let mut asked = request(json!({"temperature": GREEDY, "logit_bias": {id.to_string(): 100}}));
    assert_eq!(tiny.ask(asked.clone()).await.reasons[0], Some(Length), "it does not end an answer by itself");
    asked["stop"] = json!(["<|im_start|>"]);
    let answer = tiny.ask(asked).await;
    assert_eq!((answer.texts[0].as_str(), answer.reasons[0], answer.usage.completion_tokens), ("", Some(Stop), 1));
}

#[tokio::test]
async fn log_probabilities_come_for_every_token_with_as_many_rivals_as_asked() {
    let tiny = Tiny::new();
    for (top, rivals) in [(json!(null), 0), (json!(3), 3)] {
        let answer = tiny
            .ask(request(
                json!({"temperature": GREEDY, "repetition_penalty": 1.0, "logprobs": true, "top_logprobs": top}),
            ))
            .await;
        let tokens = &answer.logprobs[0];
        assert_eq!(tokens.len(), answer.usage.completion_tokens as usize);
        for token in tokens {
            assert_eq!(token.top.len(), rivals);
            assert!(token.logprob <= 0.0 && token.logprob.is_finite());
            if let Some((text, bytes, logprob)) = token.top.first() {
                assert_eq!(
                    (text, bytes, *logprob),
                    (&token.token, &token.bytes, token.logprob),
                    "greedy takes the best"
                );
            }
        }
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.bytes.clone()).collect();
        assert_eq!(String::from_utf8_lossy(&bytes), answer.texts[0]);
    }
    assert!(tiny.ask(request(json!({}))).await.logprobs[0].is_empty(), "not asked for");
}

#[tokio::test]
async fn an_answer_may_fill_the_context_and_no_more() {
    let limited = LocalOptions { context_tokens_max: Some(200), ..LocalOptions::default() };
    for (options, context) in [(LocalOptions::default(), 512), (limited, 200)] {
        let tiny = Tiny::of(&TinyModel::qwen2(), options);
        assert_eq!(tiny.local.models()[0].context_tokens_max, context);
        let endless = json!({"temperature": GREEDY, "max_tokens": null, "logit_bias": {"40": 100}});
        for max_tokens in [json!(null), json!(100_000)] {
            let mut request = request(endless.clone());
            request["max_tokens"] = max_tokens;
            let answer = tiny.ask(request).await;
            assert_eq!(answer.reasons[0], Some(Length));
            assert_eq!(answer.usage.prompt_tokens + answer.usage.completion_tokens, context);
        }
    }
}

#[tokio::test]
async fn a_partial_message_is_gone_on_with() {
    let tiny = Tiny::new();
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    let user = json!({"role": "user", "content": [{"type": "text", "text": "the "}, {"type": "text", "text": "word"}]});
    let prompt = inspector.count(&inspector.render(&[json!({"role": "user", "content": "the word"})], None).unwrap());
    let begun = "the engine 模型";
    let messages = json!([user, {"role": "assistant", "content": begun, "partial": true}]);
    let answer = tiny.ask(request(json!({"messages": messages, "temperature": GREEDY}))).await;
    assert_eq!(answer.prompt_tokens as usize, prompt + inspector.count(begun));
    let plain = tiny.ask(request(json!({"messages": [user], "temperature": GREEDY}))).await;
    assert_eq!(plain.prompt_tokens as usize, prompt, "text parts are joined");
    assert!(!answer.texts[0].starts_with(begun), "only what is new comes back");
}

#[tokio::test]
async fn thinking_is_asked_of_the_template_and_off_when_an_answer_is_gone_on_with() {
    let tiny = Tiny::of(&TinyModel::qwen3(), LocalOptions::default());
    assert_eq!(tiny.local.models()[0].thinking, Thinking::Optional { default: true });
    let count = async |fields: Value| tiny.ask(request(fields)).await.prompt_tokens;
    let on = count(json!({})).await;
    assert_eq!(count(json!({"enable_thinking": true})).await, on);
    let off = count(json!({"enable_thinking": false})).await;
    assert!(off > on, "the template writes an empty thinking phase");
    let partial = json!([{"role": "user", "content": "你好 the answer"}, {"role": "assistant", "content": "the", "partial": true}]);
    let begun = Inspector::open(&tiny.file().path).unwrap().count("the") as u32;
    assert_eq!(count(json!({"messages": partial})).await, off + begun);
}

#[tokio::test]
async fn each_model_answers_to_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let models =
        ["one", "two"].map(|name| LocalModel { name: name.into(), path: folder.path().join(format!("{name}.gguf")) });
    TinyModel::qwen2().write(&models[0].path).unwrap();
    TinyModel { seed: 9, ..TinyModel::qwen3() }.write(&models[1].path).unwrap();
    let local = Local::open(models.to_vec(), LocalOptions::default()).unwrap();
    let names: Vec<_> = local.models().into_iter().map(|card| (card.id, card.owned_by, card.created > 0)).collect();
    assert_eq!(names, [("one".into(), "qwen".into(), true), ("two".into(), "qwen".into(), true)]);
    assert!(local.ready());
    let text =
        async |name: &str| ask(&local, request(json!({"model": name, "temperature": GREEDY}))).await.texts.remove(0);
    assert_ne!(text("one").await, text("two").await);
}

#[tokio::test]
async fn the_real_model_knows_the_capital_of_france() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let inspector = Inspector::open(&path).unwrap();
    let local = Local::open(vec![LocalModel { name: "real".into(), path }], LocalOptions::default()).unwrap();
    let messages = json!([{"role": "user", "content": "What is the capital of France? Answer with one word."}]);
    let asked = json!({"model": "real", "messages": messages, "temperature": GREEDY, "max_tokens": null});
    let answer = ask(&local, request(asked.clone())).await;
    assert!(answer.texts[0].contains("Paris"), "{}", answer.texts[0]);
    assert_eq!(answer.reasons[0], Some(Stop));
    let prompt = inspector.render(messages.as_array().unwrap(), None).unwrap();
    assert_eq!(answer.prompt_tokens as usize, inspector.count(&prompt));
    // The tokens of the text and the one that ended it.
    assert_eq!(answer.usage.completion_tokens as usize, inspector.count(&answer.texts[0]) + 1);

    let messages = json!([messages[0], {"role": "assistant", "content": "It is the city of Par", "partial": true}]);
    let answer =
        ask(&local, request(json!({"model": "real", "messages": messages, "temperature": GREEDY, "max_tokens": 1})))
            .await;
    assert_eq!(answer.texts[0], "is");
}
