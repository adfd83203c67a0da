//! Times as they are written and read. All are UTC.

const DAY: i64 = 86_400;
/// The last second of the year 9999. What is greater was meant in milliseconds.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Reads `2026-02-28`, `2026-02-28T12:30:00Z` or seconds since 1970.
pub fn point(text: &str) -> Option<i64> {
    let at = if text.contains('-') { written(text)? } else { number(text)? };
    (0..=SECONDS_MAX).contains(&at).then_some(at)
}

/// The first second of a month, as `2026-02`, and the first behind it.
pub fn month(text: &str) -> Option<(i64, i64)> {
    let (year, month) = text.split_once('-')?;
    let (year, month) = (digits(year, 4)?, digits(month, 2)?);
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let begins = day(year, month, 1)?;
    Some((begins, since_1970(next.0, next.1, 1) * DAY))
}

/// `2026-02-28T12:30:00Z`.
pub fn second(at: i64) -> String {
    let rest = at.rem_euclid(DAY);
    format!("{}T{:02}:{:02}:{:02}Z", day_of(at), rest / 3_600, rest / 60 % 60, rest % 60)
}

/// The day, where the second is the first of one.
pub fn short(at: i64) -> String {
    if at % DAY == 0 { day_of(at) } else { second(at) }
}

/// `2026-02-28`.
pub fn day_of(at: i64) -> String {
    let (year, month, day) = date(at);
    format!("{year:04}-{month:02}-{day:02}")
}

fn written(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.splitn(3, '-');
    let begins = day(digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?)?;
    let Some(time) = time else { return Some(begins) };
    let mut parts = time.strip_suffix('Z')?.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |second| digits(second, 2))?;
    let fits = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    fits.then_some(begins + hour * 3_600 + minute * 60 + second)
}

/// When a day begins, if the calendar has it.
fn day(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let at = since_1970(year, month, day) * DAY;
    let there = date(at);
    ((there.0, i64::from(there.1), i64::from(there.2)) == (year, month, day)).then_some(at)
}

/// Year, month and day (UTC) of a second since 1970.
///
/// Counts days from the first of March of the year 0, so that the day that comes every four years is the
/// last of its year (H. Hinnant, "chrono-compatible low-level date algorithms").
pub fn date(seconds: i64) -> (i64, u32, u32) {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// Days since 1970, the other way round as [`date`].
fn since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count).then(|| number(text))?
}

/// A whole number of digits only.
pub fn number(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        // From Python's datetime.
        for (seconds, want) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (951_782_400, (2000, 2, 29)),
            (951_868_800, (2000, 3, 1)),
            (1_772_323_199, (2026, 2, 28)),
            (1_772_323_200, (2026, 3, 1)),
            (4_107_542_400, (2100, 3, 1)),
            (1_798_761_599, (2026, 12, 31)),
        ] {
            assert_eq!(date(seconds), want, "{seconds}");
        }
    }

    #[test]
    fn months_end_where_the_next_begins() {
        assert_eq!(month("2026-02"), Some((1_769_904_000, 1_772_323_200)));
        assert_eq!(month("2026-12").map(|(_, end)| day_of(end)), Some("2027-01-01".to_owned()));
        assert_eq!(month("2026-13").or(month("2026-0")).or(month("202602")).or(month("2026-02-01")), None);
    }
}
