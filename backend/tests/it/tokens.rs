//! The tokens of texts and of conversations.

use qwenda_backend::{Backend, BackendError, TokenizeCall, TokenizeInput, Tokenized, local::inspect::Inspector};
use qwenda_types::completions::Prompt;
use serde_json::json;

use crate::asking::{Tiny, request};

async fn tokens(tiny: &Tiny, input: TokenizeInput) -> Result<Tokenized, BackendError> {
    tiny.local.tokenize(TokenizeCall { model: "tiny".into(), input }).await
}

#[tokio::test]
async fn the_tokens_of_a_text_spell_it() {
    let tiny = Tiny::new();
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    let text = "the answer 你好<|im_end|>";
    let found = tokens(&tiny, TokenizeInput::Prompt(Prompt::Text(text.into()))).await.unwrap();
    assert_eq!(found.ids, inspector.ids(text));
    assert_eq!(found.tokens.len(), found.ids.len());
    assert_eq!(found.tokens.concat(), text, "whole characters here");
    let of_ids = tokens(&tiny, TokenizeInput::Prompt(Prompt::Tokens(found.ids.clone()))).await.unwrap();
    assert_eq!(of_ids, found);
    let none = tokens(&tiny, TokenizeInput::Prompt(Prompt::Text(String::new()))).await.unwrap();
    assert_eq!(none, Tokenized::default());
}

#[tokio::test]
async fn a_conversation_has_the_tokens_that_a_chat_is_charged_for() {
    let tiny = Tiny::new();
    let inspector = Inspector::open(&tiny.file().path).unwrap();
    let asked = request(json!({}));
    let chat = serde_json::from_value(asked.clone()).unwrap();
    let found = tokens(&tiny, TokenizeInput::Chat(Box::new(chat))).await.unwrap();
    let rendered = inspector.render(asked["messages"].as_array().unwrap(), None).unwrap();
    assert_eq!(found.ids, inspector.ids(&rendered));
    assert_eq!(found.ids.len() as u32, tiny.ask(asked).await.prompt_tokens);
}

#[tokio::test]
async fn a_token_the_model_does_not_have_is_named() {
    let tiny = Tiny::new();
    match tokens(&tiny, TokenizeInput::Prompt(Prompt::Tokens(vec![1, 999_999]))).await {
        Err(BackendError::Unsupported { field, message }) => {
            assert_eq!(field, "prompt[1]");
            assert!(message.contains("999999"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}
