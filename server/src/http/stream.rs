//! An answer as server-sent events. What each event looks like is the [`Voice`]'s; when it leaves, and
//! what happens in between and at the end, is the same for all.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use futures_util::stream;
use qwenda_types::{
    chat::ChunkChoice,
    error::{ApiError, Code},
    sse,
};
use tokio::time::Instant;

use super::error::Failure;
use crate::{app::App, service::answer::Answer, tasks::Phase, telemetry};

const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
// What fails at once is answered with a status; what takes longer is a stream that has begun, so
// that a caller sees it live through a long prefill.
const FIRST_EVENT_WAIT: Duration = Duration::from_millis(500);

/// How an answer is written as events.
pub(super) trait Voice: Send + 'static {
    /// What is new of the choices.
    fn more(&mut self, answer: &Answer, choices: Vec<ChunkChoice>) -> String;
    /// The end, after which nothing follows.
    fn done(&mut self, answer: &Answer) -> String;
    /// The end of a stream that broke: its status is sent already.
    fn failed(&mut self, error: &ApiError) -> String;
    /// The request's id, for the log.
    fn request_id(&self) -> &str;
}

/// The response whose body is this answer.
pub(super) async fn respond(app: Arc<App>, answer: Answer, voice: impl Voice) -> Result<Response, Failure> {
    let mut writer = Writer { app, answer, voice, text: String::new(), ended: false, sent: Instant::now() };
    if let Ok(first) = tokio::time::timeout(FIRST_EVENT_WAIT, writer.answer.next()).await {
        writer.take(first?);
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

struct Writer<V> {
    app: Arc<App>,
    answer: Answer,
    voice: V,
    text: String,
    ended: bool,
    // When the caller last heard from us. Events that show nothing do not count.
    sent: Instant,
}

impl<V: Voice> Writer<V> {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.text.is_empty() {
                self.sent = Instant::now();
                return Some(std::mem::take(&mut self.text).into());
            }
            if self.ended {
                return None;
            }
            let more = tokio::select! {
                biased;
                () = self.app.stop.reaches(Phase::Cut) => Err(ApiError::of(Code::Stopped)),
                more = self.answer.next() => more,
                () = tokio::time::sleep_until(self.sent + self.app.config.keep_alive) => {
                    self.sent = Instant::now();
                    return Some(sse::comment("keep-alive").into());
                }
            };
            match more {
                Ok(more) => self.take(more),
                Err(error) => {
                    telemetry::failed(self.voice.request_id(), &error);
                    let error = if self.answer.is_chinese { error.in_chinese() } else { error };
                    self.text = self.voice.failed(&error);
                    self.ended = true;
                }
            }
        }
    }

    fn take(&mut self, more: Option<Vec<ChunkChoice>>) {
        match more {
            Some(choices) if choices.is_empty() => {}
            Some(choices) => self.text.push_str(&self.voice.more(&self.answer, choices)),
            None => {
                self.text.push_str(&self.voice.done(&self.answer));
                self.ended = true;
            }
        }
    }
}
