//! Where limits stand, as callers read it in `x-ratelimit-*` headers (OpenAI's names).

use std::fmt;

/// Where one limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// The limit per minute.
    pub limit: u64,
    /// How much would be admitted now.
    pub remaining: u64,
    /// Milliseconds until all of it is free again, rounded up, if nothing else is admitted meanwhile.
    pub reset_ms: u64,
}

impl Figure {
    // Of two levels the tighter: less is left, or it takes longer to come back.
    pub(super) fn tighter(self, other: Self) -> Self {
        let key = |figure: &Self| (figure.remaining, std::cmp::Reverse(figure.reset_ms));
        if key(&other) < key(&self) { other } else { self }
    }
}

/// Where the tightest level's limits stand.
///
/// # Example
/// ```
/// use qwenda_ledger::limit::{Figure, Figures};
/// let requests = Figure { limit: 60, remaining: 59, reset_ms: 1000 };
/// let headers: Vec<_> = Figures { requests: Some(requests), tokens: None }.headers().collect();
/// assert_eq!(headers[0], ("x-ratelimit-limit-requests", "60".to_owned()));
/// assert_eq!(headers[2], ("x-ratelimit-reset-requests", "1s".to_owned()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Requests per minute, if any level limits them.
    pub requests: Option<Figure>,
    /// Tokens per minute, if any level limits them.
    pub tokens: Option<Figure>,
}

impl Figures {
    /// Header names and their values.
    pub fn headers(self) -> impl Iterator<Item = (&'static str, String)> {
        const REQUESTS: [&str; 3] =
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
        const TOKENS: [&str; 3] =
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
        [(REQUESTS, self.requests), (TOKENS, self.tokens)].into_iter().flat_map(|(names, figure)| {
            let values = figure.map(|figure| {
                [figure.limit.to_string(), figure.remaining.to_string(), ResetIn(figure.reset_ms).to_string()]
            });
            values.into_iter().flat_map(move |values| names.into_iter().zip(values))
        })
    }
}

// As OpenAI writes it: `20ms`, `8.64s`, `6m0s`, `1h0m0s`.
struct ResetIn(u64);

impl fmt::Display for ResetIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1000, self.0 % 1000);
        if seconds == 0 && ms > 0 {
            return write!(f, "{ms}ms");
        }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}", seconds % 60)?;
        if ms > 0 {
            f.write_str(format!(".{ms:03}").trim_end_matches('0'))?;
        }
        f.write_str("s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_written_as_openai_writes_it() {
        for (ms, text) in [
            (0, "0s"),
            (20, "20ms"),
            (1000, "1s"),
            (8640, "8.64s"),
            (59_001, "59.001s"),
            (60_000, "1m0s"),
            (360_000, "6m0s"),
            (3_600_000, "1h0m0s"),
            (86_400_500, "24h0m0.5s"),
        ] {
            assert_eq!(ResetIn(ms).to_string(), text);
        }
    }

    #[test]
    fn limits_that_are_not_set_have_no_headers() {
        assert_eq!(Figures::default().headers().count(), 0);
        let tokens = Some(Figure { limit: 6000, remaining: 0, reset_ms: 60_000 });
        let headers: Vec<_> = Figures { requests: None, tokens }.headers().collect();
        let want = ["limit-tokens: 6000", "remaining-tokens: 0", "reset-tokens: 1m0s"];
        assert_eq!(headers.len(), 3);
        for ((name, value), want) in headers.iter().zip(want) {
            assert_eq!(format!("{name}: {value}"), format!("x-ratelimit-{want}"));
        }
    }

    #[test]
    fn the_tighter_has_less_left_or_takes_longer() {
        let a = Figure { limit: 60, remaining: 3, reset_ms: 100 };
        let b = Figure { limit: 600, remaining: 2, reset_ms: 50 };
        let c = Figure { limit: 600, remaining: 3, reset_ms: 200 };
        assert_eq!(a.tighter(b), b);
        assert_eq!(b.tighter(a), b);
        assert_eq!(a.tighter(c), c);
        assert_eq!(a.tighter(Figure { limit: 7, ..a }), a);
    }
}
