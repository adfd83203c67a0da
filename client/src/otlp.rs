//! What calls do, sent to a collector of OpenTelemetry over OTLP: [`Otlp`].
//!
//! Spans have the names that its conventions have for calls of models (`gen_ai.*`), and these metrics come with them:
//!
//! | metric | of |
//! | --- | --- |
//! | `gen_ai.client.operation.duration` | every call, in seconds; `error.type` tells those that failed |
//! | `gen_ai.client.operation.time_to_first_chunk` | streams, in seconds |
//! | `gen_ai.client.token.usage` | input and output of every answer that says it; of embeddings and rankings the input |
//!
//! Neither has a key in it, nor, unless [`Builder::observe_content`](crate::Builder::observe_content) says so, a text.

mod metrics;
mod send;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::SdkTracerProvider,
};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    Layer, filter::filter_fn, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

use crate::{Error, Result};

const HERE: &str = "http://localhost:4318";
const INTERVAL: Duration = Duration::from_secs(60);
/// How long a collector may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Where spans and metrics go.
///
/// # Example
/// ```no_run
/// # async fn run() -> qwenda::Result<()> {
/// let exporting = qwenda::otlp::Otlp::to("http://localhost:4318").service("my-app").install()?;
/// let client = qwenda::Client::from_env()?;
/// client.chat("qwen-plus").user("Why is the sky blue?").await?;
/// exporting.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "nothing is exported until it is installed"]
pub struct Otlp {
    endpoint: String,
    service: Option<String>,
    headers: HashMap<String, String>,
    interval: Duration,
}

impl Otlp {
    /// To the collector at this address, by HTTP with protobuf: `/v1/traces` and `/v1/metrics` are added to it.
    pub fn to(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), service: None, headers: HashMap::new(), interval: INTERVAL }
    }

    /// As `OTEL_EXPORTER_OTLP_ENDPOINT` says; to `http://localhost:4318` where it is not set. Whatever is made,
    /// `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` count.
    pub fn from_env() -> Self {
        let named = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok().filter(|url| !url.trim().is_empty());
        Self::to(named.unwrap_or_else(|| HERE.to_owned()))
    }

    /// What the program is called there.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = Some(name.into());
        self
    }

    /// A header for the collector, such as its key.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// How often metrics are sent; every 60 s. Spans are sent in batches as they come.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Exports from now on, for the whole process. Two threads of OpenTelemetry's own gather and send.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) for an address that is none, outside of a tokio runtime, and where the
    /// process has a subscriber of `tracing` already: add [`layer`](Self::layer) to that one.
    pub fn install(self) -> Result<Exporting> {
        let (layer, exporting) = self.layer()?;
        let installed = tracing_subscriber::registry().with(layer).try_init();
        installed
            .map_err(|error| Error::config(format!("{error}; add `Otlp::layer` to the subscriber that is there")))?;
        Ok(exporting)
    }

    /// The same as a layer, for a subscriber of one's own.
    ///
    /// # Errors
    /// As of [`install`](Self::install), but for the last.
    pub fn layer<S>(self) -> Result<(impl Layer<S> + Send + Sync + use<S>, Exporting)>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let wrong = |error: &dyn fmt::Display| Error::config(format!("nothing can be exported by OTLP: {error}"));
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| wrong(&error))?;
        let client: Arc<send::Sender> = Arc::new(send::Sender::new(&self.endpoint, SEND_TIMEOUT, runtime)?);
        let mut resource = Resource::builder();
        if let Some(name) = self.service {
            resource = resource.with_service_name(name);
        }
        let resource = resource.with_attribute(KeyValue::new("telemetry.distro.name", "qwenda")).build();
        let endpoint = self.endpoint.trim_end_matches('/');
        let spans = SpanExporter::builder()
            .with_http()
            .with_shared_http_client(client.clone())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .with_headers(self.headers.clone())
            .build()
            .map_err(|error| wrong(&error))?;
        let numbers = MetricExporter::builder()
            .with_http()
            .with_shared_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{endpoint}/v1/metrics"))
            .with_headers(self.headers)
            .build()
            .map_err(|error| wrong(&error))?;
        let tracers = SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource.clone()).build();
        let reader = PeriodicReader::builder(numbers).with_interval(self.interval).build();
        let meters = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
        let traced = tracing_opentelemetry::layer()
            .with_tracer(tracers.tracer("qwenda"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_level(false)
            .with_target(false);
        let layer = traced.and_then(metrics::Metrics::new(&meters)).with_filter(filter_fn(is_ours));
        Ok((layer, Exporting(Some((tracers, meters)))))
    }
}

impl fmt::Debug for Otlp {
    /// Without headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What the collector is told with is not told to the collector.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().split("::").next() == Some("qwenda")
}

/// An export that goes on. Dropped, it ends, and what is still to be sent may be lost: [`close`](Self::close) it.
#[must_use = "exporting ends when this is dropped"]
pub struct Exporting(Option<(SdkTracerProvider, SdkMeterProvider)>);

impl Exporting {
    /// Sends what is left, and ends the export. What the collector does not take is said in the log.
    pub async fn close(mut self) {
        let Some((tracers, meters)) = self.0.take() else { return };
        // Both wait for their threads, and these for the network.
        let closed = tokio::task::spawn_blocking(move || [tracers.shutdown(), meters.shutdown()]).await;
        for error in closed.into_iter().flatten().filter_map(std::result::Result::err) {
            tracing::warn!(%error, "not everything was exported");
        }
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        // Waiting here might wait for this very thread.
        if let Some(providers) = self.0.take() {
            std::thread::spawn(move || drop(providers));
        }
    }
}

impl fmt::Debug for Exporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporting")
    }
}
