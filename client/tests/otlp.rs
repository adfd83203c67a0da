//! What reaches a collector of OpenTelemetry: what the conventions name, and no key and no text.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{body::Bytes, extract::State, http::Uri};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::metric::Data,
    trace::v1::Span,
};
use prost::Message;
use qwenda::{Mock, Retry, otlp::Otlp};
use serde_json::json;

const KEY: &str = "sk-planted-key";
const PROMPT: &str = "planted prompt";
const ANSWER: &str = "planted answer";

type Seen = Arc<Mutex<Vec<(String, Bytes)>>>;

async fn collector() -> (Seen, String) {
    let seen = Seen::default();
    let take = async |State(seen): State<Seen>, uri: Uri, body: Bytes| {
        seen.lock().unwrap().push((uri.path().to_owned(), body));
    };
    let router = axum::Router::new().fallback(take).with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (seen, url)
}

fn text(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |attribute: &KeyValue| match attribute.value.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(_) => "a number".to_owned(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute))).collect()
}

fn spans(seen: &Seen) -> Vec<Span> {
    let seen = seen.lock().unwrap();
    let bodies = seen.iter().filter(|(path, _)| path == "/v1/traces");
    let requests = bodies.map(|(_, body)| ExportTraceServiceRequest::decode(body.clone()).unwrap());
    requests.flat_map(|request| request.resource_spans).flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect()
}

/// Labels, count and sum.
type Point = (BTreeMap<String, String>, u64, f64);

/// Each metric's name and histograms.
fn metrics(seen: &Seen) -> BTreeMap<String, Vec<Point>> {
    let seen = seen.lock().unwrap();
    let bodies = seen.iter().filter(|(path, _)| path == "/v1/metrics");
    // They are sums since the beginning, so the last counts.
    let last = ExportMetricsServiceRequest::decode(bodies.last().unwrap().1.clone()).unwrap();
    let metrics = last.resource_metrics.into_iter().flat_map(|of| of.scope_metrics).flat_map(|of| of.metrics);
    metrics
        .map(|metric| {
            let Some(Data::Histogram(histogram)) = metric.data else { panic!("{} is no histogram", metric.name) };
            let points = histogram.data_points.into_iter();
            (metric.name, points.map(|point| (text(&point.attributes), point.count, point.sum.unwrap())).collect())
        })
        .collect()
}

#[tokio::test]
async fn calls_are_exported_by_the_names_of_the_conventions_without_keys_and_texts() {
    let (seen, url) = collector().await;
    let exporting = Otlp::to(&url).service("test").install().unwrap();
    let mock = Mock::new().error(429, "slower").stream(["planted ", "answer"]).error(401, KEY).reply(ANSWER);
    let client = mock.builder().key(KEY).retry(Retry { pause_first: std::time::Duration::ZERO, ..Retry::default() });
    let client = client.build().unwrap();
    assert_eq!(client.chat("qwen-plus").user(PROMPT).await.unwrap().text(), ANSWER);
    client.chat("qwen-plus").user(PROMPT).await.unwrap_err();
    let open = mock.builder().observe_content(true).build().unwrap();
    open.chat("qwen-max").user("told on purpose").await.unwrap();
    let counted = Mock::new()
        .json(json!({"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 7, "total_tokens": 7}}))
        .json(json!({"results": [{"index": 0, "relevance_score": 0.5}], "usage": {"total_tokens": 9}}))
        .json(json!({"choices": [{"text": "b", "index": 0, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}))
        .json(json!({"data": "none"}));
    let client = counted.client();
    client.embed("text-embedding-v4", [PROMPT]).await.unwrap();
    client.rerank("qwen3-rerank", PROMPT, [ANSWER]).await.unwrap();
    client.complete("qwen-coder-turbo", PROMPT).await.unwrap();
    client.embed("text-embedding-v4", [PROMPT]).await.unwrap_err();
    exporting.close().await;

    let spans = spans(&seen);
    let shown: Vec<_> = spans.iter().map(|span| (span.name.as_str(), text(&span.attributes))).collect();
    assert_eq!(shown.len(), 7, "{shown:?}");
    let (name, good) = &shown[0];
    assert_eq!(*name, "chat qwen-plus");
    for (field, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "alibaba_cloud"),
        ("gen_ai.request.model", "qwen-plus"),
        ("gen_ai.response.finish_reasons", "Stop"),
        ("gen_ai.usage.input_tokens", "10"),
        ("gen_ai.usage.output_tokens", "2"),
        ("gen_ai.response.time_to_first_chunk", "a number"),
    ] {
        assert_eq!(good.get(field).map(String::as_str), Some(value), "{field} of {good:?}");
    }
    assert_eq!(spans[0].events.len(), 1, "the attempt that failed: {:?}", spans[0].events);
    assert_eq!(shown[1].1["error.type"], "Unauthorized");
    assert!(shown[2].1["gen_ai.input.messages"].contains("told on purpose"), "{shown:?}");

    for (place, name, input, output) in [
        (3, "embeddings text-embedding-v4", Some("7"), None),
        (4, "rerank qwen3-rerank", Some("9"), None),
        (5, "text_completion qwen-coder-turbo", Some("3"), Some("1")),
        (6, "embeddings text-embedding-v4", None, None),
    ] {
        let (shown, fields) = &shown[place];
        assert_eq!(*shown, name);
        assert_eq!(fields["gen_ai.operation.name"], name.split(' ').next().unwrap());
        assert_eq!(fields.get("gen_ai.usage.input_tokens").map(String::as_str), input, "{fields:?}");
        assert_eq!(fields.get("gen_ai.usage.output_tokens").map(String::as_str), output, "{fields:?}");
    }
    assert_eq!(shown[6].1["error.type"], "Malformed");

    let metrics = metrics(&seen);
    let input_of = |model: &str| {
        let points = metrics["gen_ai.client.token.usage"].iter();
        let points = points.filter(|(labels, ..)| labels["gen_ai.request.model"] == model);
        points.map(|(labels, count, sum)| (labels["gen_ai.token.type"].clone(), *count, *sum)).collect::<Vec<_>>()
    };
    assert_eq!(input_of("text-embedding-v4"), [("input".to_owned(), 1, 7.0)]);
    assert_eq!(input_of("qwen3-rerank"), [("input".to_owned(), 1, 9.0)]);
    let names: Vec<&str> = metrics.keys().map(String::as_str).collect();
    let of = |name: &str| format!("gen_ai.client.{name}");
    assert_eq!(names, [of("operation.duration"), of("operation.time_to_first_chunk"), of("token.usage")]);
    let counts = |name: &str, label: &str| -> BTreeMap<String, (u64, f64)> {
        let points = metrics[&of(name)].iter().filter(|(labels, ..)| labels["gen_ai.request.model"] == "qwen-plus");
        points.map(|(labels, count, sum)| (labels.get(label).cloned().unwrap_or_default(), (*count, *sum))).collect()
    };
    let durations: Vec<(String, u64)> =
        counts("operation.duration", "error.type").into_iter().map(|(error, (count, _))| (error, count)).collect();
    assert_eq!(durations, [(String::new(), 1), ("Unauthorized".to_owned(), 1)]);
    let tokens = counts("token.usage", "gen_ai.token.type");
    assert_eq!((tokens["input"], tokens["output"]), ((1, 10.0), (1, 2.0)));
    assert_eq!(counts("operation.time_to_first_chunk", "error.type").len(), 1);

    for (path, body) in &*seen.lock().unwrap() {
        let body = String::from_utf8_lossy(body);
        // The answer of the third call is told on purpose.
        let planted = [KEY, PROMPT].into_iter().chain((body.matches(ANSWER).count() > 1).then_some(ANSWER));
        for planted in planted {
            assert!(!body.contains(planted), "{path} has `{planted}`");
        }
    }
}
