//! How the tests open models and ask them.

use futures_util::StreamExt;
use qwenda_backend::{
    Backend, BackendError, ChatCall, ChatEvent, ChatStream, CompletionCall, Counts, Timings, TokenLogprob, Whose,
    local::{Local, LocalModel, LocalOptions},
};
use qwenda_testkit::{TinyModel, tiny_model::Parts};
use qwenda_types::{
    chat::{FinishReason, Strictness},
    completions::CompletionRequest,
};
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
        Self::parts(model.parts(), options)
    }

    /// A model whose file was changed.
    pub(crate) fn parts(parts: Parts, options: LocalOptions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tiny.gguf");
        std::fs::write(&path, parts.bytes()).expect("the model is written");
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
    pub(crate) reasonings: Vec<String>,
    /// The calls of each choice.
    pub(crate) calls: Vec<Vec<Call>>,
    pub(crate) logprobs: Vec<Vec<TokenLogprob>>,
    /// The highest count beside a text, by choice.
    pub(crate) counted: Vec<u32>,
    pub(crate) reasons: Vec<Option<FinishReason>>,
    pub(crate) usage: Counts,
    pub(crate) timings: Timings,
}

/// A call as its events build it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
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
    local.chat(ChatCall { request, request_id: "test".into(), whose: Whose::default() }).await
}

pub(crate) async fn refused(local: &Local, request: Value) -> BackendError {
    start(local, request).await.err().expect("it is refused")
}

/// Asks and holds the events to the trait's promises: `Started` first, `Done` last, every choice ended
/// once and silent after that.
pub(crate) async fn ask(local: &Local, request: Value) -> Answer {
    let choices = request.get("n").map_or(1, |n| n.as_u64().expect("a number") as usize);
    collect(start(local, request).await.expect("it is taken"), choices).await
}

/// A completion's request, read as the server does.
pub(crate) fn completion(fields: Value) -> CompletionCall {
    let mut map = json!({"model": "tiny", "prompt": "the answer", "max_tokens": 8, "temperature": 0});
    for (name, value) in fields.as_object().expect("fields") {
        map[name] = value.clone();
    }
    let Value::Object(map) = map else { unreachable!("it is an object") };
    let request = CompletionRequest::from_map(map).expect("a request");
    request.validate(Strictness::Qwen).expect("a request in its ranges");
    CompletionCall { request, request_id: "test".into(), whose: Whose::default() }
}

/// As [`ask`], for a completion.
pub(crate) async fn complete(local: &Local, fields: Value) -> Answer {
    let call = completion(fields);
    let choices = call.request.choices() as usize;
    collect(local.complete(call).await.expect("it is taken"), choices).await
}

async fn collect(mut stream: ChatStream, choices: usize) -> Answer {
    let mut answer = Answer {
        texts: vec![String::new(); choices],
        reasonings: vec![String::new(); choices],
        calls: vec![Vec::new(); choices],
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
            ChatEvent::Reasoning { choice, text, completion_tokens } => {
                assert_eq!(answer.texts[choice as usize], "", "reasoning comes before the answer");
                answer.reasonings[choice as usize].push_str(&text);
                answer.counted[choice as usize] = completion_tokens;
            }
            ChatEvent::ToolCall { choice, index, id, name, .. } => {
                let calls = &mut answer.calls[choice as usize];
                assert_eq!(index as usize, calls.len(), "calls are counted from 0");
                calls.push(Call { id, name, arguments: String::new() });
            }
            ChatEvent::ToolArguments { choice, index, text, .. } => {
                let calls = &mut answer.calls[choice as usize];
                assert_eq!(index as usize + 1, calls.len(), "arguments are the last call's");
                calls[index as usize].arguments.push_str(&text);
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
