//! A network that breaks: a [`FaultyWay`] stands between a caller and a service and spoils what the seed says.
//!
//! What is spoiled depends on the seed, the body of the request and how often that body has come: the same seed
//! spoils the same requests whatever order they come in.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::rng::Rng;

/// Answers are cut before this byte, which is within the head or the body of most.
const CUT_BYTES_MAX: usize = 3_000;
/// What a caller may send.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// What happens to a request or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The connection is reset, and the service sees nothing of the request.
    ResetBefore,
    /// The service has the whole request, and the connection is reset.
    ResetAfter,
    /// The service answers, and the caller hears nothing.
    Silence,
    /// The service answers, and the caller is told that it failed.
    Failed,
    /// The answer is reset somewhere, its head included.
    Cut,
    /// The answer falls silent somewhere, its head included.
    Stall,
    /// The service gets the request twice at once.
    Twice,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 7] =
        [Self::ResetBefore, Self::ResetAfter, Self::Silence, Self::Failed, Self::Cut, Self::Stall, Self::Twice];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ResetBefore => "reset before the request was sent",
            Self::ResetAfter => "reset after the request was sent",
            Self::Silence => "carried out, and never answered",
            Self::Failed => "carried out, and answered with 500, 502, 503 or 504",
            Self::Cut => "reset within the answer",
            Self::Stall => "silence within the answer",
            Self::Twice => "sent twice at once",
        }
    }
}

/// How often something goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Every choice is made from it.
    pub seed: u64,
    /// Of a hundred requests, so many are spoiled.
    pub spoiled_percent: usize,
    /// The same request is spoiled no more often than this.
    pub spoiled_max: u64,
}

/// A way to a service that breaks. It ends when dropped.
pub struct FaultyWay {
    addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// How often each body has come, by its hash.
    bodies: HashMap<u64, u64>,
    faults: BTreeMap<Fault, u64>,
    requests: u64,
}

impl FaultyWay {
    /// A way to the service at `to`.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(to: SocketAddr, weather: Weather) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let seen_by_all = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let seen = Arc::clone(&seen_by_all);
                // A connection that fails is what this is for: the caller sees it.
                tokio::spawn(async move { carry(here, to, weather, &seen).await.unwrap_or_default() });
            }
        });
        Ok(Self { addr, seen, accepting })
    }

    /// Where callers connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What was spoiled, and how often.
    pub fn faults(&self) -> BTreeMap<Fault, u64> {
        lock(&self.seen).faults.clone()
    }

    /// The requests that callers sent, spoiled or not.
    pub fn requests(&self) -> u64 {
        lock(&self.seen).requests
    }
}

impl Drop for FaultyWay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries one request and its answer.
async fn carry(mut here: TcpStream, to: SocketAddr, weather: Weather, seen: &Mutex<Seen>) -> io::Result<()> {
    here.set_nodelay(true)?;
    let Some(request) = Request::read(&mut here).await? else { return Ok(()) };
    let (fault, mut rng) = request.fate(weather, seen);
    match fault {
        None => pass(&request, &mut here, to, usize::MAX).await.map(drop),
        Some(Fault::ResetBefore) => here.set_zero_linger(),
        Some(Fault::ResetAfter) => {
            let there = request.send(to).await?;
            here.set_zero_linger()?;
            drop(here);
            // Half of the time the service is left alone with it, otherwise its answer is read by nobody.
            if rng.below(2) == 0 { Ok(()) } else { drain(there).await }
        }
        Some(Fault::Silence) => {
            drain(request.send(to).await?).await?;
            left(&mut here).await
        }
        Some(Fault::Failed) => {
            drain(request.send(to).await?).await?;
            let status = rng.pick(&[500, 502, 503, 504]);
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            here.write_all(head.as_bytes()).await
        }
        Some(Fault::Cut) => {
            let there = pass(&request, &mut here, to, 1 + rng.below(CUT_BYTES_MAX)).await?;
            here.set_zero_linger()?;
            drop((here, there));
            Ok(())
        }
        Some(Fault::Stall) => {
            let there = pass(&request, &mut here, to, 1 + rng.below(CUT_BYTES_MAX)).await?;
            if there.is_some() { left(&mut here).await } else { Ok(()) }
        }
        Some(Fault::Twice) => {
            let second = request.send(to).await?;
            let (first, second) = tokio::join!(pass(&request, &mut here, to, usize::MAX), drain(second));
            first.map(drop).and(second)
        }
    }
}

/// Passes the first `bytes` of the answer on; gives the connection to the service back if there was more.
async fn pass(request: &Request, here: &mut TcpStream, to: SocketAddr, bytes: usize) -> io::Result<Option<TcpStream>> {
    let mut there = request.send(to).await?;
    let mut left = bytes;
    let mut buffer = [0; 4096];
    loop {
        let read = there.read(&mut buffer).await?;
        if read == 0 {
            here.shutdown().await?;
            return Ok(None);
        }
        let passed = read.min(left);
        here.write_all(&buffer[..passed]).await?;
        left -= passed;
        if left == 0 {
            return Ok(Some(there));
        }
    }
}

/// Reads an answer to its end for nobody.
async fn drain(mut there: TcpStream) -> io::Result<()> {
    tokio::io::copy(&mut there, &mut tokio::io::sink()).await.map(drop)
}

/// Waits until the caller has left.
async fn left(here: &mut TcpStream) -> io::Result<()> {
    tokio::io::copy(here, &mut tokio::io::sink()).await.map(drop)
}

struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// `None` where the caller left without having asked.
    async fn read(here: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let body = bytes.split_off(end + 4);
                let head = String::from_utf8(bytes).map_err(io::Error::other)?;
                return Self { head, body }.whole(here).await.map(Some);
            }
            let read = here.read(&mut buffer).await?;
            if read == 0 || bytes.len() > REQUEST_BYTES_MAX {
                return Ok(None);
            }
            bytes.extend_from_slice(&buffer[..read]);
        }
    }

    async fn whole(mut self, here: &mut TcpStream) -> io::Result<Self> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length.map_or(Ok(0), |(_, value)| value.trim().parse()).map_err(io::Error::other)?;
        let had = self.body.len();
        if length < had || length > REQUEST_BYTES_MAX {
            return Err(io::Error::other(format!("a body of {length} bytes, of which {had} came with its head")));
        }
        self.body.resize(length, 0);
        here.read_exact(&mut self.body[had..]).await?;
        Ok(self)
    }

    /// What becomes of it, and what else is drawn for that.
    fn fate(&self, weather: Weather, seen: &Mutex<Seen>) -> (Option<Fault>, Rng) {
        // FNV-1a: the same on every machine.
        let hash = self
            .body
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let mut seen = lock(seen);
        seen.requests += 1;
        let before = seen.bodies.entry(hash).or_default();
        let mut rng = Rng::round(weather.seed ^ hash, *before);
        *before += 1;
        let spoiled = *before <= weather.spoiled_max && rng.below(100) < weather.spoiled_percent;
        let fault = spoiled.then(|| *rng.pick(&Fault::ALL));
        if let Some(fault) = fault {
            *seen.faults.entry(fault).or_default() += 1;
        }
        (fault, rng)
    }

    /// Sends it on, on a connection of its own that ends with the answer.
    async fn send(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let mut there = TcpStream::connect(to).await?;
        there.set_nodelay(true)?;
        let head = self.head.trim_end();
        there.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        there.write_all(&self.body).await?;
        Ok(there)
    }
}
