//! How the tests open models and ask them.

use futures_util::StreamExt;
use qwenda_backend::{
    Backend, BackendError, ChatCall, ChatEvent, ChatStream, Counts, Timings, TokenLogprob,
    local::{Local, LocalModel, LocalOptions},
};
use qwenda_testkit::TinyModel;
use qwenda_types::chat::FinishReason;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Tiny models that answer, and the folder they lie in.
pub(crate) struct Tiny {
    pub(crate) folder: TempDir,
    pub(crate) local: Local,
}

impl Tiny {
    /// One model called `tiny`.
    pub(crate) fn new() -> Self {
        Self::of(&TinyModel::qwen2(), LocalOptions::default())
    }

    pub(crate) fn of(model: &TinyModel, options: LocalOptions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tiny.gguf");
        model.write(&path).expect("the model is written");
        let local = Local::open(vec![LocalModel { name: "tiny".into(), path }], options).expect("the model opens");
        Self { folder, local }
    }

    pub(crate) fn file(&self) -> LocalModel {
        LocalModel { name: "tiny".into(), path: self.folder.path().join("tiny.gguf") }
    }

    pub(crate) async fn ask(&self, request: Value) -> Answer {
        ask(&self.local, request).await
    }
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) prompt_tokens: u32,
    pub(crate) texts: Vec<String>,
    pub(crate) logprobs: Vec<Vec<TokenLogprob>>,
    /// The highest count beside a text, by choice.
    pub(crate) counted: Vec<u32>,
    pub(crate) reasons: Vec<Option<FinishReason>>,
    pub(crate) usage: Counts,
    pub(crate) timings: Timings,
}

/// A request to `tiny`, with `fields` over it.
pub(crate) fn request(fields: Value) -> Value {
    let mut request =
        json!({"model": "tiny", "messages": [{"role": "user", "content": "你好 the answer"}], "max_tokens": 12});
    for (name, value) in fields.as_object().expect("fields") {
        request[name] = value.clone();
    }
    request
}

pub(crate) async fn start(local: &Local, request: Value) -> Result<ChatStream, BackendError> {
    let request = serde_json::from_value(request).expect("a request");
    local.chat(ChatCall { request, request_id: "test".into() }).await
}

pub(crate) async fn refused(local: &Local, request: Value) -> BackendError {
    start(local, request).await.err().expect("it is refused")
}

/// Asks and holds the events to the trait's promises: `Started` first, `Done` last, every choice ended
/// once and silent after that.
pub(crate) async fn ask(local: &Local, request: Value) -> Answer {
    let choices = request.get("n").map_or(1, |n| n.as_u64().expect("a number") as usize);
    let mut stream = start(local, request).await.expect("it is taken");
    let mut answer = Answer {
        texts: vec![String::new(); choices],
        logprobs: vec![Vec::new(); choices],
        counted: vec![0; choices],
        reasons: vec![None; choices],
        ..Answer::default()
    };
    let first = stream.next().await.expect("an event").expect("no error");
    let ChatEvent::Started { prompt_tokens, .. } = first else { panic!("first came {first:?}") };
    answer.prompt_tokens = prompt_tokens;
    loop {
        match stream.next().await.expect("`Done` comes before the end").expect("no error") {
            ChatEvent::Started { .. } => panic!("started twice"),
            ChatEvent::Text { choice, text, completion_tokens, logprobs } => {
                let choice = choice as usize;
                assert_eq!(answer.reasons[choice], None, "text after the end");
                assert!(completion_tokens >= answer.counted[choice], "counts do not go back");
                answer.counted[choice] = completion_tokens;
                answer.texts[choice].push_str(&text);
                answer.logprobs[choice].extend(logprobs);
            }
            ChatEvent::Finished { choice, reason } => {
                assert_eq!(answer.reasons[choice as usize].replace(reason), None, "ended twice");
            }
            ChatEvent::Done { usage, timings } => {
                answer.usage = usage;
                answer.timings = timings;
                break;
            }
        }
    }
    assert!(stream.next().await.is_none(), "nothing follows `Done`");
    assert!(answer.reasons.iter().all(Option::is_some), "every choice ended");
    assert_eq!(answer.usage.prompt_tokens, answer.prompt_tokens);
    answer
}
