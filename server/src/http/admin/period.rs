//! Which time is meant.

use qwenda_types::error::ApiError;

use super::form::{Form, missing, wrong};
use crate::when;

const DAY: i64 = 86_400;
/// Longest time that is looked at request by request.
pub(super) const DAYS_MAX: i64 = 366;

/// From its first second to the first behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) from: i64,
    pub(super) until: i64,
}

impl Period {
    /// `month`, or `from` and `until`: whole days.
    pub(super) fn of_days(form: &mut Form) -> Result<Self, ApiError> {
        let (month, from, until) = (form.text("month")?, form.time("from")?, form.time("until")?);
        match (month, from, until) {
            (Some(month), None, None) => match when::month(&month) {
                Some((from, until)) => Ok(Self { from, until }),
                None => Err(wrong("month", "it must be a month such as 2026-11")),
            },
            (Some(_), ..) => Err(wrong("month", "it goes without `from` and `until`")),
            (None, Some(from), Some(until)) => Self { from, until }.checked(DAY),
            (None, Some(_), None) => Err(missing("until")),
            (None, ..) => Err(missing("month")),
        }
    }

    /// `from` and `until`; where nothing is said, the last `usual_seconds`. Both are widened to whole grains.
    pub(super) fn of_grains(form: &mut Form, grain: i64, usual_seconds: i64, now: i64) -> Result<Self, ApiError> {
        let until = form.time("until")?.unwrap_or(now + 1);
        let from = form.time("from")?.unwrap_or(until.saturating_sub(usual_seconds));
        let up =
            |at: i64| at.div_euclid(grain).saturating_add(i64::from(at.rem_euclid(grain) > 0)).saturating_mul(grain);
        Self { from: from.div_euclid(grain) * grain, until: up(until) }.checked(1)
    }

    /// `from` and `until`; where nothing is said, the last `usual_seconds`.
    pub(super) fn of_seconds(form: &mut Form, usual_seconds: i64, now: i64) -> Result<Self, ApiError> {
        Self::of_grains(form, 1, usual_seconds, now)
    }

    fn checked(self, step: i64) -> Result<Self, ApiError> {
        if let Some((name, _)) = [("from", self.from), ("until", self.until)].into_iter().find(|(_, at)| at % step != 0)
        {
            return Err(wrong(name, "a statement is of whole days (UTC)"));
        }
        if self.until <= self.from {
            return Err(wrong("until", "it must lie behind `from`"));
        }
        Ok(self)
    }

    /// Refuses what would be looked at for too long.
    pub(super) fn bounded(self) -> Result<Self, ApiError> {
        match self.until.saturating_sub(self.from) > DAYS_MAX * DAY {
            true => Err(wrong("from", &format!("at most {DAYS_MAX} days are looked at; ask for less"))),
            false => Ok(self),
        }
    }
}
