//! What the log says of requests. Never a body, a key, a prompt or an answer; of a path only the
//! route it matched.

use std::time::Duration;

use qwenda_types::error::ApiError;

use crate::meter::Settled;

/// One answered request, at its head.
pub(crate) fn answered(request_id: &str, method: &str, route: &str, status: u16, took: Duration) {
    let took_us = micros(took);
    tracing::debug!(request_id, method, route, status, took_us, "answered");
}

/// One request that was refused, or failed here.
pub(crate) fn failed(request_id: &str, error: &ApiError) {
    let code = error.code().row().code;
    let why = error.logged().unwrap_or("");
    if error.status() == 500 {
        tracing::error!(request_id, code, why, "a request failed");
    } else {
        tracing::debug!(request_id, code, why, "a request was refused");
    }
}

/// One settled request.
pub(crate) fn settled(settled: &Settled) {
    tracing::debug!(
        request_id = %settled.request_id,
        key_id = settled.key_id.as_deref().unwrap_or("-"),
        task = settled.task.as_str(),
        model = %settled.model,
        outcome = settled.outcome.as_str(),
        prompt_tokens = settled.counts.prompt_tokens,
        cached_tokens = settled.counts.cached_tokens,
        completion_tokens = settled.counts.completion_tokens,
        reasoning_tokens = settled.counts.reasoning_tokens,
        took_us = micros(settled.took),
        queued_us = settled.timings.queued_us,
        prefill_us = settled.timings.prefill_us,
        decode_us = settled.timings.decode_us,
        "settled"
    );
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
