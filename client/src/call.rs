//! One call: a request that may be sent several times, and what became of each time.

use std::{sync::Arc, time::Duration};

use qwenda_types::chat::Message;
use tokio::time::Instant;
use tracing::Span;

use crate::{
    Attempt, Error, Observation, Reply, Result, Timeouts, Usage, What,
    client::Inner,
    cost,
    error::{Billed, Kind, Limit, refusal},
    giving_up::Guard,
    observe,
    pace::Pass,
    retry::{Failed, Replay, Retry},
    stream::{Reading, Retrying, deadline, read_body},
    transport::{Request, Response, within},
};

/// How much of a refusal is read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// What an answer was.
pub(crate) enum Answered<'a> {
    /// A chat's.
    Chat(&'a Reply),
    /// Another one, of so many tokens.
    Counted(Box<Usage>),
    /// One without tokens, or whose service did not count them.
    Uncounted,
}

pub(crate) struct Call {
    client: Arc<Inner>,
    operation: &'static str,
    span: Span,
    request: Request,
    pub(crate) limits: Timeouts,
    retry: Retry,
    /// The same request is carried out once however often it is sent.
    replays: bool,
    pub(crate) reading: Reading,
    began: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) attempts: Vec<Attempt>,
    /// What is still to be told.
    pub(crate) notices: Vec<Retrying>,
    /// To be waited before the request is sent.
    pub(crate) pause: Option<Duration>,
    /// Of the request on its way, where requests are paced.
    pass: Option<Pass>,
    /// Of what the service makes for it.
    guard: Guard,
}

/// What a call may differ in from the client's settings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    pub(crate) limits: Option<Timeouts>,
    pub(crate) retry: Option<Retry>,
    /// It only reads: sending it twice does no harm.
    pub(crate) reads: bool,
}

impl Call {
    pub(crate) fn new(
        client: &Arc<Inner>,
        operation: &'static str,
        request: Request,
        reading: Reading,
        terms: &Terms,
    ) -> Self {
        let limits = terms.limits.unwrap_or(client.limits);
        Self {
            replays: terms.reads || (client.service.replays && request.header("idempotency-key").is_some()),
            client: Arc::clone(client),
            span: observe::span(operation, &reading.model),
            operation,
            request,
            limits,
            retry: terms.retry.unwrap_or(client.retry),
            reading,
            began: Instant::now(),
            deadline: deadline(limits.total),
            attempts: Vec::new(),
            notices: Vec::new(),
            pause: None,
            pass: None,
            guard: Guard::new(client),
        }
    }

    /// Whether the service makes an answer once, and keeps it to be picked up.
    pub(crate) fn replays(&self) -> bool {
        self.client.service.replays
    }

    /// Sends the request until an answer of success begins, or nothing is left to try.
    pub(crate) async fn send(&mut self) -> Result<Response> {
        loop {
            if let Some(pause) = self.pause.take() {
                tokio::time::sleep(pause).await;
            }
            let sent = match self.paced().await {
                Ok(()) => {
                    let first = self.guard.sent(&self.request);
                    let sent = self.send_once().await;
                    let refused = |error: &Error| match error.facts().replay {
                        // What an earlier attempt may have begun goes on all the same.
                        Replay::Safe => first,
                        Replay::Never => error.status().is_some(),
                        Replay::Unknown => false,
                    };
                    if sent.as_ref().is_err_and(refused) {
                        self.guard.over();
                    }
                    sent
                }
                Err(error) => Err(error),
            };
            match sent {
                Ok(response) => return Ok(response),
                Err(error) => self.pause = Some(self.decide(error, false)?),
            }
        }
    }

    /// Waits until it is this request's turn, where requests are paced.
    async fn paced(&mut self) -> Result<()> {
        // The one before is over.
        self.pass = None;
        let Some(pacer) = self.client.pacer.as_ref().filter(|_| !self.reading.model.is_empty()) else { return Ok(()) };
        let pass = pacer.pass(&self.reading.model, self.request.body.len());
        let pass = self.in_time(async { Ok(pass.await) }).await;
        // Nothing was sent.
        self.pass = Some(pass.map_err(|error| error.with(|facts| facts.billed = Billed::No))?);
        Ok(())
    }

    /// The whole body of an answer that is no stream. What it says decides whether the call has succeeded.
    pub(crate) async fn whole(&mut self) -> Result<(Response, Vec<u8>)> {
        loop {
            let mut response = self.send().await?;
            let body = std::mem::replace(&mut response.body, crate::transport::Body::whole(Vec::new()));
            let read = read_body(body, self.reading.answer_bytes_max, self.limits.idle);
            match self.in_time(read).await {
                Ok(bytes) => return Ok((response, bytes)),
                Err(error) => self.pause = Some(self.decide(error, false)?),
            }
        }
    }

    /// The pause before the next attempt, or the error if this was the last.
    pub(crate) fn decide(&mut self, error: Error, resumed: bool) -> Result<Duration> {
        let facts = error.facts();
        if let (Some(pass), Kind::Throttled(throttle)) = (self.pass.take(), facts.kind) {
            pass.refused(throttle, facts.retry_after);
        }
        let attempts = self.attempts.len() as u32 + 1;
        let failed = Failed {
            kind: facts.kind,
            replay: facts.replay,
            asked: facts.retry_after,
            attempts,
            elapsed: self.began.elapsed(),
            replays: self.replays,
        };
        // Without a random number all pauses are the shortest, which is no reason to fail.
        let pause = self.retry.pause(&failed, getrandom::u64().unwrap_or(0)).filter(|_| !facts.hopeless);
        let in_time = |pause: &Duration| self.deadline.is_none_or(|deadline| Instant::now() + *pause < deadline);
        let Some(pause) = pause.filter(in_time).filter(|_| self.client.allowance.spend()) else {
            return Err(self.gave_up(error));
        };
        let (kind, status) = (facts.kind, facts.status);
        let pause_ms = pause.as_millis() as u64;
        self.span.in_scope(|| tracing::debug!(attempt = attempts, kind = ?kind, status, pause_ms, "sending again"));
        self.observe(|| What::Failed { kind, status, pause: Some(pause) });
        self.attempts.push(Attempt { kind, status, pause });
        self.notices.push(Retrying { attempt: attempts, kind, pause, resumed });
        Ok(pause)
    }

    /// The error with all attempts.
    pub(crate) fn gave_up(&mut self, error: Error) -> Error {
        let (kind, status) = (error.kind(), error.status());
        self.span.record("error.type", format!("{kind:?}"));
        self.span.record("otel.status_code", "ERROR");
        self.observe(|| What::Failed { kind, status, pause: None });
        self.attempts.push(Attempt { kind, status, pause: Duration::ZERO });
        let attempts = self.attempts.clone();
        error.with(|facts| facts.attempts = attempts)
    }

    /// The service ended the answer with an error.
    pub(crate) fn refused(&mut self) {
        self.guard.over();
    }

    /// Something of the answer has come.
    pub(crate) fn first_chunk(&self) {
        self.span.record("gen_ai.response.time_to_first_chunk", self.began.elapsed().as_secs_f64());
    }

    /// What is asked; only where spans may have texts in them.
    pub(crate) fn asks(&self, messages: &[Message]) {
        self.tell("gen_ai.input.messages", || json_of(messages));
    }

    fn tell(&self, field: &'static str, text: impl FnOnce() -> String) {
        if self.client.content && !self.span.is_disabled() {
            self.span.record(field, text());
        }
    }

    /// The answer is whole.
    pub(crate) fn succeeded(&mut self, answered: Answered<'_>) {
        self.guard.over();
        self.client.allowance.earn();
        let usage = match &answered {
            Answered::Chat(reply) => reply.usage(),
            Answered::Counted(usage) => Some(&**usage),
            Answered::Uncounted => None,
        };
        if let Some(pass) = &self.pass {
            pass.succeeded(usage);
        }
        match &answered {
            Answered::Chat(reply) => {
                observe::record(&self.span, reply);
                self.tell("gen_ai.output.messages", || json_of(&[reply.message()]));
            }
            Answered::Counted(usage) => observe::record_usage(&self.span, usage, self.operation),
            Answered::Uncounted => {}
        }
        self.observe(|| What::Finished {
            usage: usage.cloned().map(Box::new),
            cost: match &answered {
                Answered::Chat(reply) => reply.cost().cloned(),
                Answered::Counted(usage) => cost::cost(&self.client.prices, &self.reading.model, usage),
                Answered::Uncounted => None,
            },
        });
    }

    fn observe(&self, what: impl FnOnce() -> What) {
        let Some(observer) = &self.client.observer else { return };
        observer(&Observation {
            operation: self.operation,
            model: self.reading.model.clone(),
            attempt: self.attempts.len() as u32 + 1,
            elapsed: self.began.elapsed(),
            what: what(),
        });
    }

    /// Whether it asks for what follows an event that came before.
    pub(crate) fn resumes(&self) -> bool {
        self.request.header("last-event-id").is_some()
    }

    /// Asks for what follows the event of this id; without one, for the same as the last time.
    pub(crate) fn resume_after(&mut self, id: Option<String>) {
        if let Some(id) = id {
            self.request.set_header("last-event-id", id);
        }
    }

    async fn send_once(&self) -> Result<Response> {
        self.observe(|| What::Sent);
        let sending = self.client.transport.send(self.request.clone());
        let first_byte = async {
            match within(self.limits.first_byte, sending).await {
                None => Err(Error::of(Kind::Timeout(Limit::FirstByte))),
                Some(sent) => sent.map_err(Error::transport),
            }
        };
        let mut response = self.in_time(first_byte).await?;
        if (200..300).contains(&response.status) {
            let status = response.status;
            self.observe(|| What::Began { status });
            return Ok(response);
        }
        let body = std::mem::replace(&mut response.body, crate::transport::Body::whole(Vec::new()));
        let read = self.in_time(read_body(body, REFUSAL_BYTES_MAX, self.limits.idle)).await;
        // A refusal that is cut or too long is one all the same.
        let body = read.unwrap_or_default();
        let error = refusal(&response, &body, self.request.key.as_ref());
        if error.message().is_empty() {
            let status = response.status;
            return Err(error.say(format!("status {status}")));
        }
        Err(error)
    }

    /// Within the limit of the whole call.
    async fn in_time<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        match self.deadline {
            None => future.await,
            Some(deadline) => match tokio::time::timeout_at(deadline, future).await {
                Ok(done) => done,
                Err(_) => Err(Error::of(Kind::Timeout(Limit::Total))),
            },
        }
    }
}

fn json_of(messages: &[Message]) -> String {
    serde_json::to_string(messages).expect("messages are plain JSON")
}
