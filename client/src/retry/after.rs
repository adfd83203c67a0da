//! How long an answer asks us to wait, in all its forms.

use std::time::{Duration, SystemTime};

use crate::transport::Response;

/// A day.
const ASKED_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What `retry-after-ms` or `retry-after` says: milliseconds, seconds with or without decimals, or a date.
pub(crate) fn asked(response: &Response, now: SystemTime) -> Option<Duration> {
    let milliseconds = response.header("retry-after-ms").and_then(|text| number(text, 0.001));
    milliseconds.or_else(|| {
        let text = response.header("retry-after")?;
        number(text, 1.0).or_else(|| until(text, response.header("date"), now))
    })
}

fn number(text: &str, unit_seconds: f64) -> Option<Duration> {
    let number: f64 = text.trim().parse().ok()?;
    // A wait that is negative or no number is none; whatever is beyond a day is one.
    let seconds = (number * unit_seconds).clamp(-1.0, ASKED_MAX.as_secs_f64());
    Duration::try_from_secs_f64(seconds).ok()
}

/// The time from the service's own `date`, where it tells it, since our clock may be wrong.
fn until(text: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    let then = httpdate::parse_http_date(text.trim()).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(now);
    Some(then.duration_since(now).unwrap_or_default().min(ASKED_MAX))
}
