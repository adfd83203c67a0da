//! Answers that begin with reasoning.

use qwenda_backend::{
    Backend, Thinking,
    local::{Local, LocalModel, LocalOptions, inspect::Inspector},
};
use qwenda_testkit::TinyModel;
use qwenda_types::chat::FinishReason::Length;
use serde_json::{Value, json};

use crate::asking::{Tiny, ask, request};

/// A model whose template begins the reasoning and leaves no choice.
fn always(folder: &tempfile::TempDir) -> Local {
    let mut parts = TinyModel::qwen3().parts();
    let key = "tokenizer.chat_template";
    let template = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}";
    parts.set(key, template);
    let path = folder.path().join("always.gguf");
    std::fs::write(&path, parts.bytes()).expect("the model is written");
    Local::open(vec![LocalModel { name: "tiny".into(), path }], LocalOptions::default()).expect("the model opens")
}

#[tokio::test]
async fn what_the_prompt_begins_is_reasoned_up_to_its_budget_and_then_answered() {
    let folder = tempfile::tempdir().unwrap();
    let local = always(&folder);
    assert_eq!(local.models()[0].thinking, Thinking::Always);
    for (fields, most, all) in [
        (json!({"thinking_budget": 9, "max_tokens": 7}), 9, 9 + 2 + 7),
        (json!({"thinking_budget": 9, "max_tokens": null, "max_completion_tokens": 12}), 9, 12),
        (json!({"max_tokens": null, "max_completion_tokens": 20}), 20, 20),
    ] {
        let mut asked = request(json!({"temperature": 0}));
        asked.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = ask(&local, asked).await;
        assert!(!answer.reasonings[0].is_empty() && !answer.reasonings[0].contains("think>"), "{answer:?}");
        assert!(answer.usage.reasoning_tokens <= most, "{fields}: {answer:?}");
        assert!(answer.usage.completion_tokens <= all, "{fields}: {answer:?}");
        assert_eq!(answer.reasons[0], Some(Length), "{fields}");
    }
    // Where a form is asked for, the reasoning that cannot be left out comes first.
    let formed = request(json!({"thinking_budget": 5, "max_tokens": 60, "response_format": {"type": "json_object"}}));
    let answer = ask(&local, formed).await;
    assert!(!answer.reasonings[0].is_empty() && answer.texts[0].starts_with('{'), "{answer:?}");
}

#[tokio::test]
async fn a_model_that_may_reason_is_told_whether_to() {
    let tiny = Tiny::of(&TinyModel::qwen3(), LocalOptions::default());
    assert_eq!(tiny.local.models()[0].thinking, Thinking::Optional { default: true });
    let think = Inspector::open(&tiny.file().path).unwrap().ids("<think>")[0];
    let bias = json!({think.to_string(): 100});
    let on = request(json!({"logit_bias": bias, "thinking_budget": 6, "max_tokens": 4, "temperature": 0}));
    let answer = tiny.ask(on.clone()).await;
    assert_eq!(answer.usage.reasoning_tokens, 6, "{answer:?}");
    assert!(answer.usage.completion_tokens >= 6 + 4, "{answer:?}");
    let prompt_tokens = answer.prompt_tokens;
    let off = |fields: Value| {
        let mut asked = on.clone();
        asked.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        tiny.ask(asked)
    };
    for fields in [
        json!({"enable_thinking": false}),
        json!({"thinking_budget": null, "reasoning_effort": "none"}),
        json!({"response_format": {"type": "json_object"}}),
    ] {
        let answer = off(fields.clone()).await;
        assert_eq!((answer.usage.reasoning_tokens, answer.reasonings[0].as_str()), (0, ""), "{fields}");
        assert!(answer.prompt_tokens > prompt_tokens, "{fields}: the template says so");
    }
}
