//! Conversations that are kept.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use super::*;
use crate::history::{Kept, KeptInfo, RamHistory};

#[tokio::test]
async fn a_conversation_that_is_kept_goes_on_with_its_summary() {
    let chats = RamHistory::new();
    let mock = Mock::new().reply("1").reply("- a was said").reply("2").reply("3");
    let client = mock.client();
    let begin = async |id: &str| {
        let policy = Policy::last_turns(1).summarise_with("small");
        client.chat("m").system("rules").conversation(policy).open(id).store(chats.clone()).await
    };
    let mut talk = begin("x").await.unwrap();
    let mut other = begin("x").await.unwrap();
    talk.send("a").await.unwrap();
    talk.send("b").await.unwrap();
    drop(talk);
    let mut talk = begin("x").await.unwrap();
    assert_eq!((talk.history().len(), talk.summary()), (4, Some("- a was said")));
    assert_eq!(begin("y").await.unwrap().history().len(), 0);
    // Who began before and knows nothing of it is told, and has the answer all the same.
    let error = other.send("c").await.unwrap_err();
    assert_eq!((error.kind(), error.billed()), (Kind::Conflict, crate::Billed::Yes));
    assert_eq!(error.partial().unwrap().text(), "3");
    let begun = client.chat("m").user("something else").assistant("yes").conversation(Policy::everything());
    assert_eq!(begun.open("x").store(chats.clone()).await.unwrap_err().kind(), Kind::Invalid);
    assert!(talk.send("d").await.is_err(), "the script is over");
    assert_eq!(chats.load("x").await.unwrap().messages.len(), 4);
}

/// Fails once.
struct Full(RamHistory, AtomicBool);

impl History for Full {
    fn load<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Kept>> {
        self.0.load(id)
    }

    fn append<'a>(
        &'a self,
        id: &'a str,
        after: usize,
        messages: Vec<Message>,
        notes: serde_json::Map<String, serde_json::Value>,
    ) -> BoxFuture<'a, Result<()>> {
        if self.1.swap(false, Ordering::Relaxed) {
            return Box::pin(async { Err(Error::of(Kind::Storage).say("disk full")) });
        }
        self.0.append(id, after, messages, notes)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeptInfo>>> {
        self.0.list()
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        self.0.delete(id)
    }
}

#[tokio::test]
async fn an_answer_that_could_not_be_kept_is_kept_with_the_next() {
    let chats = RamHistory::new();
    let mock = Mock::new().reply("1").reply("2");
    let talk = mock.client().chat("m").conversation(Policy::everything()).open("x");
    let mut talk = talk.store(Full(chats.clone(), true.into())).await.unwrap();
    let error = talk.send("a").await.unwrap_err();
    assert_eq!((error.kind(), error.partial().unwrap().text()), (Kind::Storage, "1"));
    talk.send("b").await.unwrap();
    let kept = chats.load("x").await.unwrap().messages;
    assert_eq!(kept, talk.history());
    assert_eq!(kept.len(), 4);
}
