//! Requests that nobody waits for, at half the price: [`Batches`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    Client, Error, Result,
    call::Terms,
    error::Kind,
    files::{Page, segment},
    transport::Method,
};

/// Largest line of a batch's file, in bytes.
pub const LINE_BYTES_MAX: usize = 6 << 20;
/// Most lines of a batch's file.
pub const LINES_MAX: usize = 50_000;

/// Batches at the service.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # use serde_json::json;
/// # let mock = qwenda::Mock::new().json(json!({"id": "file-batch-1"})).json(json!({"id": "batch_1", "status": "completed"}));
/// # let client = mock.client();
/// let chats = ["good", "bad"].map(|text| client.chat("qwen-flash").user(format!("Sentiment? {text}")));
/// let rows = qwenda::batch_lines(chats.iter().enumerate().map(|(row, chat)| (row.to_string(), chat)))?;
/// let file = client.files().upload("rows.jsonl", "batch", rows).await?;
/// let batch = client.batches().create(&file.id, "/v1/chat/completions", "24h").await?;
/// assert!(batch.is_over());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Batches(pub(crate) Client);

/// A batch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Batch {
    /// By which it is asked for.
    pub id: String,
    /// `validating`, `in_progress`, `finalizing`, `completed`, `failed`, `expired`, `cancelling`, `cancelled`.
    pub status: String,
    /// The file of its requests.
    pub input_file_id: Option<String>,
    /// The file of its answers, once there are any.
    pub output_file_id: Option<String>,
    /// The file of the requests that failed, once there are any.
    pub error_file_id: Option<String>,
    /// How many requests there are, and how far they are.
    pub request_counts: RequestCounts,
    /// What is wrong with the file, as the service writes it.
    pub errors: Value,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RequestCounts {
    /// All requests.
    pub total: u64,
    /// Those that were answered.
    pub completed: u64,
    /// Those that failed.
    pub failed: u64,
}

impl Batch {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "expired" | "cancelled")
    }
}

impl Batches {
    /// Begins a batch: the id of its file, the `endpoint` that every line names, and how long it may take, from
    /// `24h` to `336h`. It is never sent twice.
    ///
    /// # Errors
    /// As the service has it.
    pub async fn create(&self, input_file_id: &str, endpoint: &str, window: &str) -> Result<Batch> {
        let inner = &self.0.0;
        let body = Map::from_iter([
            ("input_file_id".to_owned(), input_file_id.into()),
            ("endpoint".to_owned(), endpoint.into()),
            ("completion_window".to_owned(), window.into()),
        ]);
        let request = inner.post(inner.service.compat("batches"), &body);
        Ok(inner.json("batches", request, "", &Terms::default()).await?.0)
    }

    /// How far a batch is.
    ///
    /// # Errors
    /// As the service has it.
    pub async fn get(&self, id: &str) -> Result<Batch> {
        self.ask(Method::Get, &format!("batches/{}", segment(id)?)).await
    }

    /// A page of the batches, newest first; of those that follow `after`.
    ///
    /// # Errors
    /// As the service has it.
    pub async fn list(&self, after: Option<&str>) -> Result<Page<Batch>> {
        let path = match after {
            Some(after) => format!("batches?after={}", segment(after)?),
            None => "batches".to_owned(),
        };
        self.ask(Method::Get, &path).await
    }

    /// Ends a batch. What is answered already is billed.
    ///
    /// # Errors
    /// As the service has it.
    pub async fn cancel(&self, id: &str) -> Result<Batch> {
        self.ask(Method::Post, &format!("batches/{}/cancel", segment(id)?)).await
    }

    /// Asks every so often until a batch is over. Dropping the future ends the asking, not the batch.
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    pub async fn wait(&self, id: &str, every: Duration) -> Result<Batch> {
        loop {
            let batch = self.get(id).await?;
            if batch.is_over() {
                return Ok(batch);
            }
            tokio::time::sleep(every).await;
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, method: Method, path: &str) -> Result<T> {
        let inner = &self.0.0;
        let request = inner.request(method, inner.service.compat(path), Vec::new());
        let terms = Terms { reads: true, ..Terms::default() };
        Ok(inner.json("batches", request, "", &terms).await?.0)
    }
}

/// The file of a batch: a line for each id and chat.
///
/// # Errors
/// [`Kind::Invalid`] for what the service would refuse only after the upload: no line, or more than [`LINES_MAX`];
/// a line of more than [`LINE_BYTES_MAX`]; an id that comes twice; several models, or thinking in some only.
pub fn batch_lines<'a>(chats: impl IntoIterator<Item = (String, &'a crate::ChatBuilder)>) -> Result<Vec<u8>> {
    let invalid = |message: String| Err(Error::of(Kind::Invalid).say(message));
    let (mut file, mut ids, mut first) = (Vec::new(), std::collections::HashSet::new(), None);
    for (id, chat) in chats {
        let request = chat.request();
        let kind = (request.model.clone(), request.enable_thinking);
        let first: &(String, Option<bool>) = first.get_or_insert(kind);
        if (&first.0, first.1) != (&request.model, request.enable_thinking) {
            return invalid(format!("the chats of a batch have one model and one way of thinking, `{id}` has another"));
        }
        let body = json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": request});
        let line = body.to_string();
        if line.len() > LINE_BYTES_MAX {
            return invalid(format!("line `{id}` has {} bytes, a batch takes {LINE_BYTES_MAX}", line.len()));
        }
        if !ids.insert(id.clone()) {
            return invalid(format!("two lines are called `{id}`"));
        }
        if ids.len() > LINES_MAX {
            return invalid(format!("a batch has at most {LINES_MAX} lines"));
        }
        file.extend_from_slice(line.as_bytes());
        file.push(b'\n');
    }
    if file.is_empty() { invalid("a batch has a line at least".to_owned()) } else { Ok(file) }
}
