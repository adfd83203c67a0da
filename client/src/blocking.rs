//! For programs that do not await: the same calls, waited for.

use std::{ops::Deref, sync::Arc};

use tokio::runtime::{Builder as RuntimeBuilder, Handle, Runtime};

use crate::{ChatBuilder, Error, Event, Reply, Result, stream::ChatStream};

/// A [`Client`](crate::Client) whose calls are waited for. It has one thread of its own for its connections.
///
/// # Example
/// ```
/// # fn main() -> qwenda::Result<()> {
/// let client = qwenda::blocking::Client::new(qwenda::Mock::new().reply("hello").client())?;
/// let reply = client.wait(client.chat("qwen-plus").user("hi"))?;
/// assert_eq!(reply.text(), "hello");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    client: crate::Client,
    runtime: Arc<Runtime>,
}

impl Client {
    /// A client with the settings of the environment.
    ///
    /// # Errors
    /// As of [`Client::from_env`](crate::Client::from_env) and [`new`](Self::new).
    pub fn from_env() -> Result<Self> {
        Self::new(crate::Client::from_env()?)
    }

    /// Waits for the calls of this client.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) where the system gives no thread.
    pub fn new(client: crate::Client) -> Result<Self> {
        let runtime = RuntimeBuilder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Error::config(format!("no thread to wait with: {error}")))?;
        Ok(Self { client, runtime: Arc::new(runtime) })
    }

    /// Sends a call and waits for its answer.
    ///
    /// # Errors
    /// As of the call; [`Kind::Config`](crate::Kind::Config) inside of async code, where waiting would stand in
    /// the way of what is waited for.
    pub fn wait<T, C: IntoFuture<Output = Result<T>>>(&self, call: C) -> Result<T> {
        outside()?;
        self.runtime.block_on(call.into_future())
    }

    /// Sends a chat and waits until its answer begins.
    ///
    /// # Errors
    /// As of [`wait`](Self::wait).
    pub fn stream(&self, chat: ChatBuilder) -> Result<Stream> {
        outside()?;
        let stream = self.runtime.block_on(chat.stream())?;
        Ok(Stream { stream, runtime: Arc::clone(&self.runtime) })
    }
}

impl Deref for Client {
    type Target = crate::Client;

    fn deref(&self) -> &crate::Client {
        &self.client
    }
}

fn outside() -> Result<()> {
    match Handle::try_current() {
        Ok(_) => Err(Error::config("async code awaits the client of `qwenda`; `qwenda::blocking` waits outside of it")),
        Err(_) => Ok(()),
    }
}

/// An answer as it comes: an iterator of [`Event`]s. Dropping it stops the service.
#[derive(Debug)]
pub struct Stream {
    stream: ChatStream,
    runtime: Arc<Runtime>,
}

impl Stream {
    /// The whole answer, once the iterator has ended.
    ///
    /// # Errors
    /// As of [`ChatStream::finish`].
    pub fn finish(self) -> Result<Reply> {
        self.stream.finish()
    }
}

impl Iterator for Stream {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        match outside() {
            Ok(()) => self.runtime.block_on(self.stream.next()),
            Err(error) => Some(Err(error)),
        }
    }
}
