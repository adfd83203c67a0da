//! The service under load: one of our own on a free port of this machine, asked by several callers at
//! once in the way that other programs ask it.

use std::{sync::Arc, time::Instant};

use futures_util::{StreamExt, future::try_join_all};
use qwenda_backend::{
    Backend, ChatCall, ChatEvent, Whose,
    local::{Local, LocalModel, LocalOptions, inspect::Inspector},
    upstream::{
        Upstream,
        config::{self as upstream, ModelWritten},
    },
};
use qwenda_server::{Auth, ServeConfig, Server, config::Written};
use qwenda_types::chat::{ChatRequest, Message};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    plan::{CALL_TOKENS, SYSTEM_TOKENS},
    report::quantile,
};
use crate::{exit::CliError, lang::messages, model, output::Ui, settings::Settings};

/// What the instructions are made of, as often as they need it.
const RULES: &str = "You answer questions of engineers about the machines that they run. Be exact, say what \
    you do not know, and give figures with their units. Prefer short sentences. When a question has several parts, \
    answer them in their order. Never invent a source. ";

/// What the callers ask, in turn.
const QUESTIONS: [&str; 8] = [
    "Why does a cache have levels?",
    "What is a page fault, and when is it cheap?",
    "How does a scheduler decide who runs next?",
    "Why is reading a file twice faster the second time?",
    "What does a memory barrier order?",
    "When is a lock better than an atomic counter?",
    "How can two processes share memory safely?",
    "What happens between pressing a key and seeing a letter?",
];

/// What one round came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// Tokens of all answers, by the time from the first question to the last token.
    pub tokens_per_s: f64,
    /// Time to the first text, in milliseconds.
    pub ttft_p50_ms: f64,
    pub ttft_p95_ms: f64,
    /// Longest time between two texts of one answer, in milliseconds.
    pub gap_max_ms: f64,
    /// Tokens of the longest prompt.
    pub prompt_tokens: u32,
}

/// A service of our own, and a client of it.
pub struct Service {
    client: Arc<Upstream>,
    model: String,
    inspector: Inspector,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// What one caller saw.
struct Call {
    first: Instant,
    last: Instant,
    ttft_ms: f64,
    gap_max_ms: f64,
    prompt_tokens: u32,
}

impl Service {
    pub async fn start(ui: Ui, settings: &Settings, file: LocalModel, options: LocalOptions) -> Result<Self, CliError> {
        let name = file.name.clone();
        let unusable = |error: &dyn std::fmt::Display| CliError::model(messages::unusable_model(ui.lang, &name, error));
        let inspector = Inspector::open(&file.path).map_err(|error| unusable(&error))?;
        let backend = model::blocking(move || Local::open(vec![file], options)).await?;
        let backend = backend.map_err(|error| unusable(&error))?;

        let written = Written { listen: Some("127.0.0.1:0".to_owned()), auth: Some(Auth::None), ..Written::default() };
        let config = ServeConfig::resolve(written, &|_| None, Written::default(), settings.home())
            .map_err(|error| CliError::failure(error.to_string()))?;
        let server = Server::bind(config, Arc::new(backend)).await;
        let server = server.map_err(|error| CliError::failure(error.to_string()))?;
        let written = upstream::Written {
            name: Some("bench".to_owned()),
            base_url: Some(format!("http://{}/v1", server.addr())),
            models: vec![ModelWritten { id: Some(name.clone()), ..ModelWritten::default() }],
            retries: Some(0),
            ..upstream::Written::default()
        };
        let config = upstream::resolve(vec![written], &|_| None);
        let config = config.map_err(|error| CliError::failure(error.to_string()))?.remove(0);
        let client = Upstream::new(config).map_err(|error| CliError::failure(error.to_string()))?;

        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            // Whoever forgot to stop it has ended.
            let _ = stopped.await;
        }));
        Ok(Self { client: Arc::new(client), model: name, inspector, stop, running })
    }

    /// All callers ask at once; nothing they share is known from another round.
    pub async fn round(&self, round: u32, callers: u32) -> Result<Round, CliError> {
        let system = self.instructions(round);
        let begun = Instant::now();
        let calls = (0..callers).map(|caller| self.call(&system, caller));
        let calls = try_join_all(calls).await?;
        let first = calls.iter().map(|call| call.first).min().unwrap_or(begun);
        let last = calls.iter().map(|call| call.last).max().unwrap_or(begun);
        let ttft: Vec<f64> = calls.iter().map(|call| call.ttft_ms).collect();
        Ok(Round {
            tokens_per_s: f64::from(CALL_TOKENS * callers) / last.duration_since(first).as_secs_f64(),
            ttft_p50_ms: quantile(&ttft, 0.5),
            ttft_p95_ms: quantile(&ttft, 0.95),
            gap_max_ms: calls.iter().map(|call| call.gap_max_ms).fold(0.0, f64::max),
            prompt_tokens: calls.iter().map(|call| call.prompt_tokens).max().unwrap_or_default(),
        })
    }

    /// Lets the service end.
    pub async fn stop(self) {
        // It has ended already only when it panicked, which the rounds have seen.
        let _ = self.stop.send(());
        let _ = self.running.await;
    }

    /// Instructions of [`SYSTEM_TOKENS`] tokens, or the few less that whole words make.
    fn instructions(&self, round: u32) -> String {
        let mut text = format!("Manual {round}.");
        for word in RULES.split_whitespace().cycle() {
            let more = format!("{text} {word}");
            if self.inspector.count(&more) > SYSTEM_TOKENS as usize {
                break;
            }
            text = more;
        }
        text
    }

    async fn call(&self, system: &str, caller: u32) -> Result<Call, CliError> {
        let question = format!("{} (#{caller})", QUESTIONS[caller as usize % QUESTIONS.len()]);
        let messages = vec![Message::system(system), Message::user(question)];
        let mut request = ChatRequest::new(&self.model, messages);
        request.temperature = Some(0.0);
        request.max_tokens = Some(CALL_TOKENS);
        // Every answer is as long as every other.
        request.logit_bias = self.inspector.info().eos.iter().map(|&id| (id, -100.0)).collect();
        let failed = |error: &dyn std::fmt::Display| CliError::failure(format!("HTTP: {error}"));

        let asked = Instant::now();
        let call = ChatCall { request, request_id: format!("bench-{caller}"), whose: Whose::default() };
        let mut events = self.client.chat(call).await.map_err(|error| failed(&error))?;
        let mut times: Vec<Instant> = Vec::new();
        let mut usage = None;
        while let Some(event) = events.next().await {
            match event.map_err(|error| failed(&error))? {
                ChatEvent::Text { .. } | ChatEvent::Reasoning { .. } => times.push(Instant::now()),
                ChatEvent::Done { usage: counted, .. } => usage = Some(counted),
                _ => {}
            }
        }
        let (Some(&first), Some(&last), Some(usage)) = (times.first(), times.last(), usage) else {
            return Err(failed(&"an answer did not come to its end"));
        };
        if usage.completion_tokens != CALL_TOKENS {
            return Err(failed(&format!("{} tokens came, not {CALL_TOKENS}", usage.completion_tokens)));
        }
        let ms = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64() * 1e3;
        Ok(Call {
            first: asked,
            last,
            ttft_ms: ms(asked, first),
            gap_max_ms: times.windows(2).map(|pair| ms(pair[0], pair[1])).fold(0.0, f64::max),
            prompt_tokens: usage.prompt_tokens,
        })
    }
}
