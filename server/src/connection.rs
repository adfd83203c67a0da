//! One connection, from its first byte to its last: HTTP/1.1 or HTTP/2, whichever the caller begins
//! with. Also how many there may be, and what happens to those beyond.

use std::{convert::Infallible, error::Error, future::Future, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tower::Service;

use crate::{
    app::App,
    http,
    tasks::{Phase, Tasks},
};

const HEAD_BYTES_MAX: u32 = 64 << 10;
// Requests one HTTP/2 connection may have open; more wait at the caller.
const STREAMS_MAX: u32 = 100;
// What an HTTP/2 caller may send before a handler reads it, per connection and per request.
const WINDOW_BYTES: u32 = 256 << 10;
// A caller who answers no ping is gone, though no packet says so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
// Connections beyond `connections_max` that are told so; the rest wait in the system's backlog.
const SPARE_CONNECTIONS: usize = 64;
const SPARE_IDLE: Duration = Duration::from_secs(5);
// How long a connection that was asked to close may take to do so.
const CLOSING: Duration = Duration::from_secs(2);

/// The places that connections take.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    places: Arc<Semaphore>,
    spare: Arc<Semaphore>,
}

/// One taken place.
#[derive(Debug)]
pub(crate) struct Seat {
    _permit: OwnedSemaphorePermit,
    /// All places are taken: the caller is told so, and no more.
    crowded: bool,
}

impl Seats {
    pub(crate) fn new(connections_max: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(connections_max)), spare: Arc::new(Semaphore::new(SPARE_CONNECTIONS)) }
    }

    /// A place, a spare one if none is free, or whichever becomes free first.
    pub(crate) async fn take(&self) -> Seat {
        let (permit, crowded) = tokio::select! {
            biased;
            permit = self.places.clone().acquire_owned() => (permit, false),
            permit = self.spare.clone().acquire_owned() => (permit, true),
        };
        Seat { _permit: permit.expect("it is never closed"), crowded }
    }
}

/// Answers what comes on a connection, until the caller has gone or was idle for too long, or the
/// server stops.
pub(crate) async fn converse(app: Arc<App>, socket: TcpStream, router: Router, seat: Seat) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let crowded = seat.crowded;
    let peer = socket.peer_addr().ok().map(|peer| http::Peer(peer.ip()));
    let idle_max = if crowded { SPARE_IDLE.min(app.config.header_timeout) } else { app.config.header_timeout };
    let open = Open::default();
    let service = {
        let open = open.clone();
        service_fn(move |request| answer(router.clone(), request, open.begin(), (crowded, peer)))
    };
    let builder = builder(app.tasks.clone(), idle_max);
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    tokio::select! {
        done = connection.as_mut() => ended(done),
        () = app.stop.reaches(Phase::Draining) => {
            connection.as_mut().graceful_shutdown();
            ended(connection.await);
        }
        // This holds for every stage of both versions: before the first byte, in a head, between
        // requests.
        () = open.idle_for(idle_max) => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(CLOSING, connection).await {
                Ok(done) => ended(done),
                Err(_) => tracing::debug!("an idle connection was dropped"),
            }
        }
    }
}

fn builder(tasks: Tasks, header_timeout: Duration) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(tasks);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(HEAD_BYTES_MAX as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .initial_connection_window_size(WINDOW_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .max_send_buf_size(WINDOW_BYTES as usize)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

fn answer(
    mut router: Router,
    mut request: Request<Incoming>,
    open: OpenRequest,
    (crowded, peer): (bool, Option<http::Peer>),
) -> impl Future<Output = Result<Response, Infallible>> {
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    if crowded {
        request.extensions_mut().insert(http::Crowded);
    }
    let answered = router.call(request.map(Body::new));
    // A request is open until the last byte of its answer was taken.
    async move { Ok(answered.await?.map(|body| http::hold(body, open))) }
}

fn ended(done: Result<(), Box<dyn Error + Send + Sync>>) {
    if let Err(error) = done {
        tracing::debug!(%error, "a connection broke");
    }
}

/// How many requests of one connection are open.
#[derive(Debug, Clone, Default)]
struct Open(watch::Sender<usize>);

/// One open request.
struct OpenRequest(Open);

impl Open {
    fn begin(&self) -> OpenRequest {
        self.0.send_modify(|count| *count += 1);
        OpenRequest(self.clone())
    }

    /// Returns once no request has been open for so long.
    async fn idle_for(&self, idle_max: Duration) {
        let mut count = self.0.subscribe();
        let is = "`self` is a sender, so there is one";
        loop {
            count.wait_for(|open| *open == 0).await.map(drop).expect(is);
            let busy_again = count.wait_for(|open| *open > 0);
            if tokio::time::timeout(idle_max, busy_again).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
