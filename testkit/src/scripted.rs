//! A backend that plays a script: the test decides what comes, and when.
//!
//! ```no_run
//! # async fn example() {
//! use qwenda_testkit::{Act, Gate, Script, Scripted};
//!
//! let backend = Scripted::new(&["qwen-scripted"]);
//! let gate = Gate::new();
//! let script = Script::text(3, &["Hel", "lo"]).wait_before(2, &gate);
//! let played = backend.answer(script);
//! // … start a request against `backend` …
//! gate.reached().await;       // "Hel" has left, "lo" has not
//! assert!(!played.dropped());
//! gate.open();
//! # }
//! ```

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::stream;
use qwenda_backend::{
    Abilities, Backend, BackendError, BoxFuture, ChatCall, ChatEvent, ChatStream, CompletionCall, Counts, EmbedAbility,
    EmbedCall, Embedded, ModelCard, Ranked, RerankCall, Thinking, Timings, TokenizeCall, TokenizeInput, Tokenized,
};
use qwenda_types::{chat::FinishReason, completions::Prompt};
use tokio::sync::watch;

/// One step of a script.
#[derive(Debug)]
pub enum Act {
    /// Hands out an event.
    Event(ChatEvent),
    /// Hands out an error; the stream ends after it.
    Fail(BackendError),
    /// Hands out nothing until the gate is opened.
    Wait(Gate),
    /// Lets whoever else is ready go first.
    Yield,
}

/// What the backend does with one call.
#[derive(Debug)]
pub struct Script {
    refused: Option<BackendError>,
    acts: VecDeque<Act>,
}

impl Script {
    /// The call is answered with these steps.
    pub fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self { refused: None, acts: acts.into_iter().collect() }
    }

    /// The call is refused before any event.
    pub fn refuse(error: BackendError) -> Self {
        Self { refused: Some(error), acts: VecDeque::new() }
    }

    /// A whole answer: started, each piece of text as one token, finished with `stop`, done.
    pub fn text(prompt_tokens: u32, pieces: &[&str]) -> Self {
        let started = ChatEvent::Started { prompt_tokens, cached_tokens: 0 };
        let texts = pieces.iter().zip(1..).map(|(text, completion_tokens)| ChatEvent::Text {
            choice: 0,
            text: (*text).to_owned(),
            completion_tokens,
            logprobs: Vec::new(),
        });
        let finished = ChatEvent::Finished { choice: 0, reason: FinishReason::Stop };
        let usage = Counts { prompt_tokens, completion_tokens: pieces.len() as u32, ..Counts::default() };
        let done = ChatEvent::Done { usage, timings: Timings::default() };
        Self::new([started].into_iter().chain(texts).chain([finished, done]).map(Act::Event))
    }

    /// Puts another step between any two.
    #[must_use]
    pub fn between(mut self, step: impl Fn() -> Act) -> Self {
        let acts = std::mem::take(&mut self.acts);
        self.acts = acts.into_iter().flat_map(|act| [step(), act]).skip(1).collect();
        self
    }

    /// Puts a gate before step `step`, counted from 0.
    #[must_use]
    pub fn wait_before(mut self, step: usize, gate: &Gate) -> Self {
        self.acts.insert(step, Act::Wait(gate.clone()));
        self
    }

    /// Keeps the first `steps` steps and then fails.
    #[must_use]
    pub fn fail_after(mut self, steps: usize, error: BackendError) -> Self {
        self.acts.truncate(steps);
        self.acts.push_back(Act::Fail(error));
        self
    }
}

/// A place in a script where the stream waits for the test. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    opened: watch::Sender<bool>,
    reached: watch::Sender<bool>,
}

impl Gate {
    /// A closed gate.
    #[expect(clippy::new_without_default, reason = "a gate by default would be open or closed?")]
    pub fn new() -> Self {
        Self { opened: watch::Sender::new(false), reached: watch::Sender::new(false) }
    }

    /// Lets the stream pass, now and ever after.
    pub fn open(&self) {
        self.opened.send_replace(true);
    }

    /// Waits until a stream stands before this gate (or has passed it).
    pub async fn reached(&self) {
        wait_for(&self.reached, |reached| *reached).await;
    }

    async fn pass(&self) {
        self.reached.send_replace(true);
        wait_for(&self.opened, |opened| *opened).await;
    }
}

async fn wait_for<T>(state: &watch::Sender<T>, holds: impl FnMut(&T) -> bool) {
    let waited = state.subscribe().wait_for(holds).await.map(drop);
    waited.expect("`state` is a sender, so there is one");
}

/// What became of one script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Played {
    /// No call has come for it yet.
    Waiting,
    /// Its stream is alive; this many events have been handed out.
    Streaming(usize),
    /// Its stream has handed out everything, or the call was refused.
    Ended(usize),
    /// Its stream was dropped before its end, after this many events.
    Dropped(usize),
}

/// Watches one script.
#[derive(Debug, Clone)]
pub struct Watch(watch::Sender<Played>);

impl Watch {
    /// What has become of the script so far.
    pub fn now(&self) -> Played {
        *self.0.borrow()
    }

    /// Whether the stream was dropped before its end.
    pub fn dropped(&self) -> bool {
        matches!(self.now(), Played::Dropped(_))
    }

    /// Waits until the stream has ended or was dropped, and says which.
    pub async fn over(&self) -> Played {
        wait_for(&self.0, |played| matches!(played, Played::Ended(_) | Played::Dropped(_))).await;
        self.now()
    }

    /// Waits until a call has come for the script.
    pub async fn begun(&self) {
        wait_for(&self.0, |played| *played != Played::Waiting).await;
    }
}

/// A backend that plays scripts in the order they were given. Clones are the same backend.
#[derive(Clone)]
pub struct Scripted(Arc<Mutex<State>>);

type Otherwise = Arc<dyn Fn(&ChatCall) -> Script + Send + Sync>;

struct State {
    models: Vec<ModelCard>,
    ready: bool,
    scripts: VecDeque<(Script, Watch)>,
    /// Makes the script of a chat for which there is none.
    otherwise: Option<Otherwise>,
    calls: Vec<ChatCall>,
    completions: Vec<CompletionCall>,
    embeds: Vec<EmbedCall>,
    reranks: Vec<RerankCall>,
}

impl Scripted {
    /// A ready backend that serves models of these names.
    pub fn new(models: &[&str]) -> Self {
        let card = |name: &&str| ModelCard {
            id: (*name).to_owned(),
            created: 1_767_225_600,
            owned_by: "testkit".to_owned(),
            context_tokens_max: 4096,
            thinking: Thinking::Never,
            abilities: Abilities {
                chat: true,
                infill: true,
                embed: Some(EmbedAbility { dimensions_default: 8, text_tokens_max: 64, tells_questions: false }),
                rerank: true,
                ..Abilities::default()
            },
        };
        Self::with_models(models.iter().map(card).collect())
    }

    /// A ready backend that serves these models.
    pub fn with_models(models: Vec<ModelCard>) -> Self {
        let state = State {
            models,
            ready: true,
            scripts: VecDeque::new(),
            otherwise: None,
            calls: Vec::new(),
            completions: Vec::new(),
            embeds: Vec::new(),
            reranks: Vec::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Adds a script: the next call that finds no earlier one plays it.
    pub fn answer(&self, script: Script) -> Watch {
        let watch = Watch(watch::Sender::new(Played::Waiting));
        self.state().scripts.push_back((script, watch.clone()));
        watch
    }

    /// Makes the script of every chat that finds none.
    pub fn otherwise(&self, make: impl Fn(&ChatCall) -> Script + Send + Sync + 'static) {
        self.state().otherwise = Some(Arc::new(make));
    }

    /// Every chat asked for so far.
    pub fn calls(&self) -> Vec<ChatCall> {
        self.state().calls.clone()
    }

    /// Every text to be continued so far.
    pub fn completions(&self) -> Vec<CompletionCall> {
        self.state().completions.clone()
    }

    /// Every request for vectors so far.
    pub fn embeds(&self) -> Vec<EmbedCall> {
        self.state().embeds.clone()
    }

    /// Every rerank so far.
    pub fn reranks(&self) -> Vec<RerankCall> {
        self.state().reranks.clone()
    }

    /// What [`Backend::ready`] says from now on.
    pub fn set_ready(&self, ready: bool) {
        self.state().ready = ready;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Scripted {
    fn models(&self) -> Vec<ModelCard> {
        self.state().models.clone()
    }

    /// A call without a script is an [`BackendError::Internal`] that says so.
    fn chat(&self, call: ChatCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        let next = {
            let mut state = self.state();
            let written = state.scripts.pop_front();
            let next = written.or_else(|| {
                let make = state.otherwise.as_ref()?;
                Some((make(&call), Watch(watch::Sender::new(Played::Waiting))))
            });
            state.calls.push(call);
            next
        };
        Box::pin(begin(next))
    }

    /// Plays the next script, as a chat does.
    fn complete(&self, call: CompletionCall) -> BoxFuture<'_, Result<ChatStream, BackendError>> {
        let next = {
            let mut state = self.state();
            state.completions.push(call);
            state.scripts.pop_front()
        };
        Box::pin(begin(next))
    }

    /// Vectors that tell texts apart: each letter adds to one place.
    fn embed(&self, call: EmbedCall) -> BoxFuture<'_, Result<Embedded, BackendError>> {
        let dimensions = call.request.dimensions.unwrap_or(8) as usize;
        let texts: Vec<String> = call.request.inputs.iter().map(text_of).collect();
        let vectors = texts.iter().map(|text| letters(text, dimensions)).collect();
        let text_tokens = texts.iter().map(|text| words(text).len() as u32).collect();
        self.state().embeds.push(call);
        Box::pin(async move { Ok(Embedded { vectors, text_tokens }) })
    }

    /// A document is as relevant as the part of the question's words that it has.
    fn rerank(&self, call: RerankCall) -> BoxFuture<'_, Result<Ranked, BackendError>> {
        let query = words(&call.request.query);
        let score = |document: &String| {
            let found = query.iter().filter(|word| document.contains(*word)).count();
            found as f64 / query.len().max(1) as f64
        };
        let scores = call.request.documents.iter().map(score).collect();
        let tokens = call.request.documents.iter().map(|document| (query.len() + words(document).len()) as u32).sum();
        self.state().reranks.push(call);
        Box::pin(async move { Ok(Ranked { scores, tokens }) })
    }

    /// One token per word.
    fn tokenize(&self, call: TokenizeCall) -> BoxFuture<'_, Result<Tokenized, BackendError>> {
        let text = match &call.input {
            TokenizeInput::Prompt(prompt) => text_of(prompt),
            TokenizeInput::Chat(request) => {
                request.messages.iter().map(|message| message.plain_text().into_owned()).collect::<Vec<_>>().join(" ")
            }
        };
        let tokens: Vec<String> = words(&text).into_iter().map(str::to_owned).collect();
        Box::pin(async move { Ok(Tokenized { ids: (0..).take(tokens.len()).collect(), tokens }) })
    }

    fn ready(&self) -> bool {
        self.state().ready
    }
}

async fn begin(next: Option<(Script, Watch)>) -> Result<ChatStream, BackendError> {
    let (script, watch) =
        next.ok_or_else(|| BackendError::Internal("the test gave no script for this call".to_owned()))?;
    match script.refused {
        Some(error) => {
            watch.0.send_replace(Played::Ended(0));
            Err(error)
        }
        None => Ok(play(script.acts, watch)),
    }
}

fn text_of(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Tokens(ids) => ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn letters(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimensions];
    for byte in text.bytes() {
        vector[usize::from(byte) % dimensions] += 1.0;
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(1.0);
    vector.into_iter().map(|value| value / length).collect()
}

fn play(acts: VecDeque<Act>, watch: Watch) -> ChatStream {
    watch.0.send_replace(Played::Streaming(0));
    let stage = Stage { acts, watch };
    ChatStream::new(stream::unfold(stage, |mut stage| async {
        loop {
            match stage.acts.pop_front() {
                Some(Act::Wait(gate)) => gate.pass().await,
                Some(Act::Yield) => tokio::task::yield_now().await,
                Some(Act::Event(event)) => {
                    stage.handed_out();
                    return Some((Ok(event), stage));
                }
                Some(Act::Fail(error)) => {
                    stage.acts.clear();
                    stage.handed_out();
                    return Some((Err(error), stage));
                }
                None => return None,
            }
        }
    }))
}

struct Stage {
    acts: VecDeque<Act>,
    watch: Watch,
}

impl Stage {
    /// Counts one event. The last one ends the script: who drops the stream after it missed nothing.
    fn handed_out(&self) {
        let over = self.acts.is_empty();
        self.watch.0.send_modify(|played| {
            if let Played::Streaming(count) = *played {
                *played = if over { Played::Ended(count + 1) } else { Played::Streaming(count + 1) };
            }
        });
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.watch.0.send_modify(|played| {
            if let Played::Streaming(count) = *played {
                *played = Played::Dropped(count);
            }
        });
    }
}
