//! Several backends as one.

use std::sync::Arc;

use qwenda_backend::{
    Backend, BackendError, ChatCall, EmbedCall, TokenizeCall, TokenizeInput, Whose,
    routing::{Duplicate, Routing},
};
use qwenda_testkit::{Script, Scripted};
use qwenda_types::{
    chat::{ChatRequest, Message},
    completions::Prompt,
    embeddings::EmbeddingRequest,
};

fn chat(model: &str) -> ChatCall {
    let request = ChatRequest::new(model, vec![Message::user("hi")]);
    ChatCall { request, request_id: String::new(), whose: Whose::default() }
}

fn both(one: &Scripted, other: &Scripted) -> Result<Routing, Duplicate> {
    Routing::new(vec![Arc::new(one.clone()), Arc::new(other.clone())])
}

#[tokio::test]
async fn each_model_is_asked_of_whoever_has_it() {
    let (one, other) = (Scripted::new(&["a", "b"]), Scripted::new(&["c"]));
    let routing = both(&one, &other).unwrap();
    let names: Vec<String> = routing.models().into_iter().map(|card| card.id).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for (model, backend) in [("a", &one), ("b", &one), ("c", &other)] {
        backend.answer(Script::text(1, &["x"]));
        drop(routing.chat(chat(model)).await.unwrap());
        assert_eq!(backend.calls().last().unwrap().request.model, model);
    }
    assert_eq!((one.calls().len(), other.calls().len()), (2, 1));

    let request =
        EmbeddingRequest { model: "c".to_owned(), inputs: vec![Prompt::Text("t".to_owned())], ..Default::default() };
    routing.embed(EmbedCall { request, request_id: String::new(), whose: Whose::default() }).await.unwrap();
    assert_eq!((one.embeds().len(), other.embeds().len()), (0, 1));
    let input = TokenizeInput::Prompt(Prompt::Text("x y".to_owned()));
    assert_eq!(routing.tokenize(TokenizeCall { model: "b".to_owned(), input }).await.unwrap().ids.len(), 2);
}

#[tokio::test]
async fn a_name_nobody_has_is_answered_with_names_of_all() {
    let (one, other) = (Scripted::new(&["qwen-one"]), Scripted::new(&["qwen-two"]));
    let routing = both(&one, &other).unwrap();
    match routing.chat(chat("qwen-twi")).await.err() {
        Some(BackendError::UnknownModel { name, near }) => {
            assert_eq!((name.as_str(), near.contains(&"qwen-two".to_owned())), ("qwen-twi", true));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_name_that_two_have_is_refused() {
    let same = both(&Scripted::new(&["a", "b"]), &Scripted::new(&["b"])).err();
    assert_eq!(same, Some(Duplicate { name: "b".to_owned() }));
    assert!(both(&Scripted::new(&["a", "a"]), &Scripted::new(&[])).is_err());
}

#[test]
fn all_are_ready_when_each_is() {
    let (one, other) = (Scripted::new(&["a"]), Scripted::new(&["b"]));
    let routing = both(&one, &other).unwrap();
    assert!(routing.ready());
    other.set_ready(false);
    assert!(!routing.ready());
}
