//! The pace of one model: pure, over the time since the client began.

use std::time::Duration;

use super::rate::Rate;
use crate::Throttle;

/// Requests in the first second.
const FIRST: f64 = 10.0;
/// However often we are refused, so many requests a second still ask.
const REQUESTS_LEAST: f64 = 0.2;
const TOKENS_LEAST: f64 = 100.0;
/// What a byte of a request and an answer are taken to have before one is known.
const TOKENS_PER_BYTE: f64 = 0.25;
const OUTPUT_TOKENS: f64 = 256.0;
/// How much the last call counts for what the next is taken to have.
const LAST_WEIGHT: f64 = 0.2;
/// A service that asks for more is not obeyed by all calls, but by the one that it told.
const ASKED_MAX: Duration = Duration::from_secs(60);
/// So many calls have to end well before one more is tried at once.
const ROUNDS: f64 = 10.0;

/// What the next request does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    /// It is sent, and taken to need so many tokens.
    Go { tokens: f64 },
    /// It asks again then.
    At(Duration),
    /// It asks again when another has ended.
    Full,
}

#[derive(Debug, Clone)]
pub(super) struct Lane {
    requests: Rate,
    tokens: Rate,
    /// Calls on their way.
    inside: usize,
    /// How many may be; as many as like before the service has refused one for that.
    inside_max: Option<f64>,
    inside_cut_at: Option<Duration>,
    /// The service asked to be left alone until then.
    closed_until: Duration,
    tokens_per_byte: f64,
    output: f64,
}

impl Lane {
    pub(super) fn new(requests_per_min: Option<u32>, tokens_per_min: Option<u64>) -> Self {
        let per_second = |most: f64| most / 60.0;
        Self {
            requests: Rate::new(Some(FIRST), requests_per_min.map(f64::from).map(per_second), REQUESTS_LEAST),
            tokens: Rate::new(None, tokens_per_min.map(|most| per_second(most as f64)), TOKENS_LEAST),
            inside: 0,
            inside_max: None,
            inside_cut_at: None,
            closed_until: Duration::ZERO,
            tokens_per_byte: TOKENS_PER_BYTE,
            output: OUTPUT_TOKENS,
        }
    }

    pub(super) fn next(&mut self, now: Duration, bytes: usize) -> Next {
        if self.inside_max.is_some_and(|most| self.inside as f64 + 1.0 > most.max(1.0)) {
            return Next::Full;
        }
        let waits = [self.requests.wait(now), self.tokens.wait(now)];
        let closed = (self.closed_until > now).then_some(self.closed_until);
        if let Some(then) = waits.into_iter().flatten().chain(closed).max() {
            return Next::At(then);
        }
        let tokens = bytes as f64 * self.tokens_per_byte + self.output;
        self.requests.send(now, 1.0);
        self.tokens.send(now, tokens);
        self.inside += 1;
        Next::Go { tokens }
    }

    /// What was sent then, and taken to need `tokens`, was refused.
    pub(super) fn refused(
        &mut self,
        now: Duration,
        sent_at: Duration,
        tokens: f64,
        what: Throttle,
        asked: Option<Duration>,
    ) {
        let again = match what {
            Throttle::Tokens => self.tokens.refused(now, sent_at, tokens),
            Throttle::Concurrency => return self.refused_inside(now, sent_at),
            Throttle::Burst => {
                self.requests.gentler();
                self.requests.refused(now, sent_at, 1.0)
            }
            Throttle::Requests | Throttle::Overloaded => self.requests.refused(now, sent_at, 1.0),
        };
        // Once, the one call that was told waits. Twice, nobody is let in before that time.
        if let (Some(asked), true) = (asked, again) {
            self.closed_until = self.closed_until.max(now + asked.min(ASKED_MAX));
        }
    }

    fn refused_inside(&mut self, now: Duration, sent_at: Duration) {
        if self.inside_cut_at.is_none_or(|cut_at| sent_at > cut_at) {
            // The one that was refused is still counted.
            self.inside_max = Some((self.inside as f64 - 1.0).max(1.0));
            self.inside_cut_at = Some(now);
        }
    }

    /// A request of so many bytes that was taken to need `tokens` was carried out; its usage is input and output.
    pub(super) fn succeeded(&mut self, now: Duration, bytes: usize, tokens: f64, usage: Option<(u64, u64)>) {
        let used = usage.map_or(tokens, |(input, output)| (input + output) as f64);
        if let Some((input, output)) = usage {
            let per_byte = input as f64 / bytes.max(1) as f64;
            self.tokens_per_byte += LAST_WEIGHT * (per_byte - self.tokens_per_byte);
            self.output += LAST_WEIGHT * (output as f64 - self.output);
        }
        self.tokens.correct(now, used - tokens);
        if let Some(most) = &mut self.inside_max {
            *most += 1.0 / (ROUNDS * most.max(1.0));
        }
    }

    /// A request is over, whatever became of it.
    pub(super) fn left(&mut self) {
        self.inside = self.inside.saturating_sub(1);
    }
}
