//! Calls whose answers are one piece of JSON.

use std::{fmt, future::IntoFuture, sync::Arc};

use futures_util::future::BoxFuture;
use qwenda_types::models::{Model, ModelList};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    Attempt, Client, Result, Usage,
    call::{Answered, Terms},
    client::Inner,
    error::{Facts, refused_in_stream},
    stream::{is_error, unreadable},
    transport::{Method, Request},
};

/// What every builder of a call can set.
macro_rules! terms {
    () => {
        /// Other limits than the client's. That of connecting stays the client's.
        pub fn timeouts(mut self, limits: crate::Timeouts) -> Self {
            self.terms.limits = Some(limits);
            self
        }

        /// Another way of sending again than the client's.
        pub fn retry(mut self, retry: crate::Retry) -> Self {
            self.terms.retry = Some(retry);
            self
        }
    };
}

pub(crate) use terms;

/// A request as JSON.
pub(crate) fn map_of(request: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(request) {
        Ok(Value::Object(map)) => map,
        _ => unreachable!("a request is a struct of plain JSON"),
    }
}

/// How an answer came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// The service's id of the request.
    pub request_id: Option<String>,
    /// The attempts that failed before it came.
    pub attempts: Vec<Attempt>,
}

impl Inner {
    /// Sends a request and reads its answer.
    pub(crate) async fn json<T: DeserializeOwned>(
        self: &Arc<Self>,
        operation: &'static str,
        request: Request,
        model: &str,
        terms: &Terms,
    ) -> Result<(T, Meta)> {
        self.counted(operation, request, model, terms, |_| None).await
    }

    /// As [`json`](Self::json), of an answer that says how many tokens it took.
    pub(crate) async fn counted<T: DeserializeOwned>(
        self: &Arc<Self>,
        operation: &'static str,
        request: Request,
        model: &str,
        terms: &Terms,
        usage: impl FnOnce(&T) -> Option<Usage>,
    ) -> Result<(T, Meta)> {
        let mut call = self.call(operation, request, model, terms);
        let (response, bytes) = call.whole().await?;
        let mut request_id = response.header("x-request-id").map(str::to_owned);
        match self.read::<T>(&bytes, &mut request_id) {
            Ok(answer) => {
                let usage = usage(&answer).map(Box::new);
                call.succeeded(usage.map_or(Answered::Uncounted, Answered::Counted));
                Ok((answer, Meta { request_id, attempts: call.attempts }))
            }
            Err(error) => {
                call.refused();
                let error = call.gave_up(error);
                Err(error.with(|facts: &mut Facts| facts.request_id = facts.request_id.take().or(request_id)))
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, bytes: &[u8], request_id: &mut Option<String>) -> Result<T> {
        let map: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
        if request_id.is_none() {
            *request_id = map.get("request_id").and_then(Value::as_str).map(str::to_owned);
        }
        if is_error(&map) {
            return Err(refused_in_stream(None, &map, self.key.as_ref()));
        }
        serde_json::from_value(map.into()).map_err(|error| unreadable(&error))
    }
}

/// The tokens of an answer that has none of its own.
pub(crate) fn input_only(tokens: u64) -> Option<Usage> {
    Some(Usage::from(qwenda_types::chat::Usage::new(tokens, 0, 0, 0)))
}

/// Asks which models there are. Awaiting it gives them.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let list = serde_json::json!({"object": "list", "data": [{"id": "qwen-plus", "object": "model", "created": 1, "owned_by": "me"}]});
/// # let client = qwenda::Mock::new().json(list).client();
/// for model in client.models().await? {
///     println!("{}", model.id);
/// }
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until it is awaited"]
pub struct ModelsBuilder {
    client: Client,
    terms: Terms,
}

impl ModelsBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, terms: Terms { reads: true, ..Terms::default() } }
    }

    terms!();
}

impl IntoFuture for ModelsBuilder {
    type Output = Result<Vec<Model>>;
    type IntoFuture = BoxFuture<'static, Result<Vec<Model>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let inner = &self.client.0;
            let request = inner.request(Method::Get, inner.service.compat("models"), Vec::new());
            let (list, _): (ModelList, _) = inner.json("models", request, "", &self.terms).await?;
            Ok(list.data)
        })
    }
}

impl fmt::Debug for ModelsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelsBuilder")
    }
}
