//! A chat's events as server-sent events, in the order of the contract.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use futures_util::{StreamExt, stream};
use qwenda_backend::{BackendError, ChatEvent};
use qwenda_types::{
    chat::{ChatChunk, ChunkChoice, Delta, FinishReason, Logprobs, TokenLogprob, Usage},
    error::{ApiError, Code},
    sse,
};
use tokio::time::Instant;

use super::{error::Failure, extract::RequestId};
use crate::{
    app::App,
    service::chat::{Answer, cut_short, place, refusal, token_logprob, usage},
    tasks::Phase,
    telemetry,
};

const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
// What fails at once is answered with a status; what takes longer is a stream that has begun, so
// that a caller sees it live through a long prefill.
const FIRST_EVENT_WAIT: Duration = Duration::from_millis(500);

/// The response whose body is this answer.
pub(super) async fn respond(app: Arc<App>, answer: Answer, request_id: RequestId) -> Result<Response, Failure> {
    let mut writer = Writer { app, answer, request_id, queue: VecDeque::new(), ended: false, sent: Instant::now() };
    if let Ok(first) = tokio::time::timeout(FIRST_EVENT_WAIT, writer.answer.events.next()).await {
        match first {
            Some(Ok(event)) => writer.take(event),
            Some(Err(error)) => return Err(refusal(error, &writer.answer.id).into()),
            None => return Err(cut_short().into()),
        }
    }
    let body = stream::unfold(writer, |mut writer| async {
        let bytes = writer.next().await?;
        Some((Ok::<_, Infallible>(bytes), writer))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

struct Writer {
    app: Arc<App>,
    answer: Answer,
    request_id: RequestId,
    queue: VecDeque<String>,
    ended: bool,
    // When the caller last heard from us. Events that show nothing do not count.
    sent: Instant,
}

impl Writer {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.queue.is_empty() {
                self.sent = Instant::now();
                return Some(self.queue.drain(..).collect::<String>().into());
            }
            if self.ended {
                return None;
            }
            let event = tokio::select! {
                biased;
                () = self.app.stop.reaches(Phase::Cut) => {
                    self.fail(ApiError::of(Code::Stopped));
                    continue;
                }
                event = self.answer.events.next() => event,
                () = tokio::time::sleep_until(self.sent + self.app.config.keep_alive) => {
                    self.sent = Instant::now();
                    return Some(sse::comment("keep-alive").into());
                }
            };
            match event {
                Some(Ok(event)) => self.take(event),
                Some(Err(error)) => self.fail_with(error),
                None => self.fail(cut_short()),
            }
        }
    }

    fn take(&mut self, event: ChatEvent) {
        match event {
            ChatEvent::Started { .. } => {
                for choice in 0..self.answer.choices {
                    self.delta(choice, Some("assistant"), String::new(), Vec::new(), None);
                }
            }
            ChatEvent::Text { choice, text, logprobs, .. } => {
                if text.is_empty() && logprobs.is_empty() {
                    return;
                }
                if let Err(error) = place(choice, self.answer.choices) {
                    return self.fail(error);
                }
                let tokens = logprobs.into_iter().map(token_logprob).collect();
                self.delta(choice, None, text, tokens, None);
            }
            ChatEvent::Finished { choice, reason } => {
                self.delta(choice, None, String::new(), Vec::new(), Some(reason));
            }
            ChatEvent::Done { usage: counts, .. } => {
                if self.answer.include_usage {
                    self.chunk(Vec::new(), Some(usage(counts)));
                }
                self.queue.push_back(sse::data(sse::DONE));
                self.ended = true;
            }
        }
    }

    fn delta(
        &mut self,
        index: u32,
        role: Option<&str>,
        text: String,
        tokens: Vec<TokenLogprob>,
        finish_reason: Option<FinishReason>,
    ) {
        let logprobs = (!tokens.is_empty()).then_some(Logprobs { content: tokens, refusal: None });
        let delta = Delta { role: role.map(str::to_owned), content: Some(text), reasoning_content: None };
        self.chunk(vec![ChunkChoice { index, delta, logprobs, finish_reason }], None);
    }

    fn chunk(&mut self, choices: Vec<ChunkChoice>, usage: Option<Usage>) {
        let chunk = ChatChunk {
            id: self.answer.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.answer.created,
            model: self.answer.model.clone(),
            choices,
            usage,
            system_fingerprint: None,
        };
        let json = serde_json::to_string(&chunk).expect("chunks are always JSON");
        self.queue.push_back(sse::data(&json));
    }

    fn fail_with(&mut self, error: BackendError) {
        let error = refusal(error, &self.answer.id);
        self.fail(error);
    }

    /// The stream has begun, so the status is sent; the error is the last event.
    fn fail(&mut self, error: ApiError) {
        telemetry::failed(self.request_id.as_str(), &error);
        self.queue.push_back(sse::data(&error.body(self.request_id.as_str())));
        self.ended = true;
    }
}
