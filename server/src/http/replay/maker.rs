//! The task that makes one answer: it runs the handler, reads what that writes, and puts it into the
//! record. It goes on without readers for the grace time, or until it is given up, then leaves as a reader would.

use std::{future::Future, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
    response::Response,
};
use http_body_util::BodyExt;

use super::{
    super::error::Failure,
    events::Events,
    record::{End, Head, Record},
    store::Scope,
};
use crate::{app::App, tasks::Phase};

// How far ahead of its slowest reader an answer is made once it has outgrown what is kept.
const AHEAD_BYTES_MAX: usize = 256 << 10;

pub(super) struct Maker {
    pub(super) app: Arc<App>,
    pub(super) scope: Scope,
    pub(super) record: Record,
    pub(super) request_id: String,
}

impl Maker {
    pub(super) async fn run(self, answered: impl Future<Output = Response>) {
        tokio::select! {
            biased;
            () = self.record.is_given_up() => {}
            () = self.make(answered) => {}
            () = self.abandoned() => {}
        }
    }

    async fn make(&self, answered: impl Future<Output = Response>) {
        let (parts, body) = answered.await.into_parts();
        if let Some(failure) = parts.extensions.get::<Failure>() {
            return self.record.end(End::Refused(failure.clone()));
        }
        let is_stream = is_stream(&parts.headers);
        let request_id = self.request_id.clone();
        self.record.begin(Head { status: parts.status, headers: parts.headers, request_id, is_stream });
        let end = if is_stream { self.events(body).await } else { self.whole(body).await };
        self.record.end(if parts.status.is_success() { end } else { End::Failed });
    }

    async fn events(&self, mut body: Body) -> End {
        let mut events = Events::new(self.scope.dialect);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return End::Lost };
            for event in frame.data_ref().map(|data| events.push(data)).unwrap_or_default() {
                self.put(event).await;
            }
        }
        if events.ended_whole() { End::Whole } else { End::Failed }
    }

    async fn whole(&self, body: Body) -> End {
        let Ok(body) = body.collect().await else { return End::Lost };
        self.put(body.to_bytes()).await;
        End::Whole
    }

    async fn put(&self, item: Bytes) {
        if !self.record.is_outgrown() && !self.app.replays.has_room(item.len()) {
            self.record.outgrow();
        }
        if self.record.is_outgrown() {
            // Nobody can come any more, so this waits for the end that `abandoned` makes.
            self.record.read_is(true).await;
            while self.record.trim() > AHEAD_BYTES_MAX {
                self.record.was_read_further().await;
            }
        }
        self.record.push(item);
    }

    /// Returns once nobody has read for the grace time.
    async fn abandoned(&self) {
        loop {
            self.record.read_is(false).await;
            tokio::select! {
                () = self.record.read_is(true) => continue,
                () = tokio::time::sleep(self.app.config.replay.grace) => {}
                // Nobody can come back: it is not kept for them, or no one is let in any more.
                () = self.record.outgrows() => {}
                () = self.app.stop.reaches(Phase::Draining) => {}
            }
            if self.record.end_unread() {
                return;
            }
        }
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        // Nothing if it has ended; after a panic, or at the server's end, its readers learn of it.
        self.record.end(End::Lost);
        self.app.replays.ended(&self.scope, &self.record, self.app.clock.now_ms());
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}
