//! How long to wait before a request is sent again.

use std::time::Duration;

/// The first wait is at most this long, the second twice as long, and so on.
const PAUSE_MS: u64 = 250;
const PAUSE_MS_MAX: u64 = 8_000;
/// Whoever asks for a longer wait than this is not waited for: the caller may have somewhere else to go.
const ASKED_MS_MAX: u64 = 20_000;

/// The wait before sending a request for the `again`-th time after the first, from 1; `None` if the
/// upstream asks for a longer one than is worth it. `random` is any number: requests that failed
/// together must not come back together.
pub(super) fn pause(again: u32, asked_ms: Option<u64>, random: u64) -> Option<Duration> {
    let most = PAUSE_MS.saturating_mul(1 << again.saturating_sub(1).min(16)).min(PAUSE_MS_MAX);
    let spread = random % (most + 1);
    match asked_ms {
        None => Some(Duration::from_millis(spread)),
        Some(ms) if ms > ASKED_MS_MAX => None,
        Some(ms) => Some(Duration::from_millis(ms + spread)),
    }
}

/// Milliseconds that a response asks us to wait, from its `retry-after-ms` or its `retry-after` in seconds.
pub(super) fn asked_ms(ms: Option<&str>, seconds: Option<&str>) -> Option<u64> {
    let number = |text: Option<&str>| text?.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    let ms = number(ms).or_else(|| number(seconds).map(|seconds| seconds * 1000.0))?;
    // Whatever is beyond a day is one.
    Some(ms.ceil().min(86_400_000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_spread_over_all_that_is_below() {
        let longest = |again| (0..20_000).filter_map(|random| pause(again, None, random)).max().unwrap();
        for (again, ms) in [(1, 250), (2, 500), (3, 1000), (6, 8000), (10, 8000), (u32::MAX, 8000)] {
            assert_eq!(longest(again), Duration::from_millis(ms), "{again}");
        }
        assert_eq!(pause(3, None, 0), Some(Duration::ZERO));
    }

    #[test]
    fn what_the_upstream_asks_for_is_the_least_or_too_long() {
        assert_eq!(pause(1, Some(2000), 0), Some(Duration::from_millis(2000)));
        assert_eq!(pause(1, Some(2000), 250), Some(Duration::from_millis(2250)));
        assert_eq!(pause(1, Some(60_000), 0), None);
    }

    #[test]
    fn a_wait_is_read_from_either_header() {
        for (ms, seconds, want) in [
            (Some("1"), Some("7"), Some(1)),
            (None, Some("7"), Some(7000)),
            (None, Some(" 0.5 "), Some(500)),
            (Some("x"), Some("2"), Some(2000)),
            (None, Some("-1"), None),
            (None, Some("Wed, 21 Oct 2026 07:28:00 GMT"), None),
            (None, Some("1e300"), Some(86_400_000)),
            (None, Some("NaN"), None),
            (None, None, None),
        ] {
            assert_eq!(asked_ms(ms, seconds), want, "{ms:?} {seconds:?}");
        }
    }
}
