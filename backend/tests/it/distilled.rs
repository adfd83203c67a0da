//! Distillates of a reasoning model: another vocabulary and template on the Qwen2 architecture.

use qwenda_backend::{
    Backend, Thinking, TokenizeCall, TokenizeInput,
    local::{LocalOptions, inspect::Inspector},
};
use qwenda_testkit::TinyModel;
use qwenda_types::chat::ChatRequest;
use serde_json::{Value, json};

use crate::asking::{Tiny, complete, request};

fn tiny() -> Tiny {
    Tiny::of(&TinyModel::distilled(), LocalOptions::default())
}

/// The prompt of a conversation, spelled.
async fn prompt(tiny: &Tiny, messages: Value) -> String {
    let request = request(json!({"messages": messages}));
    let request: ChatRequest = serde_json::from_value(request).expect("a request");
    tokens(tiny, TokenizeInput::Chat(Box::new(request))).await.concat()
}

async fn tokens(tiny: &Tiny, input: TokenizeInput) -> Vec<String> {
    let call = TokenizeCall { model: "tiny".to_owned(), input };
    tiny.local.tokenize(call).await.expect("it is taken").tokens
}

#[tokio::test]
async fn its_template_begins_the_text_once_and_forgets_earlier_reasoning() {
    let tiny = tiny();
    for (messages, text) in [
        (json!([{"role": "user", "content": "hello"}]), "<｜begin▁of▁sentence｜><｜User｜>hello<｜Assistant｜>"),
        (
            json!([
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "<think>\nb\n</think>\n\nc"},
                {"role": "user", "content": "d"},
            ]),
            "<｜begin▁of▁sentence｜>Be brief.<｜User｜>a<｜Assistant｜>\n\nc<｜end▁of▁sentence｜><｜User｜>d<｜Assistant｜>",
        ),
    ] {
        assert_eq!(prompt(&tiny, messages).await, text);
    }
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    for special in ["<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"] {
        assert_eq!(inspector.ids(special).len(), 1, "{special}");
    }
}

#[tokio::test]
async fn a_text_that_goes_on_begins_as_every_text_of_the_model() {
    let tiny = tiny();
    let own = Inspector::open(&tiny.file().path).unwrap().count("the answer") as u32;
    for (prompt, tokens) in
        [(json!("the answer"), own + 1), (json!("<｜begin▁of▁sentence｜>the answer"), own + 1), (json!([1, 2, 3]), 3)]
    {
        let answer = complete(&tiny.local, json!({"prompt": prompt, "max_tokens": 2})).await;
        assert_eq!(answer.usage.prompt_tokens, tokens, "{prompt}");
    }
    let plain = Tiny::new();
    let answer = complete(&plain.local, json!({"prompt": "the answer", "max_tokens": 2})).await;
    assert_eq!(answer.usage.prompt_tokens, own, "other models have no such token");
}

#[tokio::test]
async fn it_reasons_of_its_own_accord() {
    let tiny = tiny();
    assert_eq!(tiny.local.models()[0].thinking, Thinking::Always);
    let think = Inspector::open(&tiny.file().path).unwrap().ids("<think>")[0];
    let asked =
        json!({"logit_bias": {think.to_string(): 100}, "thinking_budget": 6, "max_tokens": 4, "temperature": 0});
    let answer = tiny.ask(request(asked)).await;
    assert_eq!(answer.usage.reasoning_tokens, 6, "{answer:?}");
    // What does not begin with the mark is an answer from its first token on.
    let asked = json!({"logit_bias": {think.to_string(): -100}, "max_tokens": 4, "temperature": 0});
    let answer = tiny.ask(request(asked)).await;
    assert_eq!((answer.usage.reasoning_tokens, answer.reasonings[0].as_str()), (0, ""), "{answer:?}");
}
