//! Times as they are typed. All are UTC. How they are written is the service's business too.

pub use qwenda_server::when::{day_of, month, second, short};
use qwenda_server::when::{number, point};

const DAY: i64 = 86_400;
/// The last second of the year 9999. What is greater was meant in milliseconds.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Which way a length such as `30d` counts from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Ahead,
    Back,
}

/// Reads `2026-02-28`, `2026-02-28T12:30:00Z`, seconds since 1970, or a length such as `30d` or `12h`.
pub fn read(text: &str, now: i64, way: Way) -> Option<i64> {
    let at = match text.strip_suffix('d').map(|days| (days, DAY)).or(text.strip_suffix('h').map(|n| (n, 3_600))) {
        Some((count, unit)) => {
            let length = number(count)?.checked_mul(unit)?;
            if way == Way::Ahead { now.checked_add(length)? } else { now.checked_sub(length)? }
        }
        None => point(text)?,
    };
    (0..=SECONDS_MAX).contains(&at).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_shown() {
        let now = 1_772_236_800; // 2026-02-28
        for (text, want) in [
            ("2026-02-28", Some(now)),
            ("2026-02-28T12:30:05Z", Some(now + 45_005)),
            ("2026-02-28T12:30Z", Some(now + 45_000)),
            ("1772236800", Some(now)),
            ("30d", Some(now + 30 * DAY)),
            ("12h", Some(now + 43_200)),
            ("2028-02-29", Some(1_835_395_200)),
            ("1970-01-01", Some(0)),
            ("9999-12-31", Some(SECONDS_MAX - DAY + 1)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-2-1", None),
            ("2026-02-28T25:00:00Z", None),
            ("2026-02-28T12:00:00", None),
            ("1772236800000", None),
            ("-5d", None),
            ("+5", None),
            ("d", None),
            ("9223372036854775807d", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(read(text, now, Way::Ahead), want, "{text}");
        }
        assert_eq!(read("1d", now, Way::Back), Some(now - DAY));
        assert_eq!(second(now + 45_005), "2026-02-28T12:30:05Z");
        for at in (0..SECONDS_MAX).step_by(86_399_999) {
            assert_eq!(read(&second(at), now, Way::Ahead), Some(at));
        }
    }
}
