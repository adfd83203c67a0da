//! So much a second of something, found by being refused: pure, over the time since the client began.

use std::{collections::VecDeque, time::Duration};

/// What the last minute brought is what climbing quickly ends at.
const MINUTE: u64 = 60;
/// The fullest second of so many says how fast we really were when we were refused.
const LATELY: u64 = 3;
/// Younger than this, nothing is known of what is taken in the long run.
const YOUNG_SECONDS: f64 = 10.0;
/// Nothing climbs for so long after a refusal: others of the same moment are still to come.
const CALM_SECONDS: f64 = 1.0;
/// A refusal so soon after another one means that we are far off.
const SOON_SECONDS: f64 = 2.0;
/// What is left of the rate then, and otherwise.
const AGAIN: f64 = 0.8;
const ONCE: f64 = 0.95;
/// A rate is near what was taken if it is less than so many times as much.
const NEAR: f64 = 1.3;
/// What may be used at once.
const DEPTH_SECONDS: f64 = 0.5;
/// A sleeper may wake so late.
const TIMER_SECONDS: f64 = 0.01;
/// The climb beyond what is known to be taken, as a part of the rate in a second, at first. It grows with time.
const CAREFUL: f64 = 0.01;
/// No climb is faster than if each use took so many seconds: who is asked once a second learns slowly.
const USE_SECONDS: f64 = 0.15;

/// What is allowed of something.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    /// In a second; as much as one likes before the first refusal, if there is no other reason.
    rate: Option<f64>,
    most: f64,
    least: f64,
    /// What may be used now; less than nothing where more was used than there was.
    level: f64,
    at: Duration,
    /// Somebody waited for it the last time it was looked at.
    wanted: bool,
    /// Climbing quickly ends here.
    known: f64,
    cut_at: Option<Duration>,
    /// Uses since then.
    uses: f64,
    /// Seconds of climbing that uses have earned.
    earned: f64,
    /// Doublings in a second.
    quickness: f64,
    /// What was sent and not refused.
    taken: Recent,
}

impl Rate {
    /// At first so much a second, at most so much, at least so much.
    pub(super) fn new(first: Option<f64>, most: Option<f64>, least: f64) -> Self {
        let most = most.unwrap_or(f64::INFINITY);
        let first = first.or(most.is_finite().then_some(most)).map(|first| first.min(most));
        let mut rate = Self {
            rate: first,
            most,
            least: least.min(most),
            level: 0.0,
            at: Duration::ZERO,
            wanted: false,
            known: f64::INFINITY,
            cut_at: None,
            uses: 0.0,
            earned: 0.0,
            quickness: 1.0,
            taken: Recent::default(),
        };
        rate.level = rate.depth();
        rate
    }

    fn depth(&self) -> f64 {
        // A limit that was told counts in each of its seconds: what nobody used is not made up for.
        let seconds = if self.most.is_finite() { TIMER_SECONDS } else { DEPTH_SECONDS };
        // One request must fit, however slow we are.
        self.rate.map_or(0.0, |rate| (rate * seconds).max(1.0))
    }

    /// When more may be used; `None` is now.
    pub(super) fn wait(&mut self, now: Duration) -> Option<Duration> {
        self.advance(now);
        let rate = self.rate?;
        if self.level >= 1.0 {
            return None;
        }
        self.wanted = true;
        // A little later, so that rounding never makes us come too early.
        let seconds = ((1.0 - self.level) / rate).min(MINUTE as f64) + 1e-6;
        Some(now + Duration::from_secs_f64(seconds))
    }

    /// So much is used now.
    pub(super) fn send(&mut self, now: Duration, amount: f64) {
        self.taken.add(now, amount);
        self.level -= amount;
        self.uses += 1.0;
        self.earned = (self.earned + USE_SECONDS).min(1.0);
        if self.level >= 1.0 {
            // There was more than anybody wanted.
            self.wanted = false;
        }
    }

    /// What was used turned out to be more, or less, by so much.
    pub(super) fn correct(&mut self, now: Duration, more: f64) {
        self.level = (self.level - more).min(self.depth());
        self.taken.add(now, more);
    }

    /// So much that was sent then was too much; says whether it was the second time in a short while.
    pub(super) fn refused(&mut self, now: Duration, sent_at: Duration, amount: f64) -> bool {
        self.taken.take(sent_at, amount);
        // It left before we slowed down.
        if self.cut_at.is_some_and(|cut_at| sent_at <= cut_at) {
            return false;
        }
        self.advance(now);
        let soon = self.cut_at.is_some_and(|cut_at| seconds(now, cut_at) < SOON_SECONDS);
        let lately = self.taken.fullest(now, LATELY).max(self.least);
        let rate = match self.rate {
            // It is hardly more than what is taken: the limit is where we are.
            Some(rate) if rate < NEAR * lately => rate,
            _ => lately,
        };
        self.rate = Some((rate * if soon { AGAIN } else { ONCE }).max(self.least));
        if self.taken.first.is_some_and(|first| seconds(now, first) >= YOUNG_SECONDS) {
            self.known = self.taken.per_second(now).max(self.least);
        }
        self.level = self.level.min(0.0);
        self.cut_at = Some(now);
        self.uses = 0.0;
        soon
    }

    /// From now on it climbs half as fast.
    pub(super) fn gentler(&mut self) {
        self.quickness = (self.quickness / 2.0).max(1.0 / 32.0);
    }

    fn advance(&mut self, now: Duration) {
        let passed = seconds(now, self.at);
        let climbed = match self.cut_at {
            None => passed,
            Some(cut_at) => passed.min((seconds(now, cut_at) - CALM_SECONDS).max(0.0)),
        };
        self.at = self.at.max(now);
        let Some(rate) = self.rate else { return };
        self.level = (self.level + rate * passed).min(self.depth());
        if self.wanted && climbed > 0.0 {
            let learned = climbed.min(self.earned);
            self.earned -= learned;
            let since = self.cut_at.map_or(0.0, |cut_at| seconds(now, cut_at)).min(self.uses * USE_SECONDS);
            let careful = rate * (1.0 + CAREFUL * (1.0 + since / 3.0) * learned);
            // However long nobody looked, it doubles but once.
            let quick = |seconds: f64| rate * (self.quickness * seconds).min(1.0).exp2();
            let climbed = if self.known.is_infinite() {
                quick(learned)
            } else if rate < self.known {
                quick(climbed).min(self.known)
            } else {
                careful.min(quick(climbed))
            };
            self.rate = Some(climbed.max(rate).min(self.most));
        }
    }
}

fn seconds(now: Duration, then: Duration) -> f64 {
    now.saturating_sub(then).as_secs_f64()
}

/// What came to pass in each second of the last minute.
#[derive(Debug, Clone, Default)]
struct Recent {
    seconds: VecDeque<(u64, f64)>,
    first: Option<Duration>,
}

impl Recent {
    fn add(&mut self, now: Duration, amount: f64) {
        self.first.get_or_insert(now);
        let second = now.as_secs();
        match self.seconds.back_mut() {
            Some((last, sum)) if *last == second => *sum += amount,
            _ => self.seconds.push_back((second, amount)),
        }
        while self.seconds.front().is_some_and(|(then, _)| then + MINUTE < second) {
            self.seconds.pop_front();
        }
    }

    /// Takes back what was added then.
    fn take(&mut self, then: Duration, amount: f64) {
        if let Some((_, sum)) = self.seconds.iter_mut().rev().find(|(second, _)| *second == then.as_secs()) {
            *sum -= amount;
        }
    }

    /// In the last minute, as far as there is one.
    fn per_second(&self, now: Duration) -> f64 {
        let sum: f64 = self.seconds.iter().map(|(_, sum)| sum).sum();
        let begun = self.first.unwrap_or(now).max(now.saturating_sub(Duration::from_secs(MINUTE)));
        sum / seconds(now, begun).max(1.0)
    }

    /// In whichever of the last so many seconds had most.
    fn fullest(&self, now: Duration, window: u64) -> f64 {
        let from = now.as_secs().saturating_sub(window);
        self.seconds.iter().filter(|(then, _)| *then >= from).map(|(_, sum)| *sum).fold(0.0, f64::max)
    }
}
