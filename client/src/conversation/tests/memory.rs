//! What a memory brings back.

use futures_util::future::BoxFuture;

use super::*;
use crate::memory::{Embedder, Wanted};

#[tokio::test]
async fn what_is_left_out_comes_back_where_it_is_asked_for_and_is_embedded_once() {
    let mock = Mock::new().reply("Noted.").reply("Indeed.").reply("Yes.").reply("8123.").reply("In May.");
    let client = mock.client();
    let counting = Counting::default();
    let memory = VectorMemory::in_ram(counting.clone());
    let policy = Policy::last_turns(1).remember_in(memory);
    let mut talk = client.chat("m").system("rules").conversation(policy);
    for text in ["My order number is 8123, placed in May.", "The sky is blue today.", "Order 8123 became order 9456."] {
        talk.send(text).await.unwrap();
    }
    let plan = talk.prepare("What is my order number?").await.unwrap();
    let documents = counting.documents();
    talk.send("What is my order number?").await.unwrap();
    assert_eq!(counting.documents(), documents, "what a plan has put into the memory is not embedded again");
    let sent = contents(&mock.bodies()[3]);
    assert_eq!((sent.len(), sent[0].as_str(), sent[2].as_str()), (3, "rules", "What is my order number?"));
    let lines: Vec<&str> = sent[1].lines().skip(1).collect();
    assert_eq!(
        lines,
        ["[turn 1, user] My order number is 8123, placed in May.", "[turn 3, user] Order 8123 became order 9456.",]
    );
    assert_eq!(plan.recalled, 2);
    assert_eq!(plan.messages.iter().map(|one| one.plain_text().into_owned()).collect::<Vec<_>>(), sent);
    talk.send("And when was it placed?").await.unwrap();
    let texts: Vec<String> = counting.0.lock().unwrap().clone();
    let mut once = texts.clone();
    once.sort();
    once.dedup();
    assert_eq!(texts.len(), once.len());
    // What is recalled is not said: the history has only what was.
    assert_eq!(talk.history().len(), 10);
}

/// Remembers what it has embedded.
#[derive(Clone, Default)]
struct Counting(Arc<std::sync::Mutex<Vec<String>>>);

impl Counting {
    fn documents(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Embedder for Counting {
    fn space(&self) -> String {
        "counting".to_owned()
    }

    fn embed(&self, texts: Vec<String>, wanted: Wanted) -> BoxFuture<'static, Result<Vec<Vec<f32>>>> {
        if wanted == Wanted::Document {
            self.0.lock().unwrap().extend(texts.iter().cloned());
        }
        WordVectors::new().embed(texts, wanted)
    }
}

#[tokio::test]
async fn what_was_corrected_in_what_is_sent_anyway_is_repeated_behind_what_is_recalled() {
    let mock = Mock::new().reply("Noted.").reply("Indeed.").reply("Noted.");
    let policy = Policy::last_turns(2).remember_in(VectorMemory::in_ram(WordVectors::new()));
    let mut talk = mock.client().chat("m").conversation(policy);
    for text in ["My order number is 8123.", "The sky is blue today.", "Correction: my order number is 9456."] {
        talk.send(text).await.unwrap();
    }
    let plan = talk.prepare("What is my order number?").await.unwrap();
    let recalled = plan.messages[plan.messages.len() - 2].plain_text().into_owned();
    let lines: Vec<&str> = recalled.lines().skip(1).collect();
    assert_eq!(
        lines,
        ["[turn 1, user] My order number is 8123.", "[turn 3, user] Correction: my order number is 9456.",]
    );
    // Where nothing older comes back, nothing is repeated.
    let plan = talk.prepare("Which correction?").await.unwrap();
    assert_eq!(plan.recalled, 0);
}

#[tokio::test]
async fn a_memory_that_fails_is_an_error_and_changes_nothing() {
    struct Broken;
    impl Embedder for Broken {
        fn space(&self) -> String {
            "broken".to_owned()
        }

        fn embed(&self, _: Vec<String>, _: Wanted) -> BoxFuture<'static, Result<Vec<Vec<f32>>>> {
            Box::pin(async { Err(Error::of(Kind::Service)) })
        }
    }
    let mock = Mock::new().reply("1");
    let policy = Policy::last_turns(1).remember_in(VectorMemory::in_ram(Broken));
    let mut talk = mock.client().chat("m").conversation(policy);
    talk.send("a").await.unwrap();
    assert_eq!(talk.send("b").await.unwrap_err().kind(), Kind::Service);
    assert_eq!((talk.history().len(), mock.bodies().len()), (2, 1));
}
