//! `GET /metrics`: sums and states in Prometheus' text format 0.0.4. Models are named, callers are not.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use qwenda_backend::{EngineStats, STEP_BOUNDS_US, StepKind};

use crate::{Totals, app::App};

pub(super) async fn show(State(app): State<Arc<App>>) -> Response {
    let text = write(&app.totals, &app.backend.stats());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// A family of numbers: its name without `qwenda_`, its type, what it is, and how it is read.
type Family = (&'static str, &'static str, &'static str, fn(&EngineStats) -> u64);

#[rustfmt::skip]
const ENGINE: [Family; 14] = [
    ("engine_prefill_tokens_total", "counter", "Prompt tokens computed.", |s| s.prefill_tokens),
    ("engine_prompt_tokens_total", "counter", "Prompt tokens of requests that have begun.", |s| s.prompt_tokens),
    ("engine_prefix_hit_tokens_total", "counter", "Prompt tokens found among what was computed before.", |s| s.prefix_hit_tokens),
    ("engine_completion_tokens_total", "counter", "Tokens generated.", |s| s.completion_tokens),
    ("engine_guessed_tokens_total", "counter", "Tokens guessed ahead and checked.", |s| s.guessed_tokens),
    ("engine_guessed_right_tokens_total", "counter", "Guessed tokens that were right.", |s| s.guessed_right_tokens),
    ("engine_preemptions_total", "counter", "Sequences that lost their place to another.", |s| s.preemptions),
    ("engine_failures_total", "counter", "Sequences that ended by a fault of the engine.", |s| s.failures),
    ("engine_queued", "gauge", "Requests that wait for a place.", |s| s.queued),
    ("engine_running", "gauge", "Sequences that have a place.", |s| s.running),
    ("engine_batch_rows", "gauge", "Rows of the latest step; 0 at rest.", |s| s.batch_rows),
    ("engine_pages", "gauge", "Pages of keys and values that exist.", |s| s.pages_total),
    ("engine_pages_held", "gauge", "Pages that sequences hold.", |s| s.pages_held),
    ("engine_pages_kept", "gauge", "Pages kept for prompts that begin like them.", |s| s.pages_kept),
];

fn write(totals: &Totals, engines: &[(String, EngineStats)]) -> String {
    let mut out = String::new();
    let sums = [
        ("requests_total", "Requests settled, whole or not.", totals.requests()),
        ("prompt_tokens_total", "Tokens of prompts of settled requests.", totals.prompt_tokens()),
        ("completion_tokens_total", "Tokens of answers of settled requests.", totals.completion_tokens()),
    ];
    for (name, help, value) in sums {
        head(&mut out, name, "counter", help);
        line(&mut out, name, "", value);
    }
    if engines.is_empty() {
        return out;
    }
    for (name, kind, help, read) in ENGINE {
        head(&mut out, name, kind, help);
        for (model, stats) in engines {
            line(&mut out, name, &format!("{{model=\"{}\"}}", label(model)), read(stats));
        }
    }
    head(&mut out, "engine_step_seconds", "histogram", "Time of the engine's steps, by what they compute.");
    for (model, stats) in engines {
        for (kind, times) in StepKind::ALL.iter().zip(&stats.steps) {
            let labels = format!("model=\"{}\",kind=\"{}\"", label(model), kind.name());
            let mut below = 0;
            for (bound, steps) in STEP_BOUNDS_US.iter().zip(times.buckets) {
                below += steps;
                let le = seconds(*bound);
                line(&mut out, "engine_step_seconds_bucket", &format!("{{{labels},le=\"{le}\"}}"), below);
            }
            line(&mut out, "engine_step_seconds_bucket", &format!("{{{labels},le=\"+Inf\"}}"), times.count);
            line(&mut out, "engine_step_seconds_sum", &format!("{{{labels}}}"), seconds(times.sum_us));
            line(&mut out, "engine_step_seconds_count", &format!("{{{labels}}}"), times.count);
        }
    }
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP qwenda_{name} {help}\n# TYPE qwenda_{name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(out, "qwenda_{name}{labels} {value}");
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// A label's value as the format wants it.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_and_labels_are_escaped() {
        let mut stats = EngineStats { completion_tokens: 7, ..EngineStats::default() };
        stats.steps[StepKind::Decode as usize].count = 3;
        stats.steps[StepKind::Decode as usize].sum_us = 23_000_500;
        stats.steps[StepKind::Decode as usize].buckets[0] = 2;
        stats.steps[StepKind::Decode as usize].buckets[STEP_BOUNDS_US.len()] = 1;
        let text = write(&Totals::default(), &[("a\"b\\c".to_owned(), stats)]);
        for expected in [
            "# TYPE qwenda_requests_total counter\nqwenda_requests_total 0\n",
            "qwenda_engine_completion_tokens_total{model=\"a\\\"b\\\\c\"} 7\n",
            "kind=\"decode\",le=\"0.002\"} 2\n",
            "kind=\"decode\",le=\"10\"} 2\n",
            "kind=\"decode\",le=\"+Inf\"} 3\n",
            "kind=\"decode\"} 23.0005\n",
            "kind=\"prefill\",le=\"+Inf\"} 0\n",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn every_family_is_described_once() {
        let text = write(&Totals::default(), &[("m".to_owned(), EngineStats::default())]);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert_eq!(text.matches(&format!("# TYPE {family} ")).count(), 1, "{line}");
        }
    }
}
