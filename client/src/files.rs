//! Files at the service: [`Files`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Client, Error, Result,
    call::{Answered, Terms},
    error::Kind,
    transport::Method,
};

/// Files at the service. Awaitable methods; nothing is kept here.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let file = serde_json::json!({"id": "file-batch-1", "bytes": 3, "filename": "rows.jsonl", "purpose": "batch"});
/// # let client = qwenda::Mock::new().json(file).client();
/// let file = client.files().upload("rows.jsonl", "batch", "{}\n").await?;
/// assert_eq!(file.id, "file-batch-1");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Files(pub(crate) Client);

/// A file at the service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FileInfo {
    /// By which it is asked for.
    pub id: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was stored, Unix seconds.
    pub created_at: u64,
    /// Its name.
    pub filename: String,
    /// What it is for: `batch`, `file-extract`, `batch_output`.
    pub purpose: String,
    /// `processed`, or what is still done with it.
    pub status: Option<String>,
    /// Fields without a name here, as written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A page of a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Page<T> {
    /// What is on it.
    pub data: Vec<T>,
    /// Whether there is more: ask for what comes after the last one here.
    pub has_more: bool,
}

impl Files {
    /// Stores a file. It is never sent twice: who knows whether the first one is there?
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a name or purpose with a quote or a line break; else as the service has it.
    pub async fn upload(&self, name: &str, purpose: &str, content: impl Into<Vec<u8>>) -> Result<FileInfo> {
        let unfit = |text: &str| text.is_empty() || text.chars().any(|c| c.is_control() || c == '"');
        if unfit(name) || unfit(purpose) {
            let message = "a file's name and purpose are not empty and have neither quotes nor line breaks";
            return Err(Error::of(Kind::Invalid).say(message));
        }
        let content = content.into();
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let mut body = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n\
             --{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(&content);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let inner = &self.0.0;
        let mut request = inner.request(Method::Post, inner.service.compat("files"), body);
        request.set_header("content-type", format!("multipart/form-data; boundary={boundary}"));
        Ok(inner.json("files", request, "", &Terms::default()).await?.0)
    }

    /// What there is of a file but its content.
    ///
    /// # Errors
    /// [`Kind::NotFound`] or [`Kind::Refused`] where there is none; else as the service has it.
    pub async fn get(&self, id: &str) -> Result<FileInfo> {
        self.ask(Method::Get, &format!("files/{}", segment(id)?)).await
    }

    /// A page of the files, newest first; of those that follow `after`.
    ///
    /// # Errors
    /// As the service has it.
    pub async fn list(&self, after: Option<&str>) -> Result<Page<FileInfo>> {
        let path = match after {
            Some(after) => format!("files?after={}", segment(after)?),
            None => "files".to_owned(),
        };
        self.ask(Method::Get, &path).await
    }

    /// Removes a file.
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    pub async fn delete(&self, id: &str) -> Result<()> {
        let _: Value = self.ask(Method::Delete, &format!("files/{}", segment(id)?)).await?;
        Ok(())
    }

    /// What is in a file, such as the results of a batch.
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    pub async fn content(&self, id: &str) -> Result<Vec<u8>> {
        let inner = &self.0.0;
        let url = inner.service.compat(&format!("files/{}/content", segment(id)?));
        let request = inner.request(Method::Get, url, Vec::new());
        let terms = Terms { reads: true, ..Terms::default() };
        let mut call = inner.call("files", request, "", &terms);
        let (_, bytes) = call.whole().await?;
        call.succeeded(Answered::Uncounted);
        Ok(bytes)
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, method: Method, path: &str) -> Result<T> {
        let inner = &self.0.0;
        let request = inner.request(method, inner.service.compat(path), Vec::new());
        let terms = Terms { reads: true, ..Terms::default() };
        Ok(inner.json("files", request, "", &terms).await?.0)
    }
}

/// An id as a part of an address.
pub(crate) fn segment(id: &str) -> Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !id.is_empty() && id.bytes().all(plain) && !id.bytes().all(|byte| byte == b'.') {
        return Ok(id);
    }
    Err(Error::of(Kind::Invalid).say("an id has letters, digits, `-`, `_` and `.` only"))
}
