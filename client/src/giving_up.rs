//! Nobody will come back for an answer: the service is told so, and need not go on with it.
//!
//! A service that keeps answers to be picked up cannot tell a caller who has left from one whose connection broke, and
//! goes on for a while for the latter. A call that is dropped before its end, or that fails while the service may
//! still be at work, says which it is.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
};

use crate::{
    Client, Result,
    client::Inner,
    transport::{Method, Request, within},
};

/// Answers that are being given up at once; the others wait.
const AT_ONCE_MAX: usize = 8;
/// Answers that are being given up or wait for it. Beyond that the service finds out by itself.
const WAITING_MAX: usize = 1024;
/// An attempt takes no longer than this.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The request itself may have been overtaken: what is not known yet is asked for once more.
const PAUSE: Duration = Duration::from_secs(1);
const ATTEMPTS_MAX: usize = 2;

/// What bounds the answers that a client gives up.
#[derive(Debug)]
pub(crate) struct Bounds {
    at_once: Semaphore,
    waiting: Arc<Semaphore>,
    /// Somebody waits no more.
    fewer: Notify,
}

impl Default for Bounds {
    fn default() -> Self {
        let (at_once, waiting) = (Semaphore::new(AT_ONCE_MAX), Arc::new(Semaphore::new(WAITING_MAX)));
        Self { at_once, waiting, fewer: Notify::new() }
    }
}

/// Gives an answer up when it is dropped, if the service may still be making it.
pub(crate) struct Guard {
    client: Arc<Inner>,
    armed: Option<Armed>,
}

struct Armed {
    /// Where the call runs, which need not be where it is dropped.
    runtime: Handle,
    key: String,
    native: bool,
}

impl Guard {
    /// Of a call that was not sent yet.
    pub(crate) fn new(client: &Arc<Inner>) -> Self {
        Self { client: Arc::clone(client), armed: None }
    }

    /// The request is about to be sent; says whether for the first time. Only a key that was drawn for this call is
    /// given up: whoever chose one may come back with it.
    pub(crate) fn sent(&mut self, request: &Request) -> bool {
        let first = self.armed.is_none();
        if first && request.key_is_drawn && self.client.gives_up {
            self.armed = self.arm(request);
        }
        first
    }

    fn arm(&self, request: &Request) -> Option<Armed> {
        let native = !request.url.starts_with(&self.client.service.compat);
        let key = request.header("idempotency-key")?.to_owned();
        Some(Armed { runtime: Handle::try_current().ok()?, key, native })
    }

    /// The service makes nothing any more.
    pub(crate) fn over(&mut self) {
        self.armed = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(Armed { runtime, key, native }) = self.armed.take() else { return };
        let client = Arc::clone(&self.client);
        let Ok(request) = client.giving_up(&key, native) else { return };
        let Ok(place) = Arc::clone(&client.leaving.waiting).try_acquire_owned() else { return };
        runtime.spawn(async move {
            tell(&client, &request).await;
            drop(place);
            client.leaving.fewer.notify_waiters();
        });
    }
}

async fn tell(client: &Inner, request: &Request) {
    // It never closes.
    let Ok(_turn) = client.leaving.at_once.acquire().await else { return };
    for attempt in 1..=ATTEMPTS_MAX {
        if attempt > 1 {
            tokio::time::sleep(PAUSE).await;
        }
        match within(Some(ATTEMPT), client.transport.send(request.clone())).await {
            Some(Ok(response)) if response.status != 404 => return,
            _ => {}
        }
    }
    tracing::debug!("an answer that nobody waits for could not be given up");
}

impl Client {
    /// Waits until the service was told of all answers that this client and its clones dropped before their end.
    /// They are told of in the background; a program that ends at once would leave the service to generate for
    /// nobody. Without such answers it returns at once; where the service cannot be reached each of them takes up to
    /// 21 s, eight at a time, so that a limit is well set.
    ///
    /// # Example
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let client = qwenda::Mock::new().client();
    /// let _ = tokio::time::timeout(std::time::Duration::from_secs(1), client.settled()).await;
    /// # }
    /// ```
    pub async fn settled(&self) {
        let leaving = &self.0.leaving;
        loop {
            // Listening begins before the look, so that no end is missed between. To take the places itself would
            // leave none for answers that are dropped meanwhile.
            let fewer = leaving.fewer.notified();
            if leaving.waiting.available_permits() == WAITING_MAX {
                return;
            }
            fewer.await;
        }
    }
}

impl Inner {
    /// Says that nobody comes back for the answer under this key.
    pub(crate) fn giving_up(&self, key: &str, native: bool) -> Result<Request> {
        let url = if native { self.service.native("replay")? } else { self.service.compat("replay") };
        let mut request = self.request(Method::Delete, url, Vec::new());
        request.set_header("idempotency-key", key);
        Ok(request)
    }
}
