//! Wires everything in one function, and runs it until it is told to stop.

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use qwenda_backend::Backend;
use qwenda_types::error::{ApiError, Code};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{
    Auth, Clock, ServeConfig, Totals,
    config::ConfigError,
    http, keys,
    service::admit::Doorkeeper,
    tasks::{Phase, Stop, Tasks},
};

/// What all requests share.
pub(crate) struct App {
    pub(crate) config: ServeConfig,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) clock: Clock,
    pub(crate) totals: Totals,
    pub(crate) stop: Stop,
    pub(crate) bodies: Bodies,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Keys(#[from] keys::KeysError),
    #[error("cannot listen at {listen}: {source}")]
    Listen { listen: SocketAddr, source: io::Error },
}

/// A server that listens and, once [`run`](Self::run), answers.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    listener: TcpListener,
    addr: SocketAddr,
}

impl Server {
    /// Opens the data folder and begins to listen.
    pub async fn bind(config: ServeConfig, backend: Arc<dyn Backend>) -> Result<Self, BindError> {
        Self::bind_with_clock(config, backend, Clock::system()).await
    }

    /// As [`bind`](Self::bind), at the time another clock shows.
    pub async fn bind_with_clock(
        config: ServeConfig,
        backend: Arc<dyn Backend>,
        clock: Clock,
    ) -> Result<Self, BindError> {
        config.check()?;
        let doorkeeper = match config.auth {
            Auth::None => Doorkeeper::Open,
            Auth::Keys => {
                let (store, secret) = keys::open(&config.data_dir).await?;
                Doorkeeper::Keys { store, secret }
            }
        };
        let listen = config.listen;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.map_err(|source| BindError::Listen { listen, source })?;
        let addr = listener.local_addr().map_err(|source| BindError::Listen { listen, source })?;
        let app = App {
            config,
            backend,
            doorkeeper,
            clock,
            totals: Totals::default(),
            stop: Stop::new(),
            bodies: Bodies::new(),
        };
        Ok(Self { app: Arc::new(app), listener, addr })
    }

    /// Where it listens; the port is the real one.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sums over all chats so far.
    pub fn totals(&self) -> Totals {
        self.app.totals.clone()
    }

    /// Answers until `shutdown` is ready, then takes nothing new, lets running answers end for
    /// `drain_timeout`, and cuts those that have not.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { app, listener, addr } = self;
        let service = TowerToHyperService::new(http::routes(app.clone()));
        let places = Arc::new(Semaphore::new(app.config.connections_max));
        let mut tasks = Tasks::new(app.stop.clone());
        let mut shutdown = pin!(shutdown);
        tracing::info!(%addr, "listening");
        loop {
            // When all places are taken, callers wait in the system's backlog.
            let accepted = async {
                let place = places.clone().acquire_owned().await.expect("it is never closed");
                (accept(&listener).await, place)
            };
            tokio::select! {
                () = &mut shutdown => break,
                (socket, place) = accepted => {
                    tasks.spawn(converse(app.clone(), socket, service.clone(), place));
                }
            }
        }
        drop(listener);
        tracing::info!(drain_timeout_ms = app.config.drain_timeout.as_millis() as u64, "draining");
        let cut = tasks.drain(app.config.drain_timeout).await;
        if let Doorkeeper::Keys { store, .. } = &app.doorkeeper {
            store.close().await;
        }
        if cut > 0 {
            tracing::warn!(cut, "stopped before all answers had ended");
        } else {
            tracing::info!("stopped");
        }
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return socket,
            // A caller gone before we looked is no matter; out of file handles passes with time.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(
    app: Arc<App>,
    socket: TcpStream,
    service: TowerToHyperService<axum::Router>,
    _place: OwnedSemaphorePermit,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.config.header_timeout)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection);
    tokio::select! {
        done = connection.as_mut() => return ended(done),
        () = app.stop.reaches(Phase::Draining) => connection.as_mut().graceful_shutdown(),
    }
    ended(connection.await);
}

fn ended(done: hyper::Result<()>) {
    if let Err(error) = done {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Bounds what all request bodies that are being read may hold together.
#[derive(Debug)]
pub(crate) struct Bodies(Semaphore);

const BODIES_KIB_MAX: usize = 256 << 10;

impl Bodies {
    fn new() -> Self {
        Self(Semaphore::new(BODIES_KIB_MAX))
    }

    /// Takes room for a body of at most so many bytes, or says "busy".
    pub(crate) fn reserve(&self, bytes: usize) -> Result<impl Drop + '_, ApiError> {
        let kib = bytes.div_ceil(1024).clamp(1, BODIES_KIB_MAX) as u32;
        self.0
            .try_acquire_many(kib)
            .map_err(|_| ApiError::of(Code::Busy).retry_after_ms(1000).log("too many bodies are being read"))
    }
}
