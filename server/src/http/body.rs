//! Hears callers out: an error may be known before the whole body has come, but many callers read
//! an answer only when all is sent, and closing on them would take the answer away.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Error,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header,
};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

// So far and for so long a body that nobody wants is read, and thrown away.
const DISCARD_BYTES_MAX: usize = 64 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// A request's body, which the handler reads and whose rest can still be read after it.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    body: Arc<Mutex<Body>>,
    // Who asks before sending sends nothing until the body is read.
    asks_first: bool,
}

impl Rest {
    /// Lends the body to the request's handler.
    pub(super) fn lend(request: Request) -> (Request, Self) {
        let (parts, body) = request.into_parts();
        let asks_first = parts.headers.contains_key(header::EXPECT);
        let rest = Self { body: Arc::new(Mutex::new(body)), asks_first };
        (Request::from_parts(parts, Body::new(rest.clone())), rest)
    }

    /// Reads what the handler left.
    pub(super) async fn discard(mut self) {
        if self.asks_first {
            return;
        }
        let reading = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = self.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > DISCARD_BYTES_MAX {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(DISCARD_TIMEOUT, reading).await;
    }

    fn with<T>(&self, look: impl FnOnce(&mut Body) -> T) -> T {
        look(&mut self.body.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.with(|body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

/// A body that holds on to something until it is read to its end or dropped.
pub(crate) fn hold(body: Body, held: impl Send + Unpin + 'static) -> Body {
    Body::new(Holding { body, held })
}

struct Holding<T> {
    body: Body,
    #[expect(dead_code, reason = "it is only there to be dropped with the body")]
    held: T,
}

impl<T: Unpin> HttpBody for Holding<T> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
