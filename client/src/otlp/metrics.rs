//! Metrics of calls, read off their spans.

use std::time::Instant;

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, MeterProvider},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::observe::SPAN;

/// As the conventions have them.
const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

pub(super) struct Metrics {
    duration: Histogram<f64>,
    first_chunk: Histogram<f64>,
    tokens: Histogram<u64>,
}

impl Metrics {
    pub(super) fn new(meters: &SdkMeterProvider) -> Self {
        let meter = meters.meter("qwenda");
        let seconds = |name, description| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
            histogram.with_boundaries(SECONDS.into()).build()
        };
        let tokens = meter.u64_histogram("gen_ai.client.token.usage").with_unit("{token}");
        Self {
            duration: seconds("gen_ai.client.operation.duration", "How long calls took."),
            first_chunk: seconds(
                "gen_ai.client.operation.time_to_first_chunk",
                "How long it took until an answer began to come.",
            ),
            tokens: tokens.with_description("Tokens of prompts and answers.").with_boundaries(TOKENS.into()).build(),
        }
    }
}

/// What a span has said so far.
struct Seen {
    began: Instant,
    labels: Vec<KeyValue>,
    error: Option<String>,
    first_chunk: Option<f64>,
    input: Option<u64>,
    output: Option<u64>,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "gen_ai.operation.name" | "gen_ai.provider.name" | "gen_ai.request.model" | "gen_ai.response.model" => {
                self.labels.push(KeyValue::new(field.name(), value.to_owned()));
            }
            "error.type" => self.error = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "gen_ai.usage.input_tokens" => self.input = Some(value),
            "gen_ai.usage.output_tokens" => self.output = Some(value),
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "gen_ai.response.time_to_first_chunk" {
            self.first_chunk = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Metrics {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id).filter(|span| span.name() == SPAN) else { return };
        let mut seen = Seen {
            began: Instant::now(),
            labels: Vec::new(),
            error: None,
            first_chunk: None,
            input: None,
            output: None,
        };
        attributes.record(&mut seen);
        span.extensions_mut().insert(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(seen) = span.extensions_mut().get_mut::<Seen>() {
            values.record(seen);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(seen) = span.extensions_mut().remove::<Seen>() else { return };
        let labels = seen.labels;
        if let Some(seconds) = seen.first_chunk {
            self.first_chunk.record(seconds, &labels);
        }
        for (kind, tokens) in [("input", seen.input), ("output", seen.output)] {
            let Some(tokens) = tokens else { continue };
            let mut labels = labels.clone();
            labels.push(KeyValue::new("gen_ai.token.type", kind));
            self.tokens.record(tokens, &labels);
        }
        let mut labels = labels;
        labels.extend(seen.error.map(|error| KeyValue::new("error.type", error)));
        self.duration.record(seen.began.elapsed().as_secs_f64(), &labels);
    }
}
