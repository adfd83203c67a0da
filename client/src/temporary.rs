//! Keys for browsers and phones, which end by themselves: [`TemporaryKeyBuilder`].

use std::{fmt, future::IntoFuture};

use futures_util::future::BoxFuture;
use serde::Deserialize;

use crate::{Client, Error, Result, Secret, call::Terms, plain::terms, transport::Method};

/// A request for a key that ends by itself. Awaiting it gives a [`TemporaryKey`].
///
/// It is for a program that a person holds, such as a page or an app, which then calls the service itself: what is
/// said does not pass through one's own server, and the client's key does not leave it. The cloud and Qwenda can do
/// this; the call is DashScope's own in either protocol.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # let answer = serde_json::json!({"token": "st-something", "expires_at": 1_767_225_660});
/// # let client = qwenda::Mock::new().json(answer).client();
/// let key = client.temporary_key(60).models(["qwen-plus"]).await?;
/// assert_eq!(key.expires_at, 1_767_225_660);
/// assert!(!format!("{key:?}").contains("st-something"));
/// # assert_eq!(key.key.reveal(), "st-something");
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until it is awaited"]
pub struct TemporaryKeyBuilder {
    client: Client,
    seconds: u32,
    models: Vec<String>,
    terms: Terms,
}

impl Client {
    /// Makes a key that ends after so many seconds, `[1, 1800]`, and may do no more than the client's own.
    pub fn temporary_key(&self, seconds: u32) -> TemporaryKeyBuilder {
        // A key that was made and lost on the way ends like any other.
        let terms = Terms { reads: true, ..Terms::default() };
        TemporaryKeyBuilder { client: self.clone(), seconds, models: Vec::new(), terms }
    }
}

impl TemporaryKeyBuilder {
    /// The only models that it may ask. A Qwenda sees to that; the cloud has no such keys.
    pub fn models<T: Into<String>>(mut self, models: impl IntoIterator<Item = T>) -> Self {
        self.models = models.into_iter().map(Into::into).collect();
        self
    }

    terms!();
}

impl IntoFuture for TemporaryKeyBuilder {
    type Output = Result<TemporaryKey>;
    type IntoFuture = BoxFuture<'static, Result<TemporaryKey>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let inner = &self.client.0;
            let mut url = reqwest::Url::parse(&inner.service.native("tokens")?).map_err(Error::config)?;
            url.query_pairs_mut().append_pair("expire_in_seconds", &self.seconds.to_string());
            if !self.models.is_empty() {
                url.query_pairs_mut().append_pair("models", &self.models.join(","));
            }
            let request = inner.request(Method::Post, url.into(), Vec::new());
            let (answer, _): (Answer, _) = inner.json("temporary_key", request, "", &self.terms).await?;
            Ok(TemporaryKey { key: Secret::new(answer.token), expires_at: answer.expires_at })
        })
    }
}

impl fmt::Debug for TemporaryKeyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemporaryKeyBuilder")
            .field("seconds", &self.seconds)
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Answer {
    token: String,
    expires_at: u64,
}

/// A key that ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TemporaryKey {
    /// The key, which prints as `***`.
    pub key: Secret,
    /// The Unix second at which it ends.
    pub expires_at: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Mock;

    #[tokio::test]
    async fn a_key_is_asked_for_with_its_time_and_its_models() {
        let answer = json!({"token": "st-1", "expires_at": 7});
        let mock = Mock::new().json(answer.clone()).json(answer);
        let client = mock.client();
        client.temporary_key(60).await.unwrap();
        client.temporary_key(1800).models(["qwen-plus", "a&b"]).await.unwrap();
        let urls: Vec<String> = mock.requests().iter().map(|request| request.url.clone()).collect();
        assert_eq!(
            urls,
            [
                "http://mock.invalid/api/v1/tokens?expire_in_seconds=60",
                "http://mock.invalid/api/v1/tokens?expire_in_seconds=1800&models=qwen-plus%2Ca%26b",
            ]
        );
    }

    #[tokio::test]
    async fn an_answer_without_a_key_is_an_error_that_does_not_show_it() {
        let client = Mock::new().json(json!({"token": "st-secret", "expires_at": "st-secret"})).client();
        let error = client.temporary_key(60).await.unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Malformed);
        assert!(!format!("{error} {error:?} {}", error.report()).contains("st-secret"));
    }
}
