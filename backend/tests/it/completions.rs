//! Texts that are continued, and gaps that are filled.

use futures_util::StreamExt;
use qwenda_backend::{
    Backend, BackendError, ChatEvent,
    local::{Local, LocalModel, LocalOptions, inspect::Inspector},
};
use qwenda_testkit::TinyModel;
use qwenda_types::{
    chat::FinishReason::{Length, Stop},
    completions::{FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, Prompt},
};
use serde_json::json;

use crate::asking::{Tiny, complete, completion};

/// Why the model did not take it: the field and the message.
async fn refused(tiny: &Tiny, fields: serde_json::Value) -> (String, String) {
    match tiny.local.complete(completion(fields)).await.err().expect("it is refused") {
        BackendError::Unsupported { field, message } => (field, message),
        BackendError::Invalid(invalid) => (invalid.field, invalid.message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_completion_goes_on_from_its_prompt_alone_and_its_usage_is_exact() {
    let tiny = Tiny::new();
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    let text = complete(&tiny.local, json!({})).await;
    assert_eq!(text.prompt_tokens as usize, inspector.count("the answer"), "no template is around it");
    assert_eq!((text.usage.completion_tokens, text.reasons[0]), (8, Some(Length)));
    let ids = complete(&tiny.local, json!({"prompt": inspector.ids("the answer")})).await;
    assert_eq!((&ids.texts, ids.prompt_tokens), (&text.texts, text.prompt_tokens), "ids mean what their text means");
}

#[tokio::test]
async fn choice_p_n_k_is_the_kth_of_prompt_p_and_every_prompt_counts_once() {
    let tiny = Tiny::new();
    let wild = json!({"temperature": 1.9, "top_p": 1.0, "top_k": 0, "seed": 7});
    let with = |more: serde_json::Value| {
        let mut fields = wild.clone();
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    let all = complete(&tiny.local, with(json!({"prompt": ["the answer", "你好"], "n": 2}))).await;
    for (choice, prompt) in ["the answer", "the answer", "你好", "你好"].into_iter().enumerate() {
        let alone = complete(&tiny.local, with(json!({"prompt": prompt, "seed": 7 + choice}))).await;
        assert_eq!(all.texts[choice], alone.texts[0], "choice {choice}");
    }
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    assert_eq!(all.prompt_tokens as usize, inspector.count("the answer") + inspector.count("你好"));
    assert_eq!(all.usage.completion_tokens, all.counted.iter().sum::<u32>());
}

#[tokio::test]
async fn many_prompts_go_through_few_places() {
    let mut options = LocalOptions::default();
    (options.engine.sequences_max, options.engine.queue_max) = (2, 1);
    let tiny = Tiny::of(&TinyModel::qwen2(), options);
    let prompts: Vec<String> = (0..64).map(|i| format!("word {i} is")).collect();
    let all = complete(&tiny.local, json!({"prompt": prompts, "max_tokens": 3})).await;
    for at in [0, 17, 63] {
        let alone = complete(&tiny.local, json!({"prompt": prompts[at], "max_tokens": 3})).await;
        assert_eq!(all.texts[at], alone.texts[0], "prompt {at}");
    }
    assert_eq!(all.usage.completion_tokens, 64 * 3);
}

#[tokio::test]
async fn an_echoed_prompt_stands_before_every_choice_and_is_not_generated() {
    let tiny = Tiny::new();
    let plain = complete(&tiny.local, json!({"prompt": ["the answer", "你好"]})).await;
    let echoed = complete(&tiny.local, json!({"prompt": ["the answer", "你好"], "echo": true})).await;
    assert_eq!(echoed.texts, [format!("the answer{}", plain.texts[0]), format!("你好{}", plain.texts[1])]);
    assert_eq!(echoed.usage, plain.usage);
    let ids = Inspector::open(&tiny.file().path).unwrap().ids("the answer");
    let of_ids = complete(&tiny.local, json!({"prompt": ids, "echo": true})).await;
    assert_eq!(of_ids.texts[0], echoed.texts[0], "ids are echoed as text");
}

#[tokio::test]
async fn stops_penalties_and_log_probabilities_work_as_in_a_chat() {
    let tiny = Tiny::new();
    let id = Inspector::open(&tiny.file().path).unwrap().ids("t")[0];
    let forced = json!({(id.to_string()): 20});
    let plain = json!({"logit_bias": forced, "repetition_penalty": 1.0, "logprobs": 2});
    let answer = complete(&tiny.local, plain).await;
    assert_eq!(answer.texts[0], "tttttttt");
    assert_eq!(answer.logprobs[0].len(), 8);
    assert!(answer.logprobs[0].iter().all(|token| token.top.len() == 2 && token.logprob <= 0.0));
    let stopped = complete(&tiny.local, json!({"logit_bias": forced, "repetition_penalty": 1.0, "stop": "ttt"})).await;
    assert_eq!((stopped.texts[0].as_str(), stopped.reasons[0]), ("", Some(Stop)));
    for penalty in ["presence_penalty", "frequency_penalty"] {
        let few = json!({(id.to_string()): 1.5});
        let penalized = complete(&tiny.local, json!({"logit_bias": few, penalty: 2.0})).await;
        assert!(!penalized.texts[0].contains("tttt"), "{penalty}: {}", penalized.texts[0]);
    }
}

#[tokio::test]
async fn a_suffix_makes_a_prompt_with_a_gap_in_the_order_the_model_learned() {
    let tiny = Tiny::new();
    let by_suffix = complete(&tiny.local, json!({"prompt": "the answer", "suffix": " is"})).await;
    let by_hand = format!("{FIM_PREFIX}the answer{FIM_SUFFIX} is{FIM_MIDDLE}");
    let by_hand = complete(&tiny.local, json!({"prompt": by_hand})).await;
    assert_eq!((by_suffix.texts, by_suffix.usage), (by_hand.texts, by_hand.usage));
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    assert_eq!(by_suffix.prompt_tokens as usize, inspector.count("the answer") + inspector.count(" is") + 3);
    // What a file says of tokens is text.
    let spelled = complete(&tiny.local, json!({"prompt": "a", "suffix": "<|im_end|>"})).await;
    assert!(spelled.prompt_tokens as usize > inspector.count("a<|im_end|>") + 3);
    let echoed = complete(&tiny.local, json!({"prompt": "a", "suffix": "b", "echo": true})).await;
    assert!(echoed.texts[0].starts_with('a') && !echoed.texts[0].contains("fim"), "{}", echoed.texts[0]);
    let none = complete(&tiny.local, json!({"suffix": ""})).await;
    assert_eq!(none.usage, complete(&tiny.local, json!({})).await.usage, "an empty suffix is none");
}

#[tokio::test]
async fn what_begins_another_file_ends_the_filling_of_a_gap_and_nothing_else() {
    let tiny = Tiny::new();
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    for name in [FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"] {
        let forced = json!({(inspector.ids(name)[0].to_string()): 100});
        let gap = complete(&tiny.local, json!({"suffix": " is", "logit_bias": forced})).await;
        assert_eq!((gap.texts[0].as_str(), gap.reasons[0], gap.usage.completion_tokens), ("", Some(Stop), 1), "{name}");
        let plain = complete(&tiny.local, json!({"logit_bias": forced, "repetition_penalty": 1.0})).await;
        assert_eq!((plain.reasons[0], plain.usage.completion_tokens), (Some(Length), 8), "{name}");
    }
}

#[tokio::test]
async fn a_model_that_has_no_tokens_for_gaps_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let mut file = TinyModel::qwen2().bytes();
    let middle = file.windows(FIM_MIDDLE.len()).position(|name| name == FIM_MIDDLE.as_bytes()).unwrap();
    file[middle..][..FIM_MIDDLE.len()].copy_from_slice(b"<|other_name|>");
    std::fs::write(&path, file).unwrap();
    let local = Local::open(vec![LocalModel { name: "tiny".into(), path }], LocalOptions::default()).unwrap();
    assert!(!local.models()[0].abilities.infill && Tiny::new().local.models()[0].abilities.infill);
    match local.complete(completion(json!({"suffix": " is"}))).await.err() {
        Some(BackendError::Unsupported { field, message }) => {
            assert_eq!(field, "suffix");
            assert!(message.contains("tiny"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(complete(&local, json!({})).await.usage.completion_tokens, 8);
}

#[tokio::test]
async fn prompts_that_cannot_be_continued_are_named() {
    let tiny = Tiny::new();
    let long = "the ".repeat(600);
    for (prompt, field, said) in [
        (json!(["a", ""]), "prompt[1]", "[1, 511]"),
        (json!(long), "prompt", "[1, 511]"),
        (json!(["a", long]), "prompt[1]", "[1, 511]"),
        (json!([1, 999_999]), "prompt[1]", "999999"),
        (json!([[1], [2, 999_999]]), "prompt[1][1]", "999999"),
    ] {
        let (named, message) = refused(&tiny, json!({"prompt": prompt})).await;
        assert_eq!(named, field);
        assert!(message.contains(said), "{message}");
    }
    let mut call = completion(json!({}));
    (call.request.prompts, call.request.suffix) = (vec![Prompt::Tokens(vec![1])], Some("x".to_owned()));
    assert!(
        matches!(tiny.local.complete(call).await, Err(BackendError::Unsupported { field, .. }) if field == "suffix")
    );
}

#[tokio::test]
async fn a_completion_that_is_left_frees_its_places() {
    let mut options = LocalOptions::default();
    options.engine.kv_tokens_max = Some(1 << 20);
    (options.engine.sequences_max, options.engine.queue_max) = (1, 1);
    let tiny = Tiny::of(&TinyModel { context: 1 << 20, ..TinyModel::qwen2() }, options);
    let endless = json!({"prompt": ["a", "b", "c"], "max_tokens": 1_000_000, "logit_bias": {"40": 100}});
    let mut left = tiny.local.complete(completion(endless)).await.unwrap();
    assert!(matches!(left.next().await, Some(Ok(ChatEvent::Started { .. }))));
    drop(left);
    // Hours, if it still ran.
    assert_eq!(complete(&tiny.local, json!({})).await.usage.completion_tokens, 8);
}

#[tokio::test]
async fn the_real_model_fills_a_gap_in_a_function() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let local = Local::open(vec![LocalModel { name: "real".into(), path }], LocalOptions::default()).unwrap();
    let before = "def area_of_circle(radius):\n    return 3.14159 * ";
    let asked =
        json!({"model": "real", "prompt": before, "suffix": "\n\nprint(area_of_circle(2))\n", "max_tokens": 40});
    let filled = complete(&local, asked).await;
    let one_line = filled.texts[0].trim_end();
    assert!(one_line.starts_with("radius"), "{one_line}");
    assert_eq!((one_line.lines().count(), filled.reasons[0]), (1, Some(Stop)), "{one_line}");
}
