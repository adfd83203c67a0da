//! Vectors in a Qdrant server, through its HTTP interface.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Found, Query, Record, VectorStore, Which, check_vectors};
use crate::{
    Error, Limit, Result, Secret,
    error::Kind,
    service::plain_url,
    transport::{Method, Request, Transport, http::Http, within},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// What our collections are called, before the space's name.
const PREFIX: &str = "qwenda-";
/// Longest name of a space that its collection has as it is.
const NAME_CHARS_MAX: usize = 120;

/// Vectors in a Qdrant server, 1.10 or later: a collection for each space, `qwenda-` and its name. Any number of
/// processes may use it; clones share the connections. What is put in and taken out is waited for.
///
/// # Example
/// ```no_run
/// # async fn run(client: qwenda::Client) -> qwenda::Result<()> {
/// use qwenda::{Policy, Secret, memory::{QdrantVectors, VectorMemory}};
///
/// let store = QdrantVectors::open("http://127.0.0.1:6333", Some(Secret::new("its key")))?;
/// let memory = VectorMemory::new(store, client.embedder("text-embedding-v4"));
/// let talk = client.chat("qwen-plus").conversation(Policy::tokens(8_000).remember_in(memory));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct QdrantVectors {
    transport: Arc<dyn Transport>,
    url: String,
    key: Option<Secret>,
    /// How long the vectors of the spaces are that are known to be there.
    lengths: Arc<Mutex<HashMap<String, usize>>>,
}

/// What every answer has.
#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

#[derive(Deserialize)]
struct Points {
    points: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    #[serde(default)]
    score: f32,
    payload: Payload,
}

/// What is kept beside a vector. A point's id is a UUID or a number, ours may be any text.
#[derive(Deserialize)]
struct Payload {
    id: String,
    #[serde(default)]
    conversation: String,
    #[serde(default)]
    turn: u64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

impl QdrantVectors {
    /// Uses the server at this address. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Kind::Config`] for an address that is none, and where TLS cannot be set up.
    pub fn open(url: &str, key: Option<Secret>) -> Result<Self> {
        let url = plain_url(url)?;
        Ok(Self::over(Arc::new(Http::to(&url, Some(CONNECT_TIMEOUT))?), url, key))
    }

    pub(crate) fn over(transport: Arc<dyn Transport>, url: String, key: Option<Secret>) -> Self {
        Self { transport, url, key, lengths: Arc::default() }
    }

    fn is_known(&self, space: &str) -> Option<usize> {
        self.lengths.lock().unwrap_or_else(PoisonError::into_inner).get(space).copied()
    }

    fn know(&self, space: &str, length: Option<usize>) {
        let mut lengths = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        match length {
            Some(length) => lengths.insert(space.to_owned(), length),
            None => lengths.remove(space),
        };
    }

    /// Asks; `None` if what is asked about is not there.
    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<Value>) -> Result<Option<T>> {
        let bytes = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let mut request = Request::new(method, format!("{}/{path}", self.url), bytes);
        request.set_header("content-type", "application/json");
        if let Some(key) = &self.key {
            request.set_header("api-key", key.reveal());
        }
        let asked = async {
            let mut response = self.transport.send(request).await.map_err(Error::transport)?;
            let mut answer = Vec::new();
            while let Some(piece) = response.body.next().await {
                answer.extend_from_slice(&piece.map_err(Error::transport)?);
                if answer.len() > ANSWER_BYTES_MAX {
                    return Err(
                        Error::of(Kind::TooLarge).say(format!("Qdrant says more than {ANSWER_BYTES_MAX} bytes"))
                    );
                }
            }
            Ok((response.status, answer))
        };
        let late =
            || Error::of(Kind::Timeout(Limit::Total)).say(format!("no answer of Qdrant within {CALL_TIMEOUT:?}"));
        let (status, answer) = within(Some(CALL_TIMEOUT), asked).await.ok_or_else(late)??;
        match status {
            200 => {
                let answer: Answer<T> = serde_json::from_slice(&answer)
                    .map_err(|error| Error::of(Kind::Malformed).say(format!("Qdrant, {path}: {error}")))?;
                Ok(Some(answer.result))
            }
            404 => Ok(None),
            _ => {
                let kind = if matches!(status, 401 | 403) { Kind::Unauthorized } else { Kind::Storage };
                let said: Value = serde_json::from_slice(&answer).unwrap_or_default();
                let why = said["status"]["error"].as_str().unwrap_or("it does not say why");
                Err(Error::of(kind).say(format!("Qdrant, {path}: status {status}, {why}")).with(|facts| {
                    facts.status = Some(status);
                }))
            }
        }
    }

    /// How long the vectors of a space are; `None` if it is not there.
    async fn length(&self, space: &str) -> Result<Option<usize>> {
        if let Some(length) = self.is_known(space) {
            return Ok(Some(length));
        }
        let Some(about): Option<Value> = self.ask(Method::Get, &collection(space), None).await? else {
            return Ok(None);
        };
        let size = about["config"]["params"]["vectors"]["size"].as_u64();
        let size = size.ok_or_else(|| {
            Error::of(Kind::Malformed).say(format!("Qdrant: collection of space `{space}` has no plain vectors"))
        })?;
        self.know(space, Some(size as usize));
        Ok(Some(size as usize))
    }

    async fn make(&self, space: &str, length: usize) -> Result<()> {
        let path = collection(space);
        let vectors = json!({"vectors": {"size": length, "distance": "Cosine"}});
        let made: Result<Option<bool>> = self.ask(Method::Put, &path, Some(vectors)).await;
        if let Err(error) = made {
            // Somebody else may have made it meanwhile.
            return match self.length(space).await? {
                Some(there) if there == length => Ok(()),
                _ => Err(error),
            };
        }
        let index = json!({"field_name": "conversation", "field_schema": "keyword"});
        self.ask::<Value>(Method::Put, &format!("{path}/index?wait=true"), Some(index)).await?;
        self.know(space, Some(length));
        Ok(())
    }

    async fn put(&self, space: &str, records: Vec<Record>) -> Result<()> {
        let length = self.length(space).await?;
        check_vectors(space, length, records.iter().map(|record| record.vector.as_slice()))?;
        let Some(first) = records.first() else { return Ok(()) };
        if length.is_none() {
            self.make(space, first.vector.len()).await?;
        }
        let point = |Record { id, conversation, turn, text, metadata, vector }: Record| {
            let place = point_id(&id);
            let payload = json!({
                "id": id, "conversation": conversation, "turn": turn, "text": text, "metadata": metadata,
            });
            json!({"id": place, "vector": vector, "payload": payload})
        };
        let points: Vec<Value> = records.into_iter().map(point).collect();
        let path = format!("{}/points?wait=true", collection(space));
        match self.ask::<Value>(Method::Put, &path, Some(json!({"points": points}))).await? {
            Some(_) => Ok(()),
            None => {
                self.know(space, None);
                Err(Error::of(Kind::Storage).say(format!("Qdrant: the collection of space `{space}` is gone")))
            }
        }
    }

    async fn nearest(&self, space: &str, query: Query) -> Result<Vec<Found>> {
        if query.most == 0 || self.length(space).await? != Some(query.vector.len()) {
            return Ok(Vec::new());
        }
        let mut body = json!({"query": query.vector, "limit": query.most, "with_payload": true});
        if let Some(of) = &query.conversation {
            body["filter"] = filter(of);
        }
        let path = format!("{}/points/query", collection(space));
        let points = self.ask::<Points>(Method::Post, &path, Some(body)).await?.map_or_else(Vec::new, |all| all.points);
        let found = |Point { score, payload }: Point| {
            let Payload { id, conversation, turn, text, metadata } = payload;
            Found { id, conversation, turn, text, metadata, score }
        };
        Ok(points.into_iter().map(found).collect())
    }

    async fn there(&self, space: &str, ids: Vec<String>) -> Result<HashSet<String>> {
        let places: Vec<String> = ids.iter().map(|id| point_id(id)).collect();
        let body = json!({"ids": places, "with_payload": ["id"], "with_vector": false});
        let points: Option<Vec<Point>> =
            self.ask(Method::Post, &format!("{}/points", collection(space)), Some(body)).await?;
        Ok(points.unwrap_or_default().into_iter().map(|point| point.payload.id).collect())
    }

    async fn number(&self, space: &str, conversation: Option<&str>) -> Result<u64> {
        let mut body = json!({"exact": true});
        if let Some(of) = conversation {
            body["filter"] = filter(of);
        }
        let path = format!("{}/points/count", collection(space));
        Ok(self.ask::<Count>(Method::Post, &path, Some(body)).await?.map_or(0, |count| count.count))
    }

    async fn remove(&self, space: &str, which: Which) -> Result<u64> {
        let path = collection(space);
        let (gone, selected) = match which {
            Which::Ids(ids) => {
                let mut there: Vec<String> = self.there(space, ids).await?.iter().map(|id| point_id(id)).collect();
                there.sort();
                (there.len() as u64, json!({"points": there}))
            }
            Which::Conversation(of) => (self.number(space, Some(&of)).await?, json!({"filter": filter(&of)})),
            Which::All => {
                let gone = self.number(space, None).await?;
                self.know(space, None);
                self.ask::<bool>(Method::Delete, &path, None).await?;
                return Ok(gone);
            }
        };
        if gone > 0 {
            self.ask::<Value>(Method::Post, &format!("{path}/points/delete?wait=true"), Some(selected)).await?;
        }
        Ok(gone)
    }
}

impl VectorStore for QdrantVectors {
    fn upsert<'a>(&'a self, space: &'a str, records: Vec<Record>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.put(space, records))
    }

    fn search<'a>(&'a self, space: &'a str, query: Query) -> BoxFuture<'a, Result<Vec<Found>>> {
        Box::pin(self.nearest(space, query))
    }

    fn known<'a>(&'a self, space: &'a str, ids: Vec<String>) -> BoxFuture<'a, Result<HashSet<String>>> {
        Box::pin(self.there(space, ids))
    }

    fn delete<'a>(&'a self, space: &'a str, which: Which) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.remove(space, which))
    }

    fn count<'a>(&'a self, space: &'a str, conversation: Option<&'a str>) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.number(space, conversation))
    }
}

impl fmt::Debug for QdrantVectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QdrantVectors").field("url", &self.url).finish_non_exhaustive()
    }
}

fn filter(conversation: &str) -> Value {
    json!({"must": [{"key": "conversation", "match": {"value": conversation}}]})
}

/// The address of a space's collection. A name that no collection can have is told apart by its hash.
fn collection(space: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let name: String = space.chars().map(|one| if plain(one) { one } else { '_' }).take(NAME_CHARS_MAX).collect();
    if name == space {
        return format!("collections/{PREFIX}{name}");
    }
    let hash: String = Sha256::digest(space).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("collections/{PREFIX}{name}~{hash}")
}

/// The UUID that stands for an id of ours, which may be one.
fn point_id(id: &str) -> String {
    match uuid::Uuid::parse_str(id) {
        Ok(uuid) if uuid.to_string() == id => uuid.to_string(),
        _ => {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&Sha256::digest(id)[..16]);
            uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
        }
    }
}
