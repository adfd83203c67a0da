//! Wires everything in one function, and runs it until it is told to stop.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use qwenda_backend::Backend;
use qwenda_types::error::{ApiError, Code};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::MissedTickBehavior,
};

use crate::{
    Auth, Clock, ServeConfig, Totals,
    books::Books,
    config::ConfigError,
    connection::{Seats, converse},
    http::{self, Replays},
    keys,
    service::{admit::Doorkeeper, models},
    tasks::{Stop, Tasks},
};

// How often what has expired is looked for.
const TICK: Duration = Duration::from_secs(5);
// How often what is borrowed of shared limits is looked at.
const LIMITS_TICK: Duration = Duration::from_millis(100);

/// What all requests share.
pub(crate) struct App {
    pub(crate) config: ServeConfig,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) clock: Clock,
    pub(crate) totals: Totals,
    pub(crate) stop: Stop,
    pub(crate) tasks: Tasks,
    pub(crate) bodies: Bodies,
    /// Places for requests, of all connections together.
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) replays: Replays,
    /// Where keys are asked for.
    pub(crate) books: Option<Arc<Books>>,
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
        models::check_aliases(&config, &backend.models())?;
        let doorkeeper = match config.auth {
            Auth::None => Doorkeeper::Open,
            Auth::Keys => {
                let (store, secret) = keys::open(&(&config).into()).await?;
                Doorkeeper::Keys { store, secret }
            }
        };
        let listen = config.listen;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.map_err(|source| BindError::Listen { listen, source })?;
        let addr = listener.local_addr().map_err(|source| BindError::Listen { listen, source })?;
        let stop = Stop::new();
        let tasks = Tasks::new(stop.clone());
        let books = match &doorkeeper {
            Doorkeeper::Open => None,
            Doorkeeper::Keys { store, .. } => Some(Arc::new(
                Books::open(store.clone(), clock.clone(), tasks.clone()).await.map_err(keys::KeysError::Store)?,
            )),
        };
        let app = App {
            books,
            requests: Arc::new(Semaphore::new(config.requests_max)),
            replays: Replays::new(config.replay.clone()),
            config,
            backend,
            doorkeeper,
            clock,
            totals: Totals::default(),
            tasks,
            stop,
            bodies: Bodies::new(),
        };
        Ok(Self { app: Arc::new(app), listener, addr })
    }

    /// Where it listens; the port is the real one.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sums over all requests so far.
    pub fn totals(&self) -> Totals {
        self.app.totals.clone()
    }

    /// Answers until `shutdown` is ready, then takes nothing new, lets running answers end for
    /// `drain_timeout`, and cuts those that have not.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { app, listener, addr } = self;
        let router = http::routes(app.clone());
        let seats = Seats::new(app.config.connections_max);
        let take_calls = async {
            loop {
                let socket = accept(&listener).await;
                let seat = seats.take().await;
                app.tasks.spawn(converse(app.clone(), socket, router.clone(), seat));
            }
        };
        tracing::info!(%addr, "listening");
        tokio::select! {
            () = shutdown => {}
            () = take_calls => {}
            () = look_after(&app) => {}
        }
        drop(listener);
        tracing::info!(drain_timeout_ms = app.config.drain_timeout.as_millis() as u64, "draining");
        let cut = app.tasks.clone().drain(app.config.drain_timeout).await;
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

/// What is done now and then, for as long as calls are taken.
async fn look_after(app: &Arc<App>) {
    let every = |period| {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    };
    let (mut tick, mut limits_tick) = (every(TICK), every(LIMITS_TICK));
    loop {
        tokio::select! {
            _ = tick.tick() => {
                app.replays.tick(app.clock.now_ms());
                if let Some(books) = app.books.clone() {
                    app.tasks.spawn(async move {
                        if let Err(error) = books.tick().await {
                            tracing::warn!(%error, "cannot look after holds");
                        }
                    });
                }
            }
            _ = limits_tick.tick() => {
                if let Some(books) = &app.books {
                    books.limits.tick();
                }
            }
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
