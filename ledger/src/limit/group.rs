//! Several levels of limits, taken together: all of them or none.

use super::{
    Burst, BurstGuard, Figure, Figures, Gcra, Kind, Permits, RELEASE_RETRY_MS, Rate, Refused, Scope, Tokens,
    TokensTaken, Wait,
};

/// The limits of one level. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests per minute.
    pub requests: Option<Rate>,
    /// Tokens per minute.
    pub tokens: Option<Rate>,
    /// How fast requests may grow.
    pub burst: Option<BurstGuard>,
    /// Requests that may run at one time.
    pub concurrency: Option<u32>,
}

/// What the limits of one level have admitted. Lives on when its [`Limits`] change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Of requests per minute.
    pub requests: Gcra,
    /// Of tokens per minute.
    pub tokens: Tokens,
    /// Of sudden growth.
    pub burst: Burst,
    /// Of concurrency. Counted whether or not it is limited, so that a limit may be set at any time.
    pub permits: Permits,
}

/// One level of a [`Group`].
#[derive(Debug)]
pub struct Level<'a> {
    /// Whose limits.
    pub scope: Scope,
    /// The limits.
    pub limits: Limits,
    /// Their state.
    pub state: &'a mut State,
}

/// The limits a request passes, one level of each [`Scope`] at most.
///
/// # Example
/// ```
/// use qwenda_ledger::limit::{Group, Level, Limits, Rate, Scope, State};
/// let limits = Limits { requests: Some(Rate::minute(1)), concurrency: Some(8), ..Limits::default() };
/// let mut state = State::default();
/// let mut group = Group::new([Level { scope: Scope::Key, limits, state: &mut state }]);
/// let taken = group.take(500, 0).unwrap();
/// group.settle(taken, 321, 2_000_000_000);
/// let refused = group.take(500, 2_000_000_000).unwrap_err();
/// assert_eq!(refused.to_string(), "the key's limit of requests per minute is 1; the next fits in 58000 ms");
/// ```
#[derive(Debug)]
pub struct Group<'a> {
    levels: [Option<Level<'a>>; Scope::ALL.len()],
}

/// What a request has taken of each level. Settled once, when the request has ended in whatever way.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what was taken is settled when the request has ended"]
pub struct Taken {
    levels: [Option<LevelTaken>; Scope::ALL.len()],
}

#[derive(Debug, PartialEq, Eq)]
struct LevelTaken {
    tokens: Option<TokensTaken>,
}

impl<'a> Group<'a> {
    /// The group of these levels, in whatever order they come.
    ///
    /// # Panics
    /// When two levels have one scope.
    pub fn new(levels: impl IntoIterator<Item = Level<'a>>) -> Self {
        let mut group = Self { levels: [const { None }; Scope::ALL.len()] };
        for level in levels {
            let place = &mut group.levels[level.scope as usize];
            assert!(place.is_none(), "two levels of the scope {}", level.scope);
            *place = Some(level);
        }
        group
    }

    /// Takes one request of so many tokens (an estimate) from every level, or nothing from any.
    ///
    /// # Errors
    /// Of all limits that refuse, the one that takes longest to admit; the first, if two take as long.
    pub fn take(&mut self, tokens: u64, now_ns: u64) -> Result<Taken, Refused> {
        let refused = self.levels.iter().flatten().flat_map(|level| level.refusals(tokens, now_ns));
        if let Some(refused) = refused.reduce(|longest, next| if next.rank() > longest.rank() { next } else { longest })
        {
            return Err(refused);
        }
        let levels = self.levels.each_mut().map(|level| level.as_mut().map(|level| level.take(tokens, now_ns)));
        Ok(Taken { levels })
    }

    /// Corrects the estimate by the tokens that were used, and gives the permits back.
    ///
    /// A level that was not there when the request was admitted is left alone.
    pub fn settle(&mut self, taken: Taken, used: u64, now_ns: u64) {
        for (level, taken) in self.levels.iter_mut().zip(taken.levels) {
            let (Some(level), Some(taken)) = (level, taken) else { continue };
            level.state.permits.give_back();
            if let (Some(tokens), Some(rate)) = (taken.tokens, level.limits.tokens) {
                level.state.tokens.settle(rate, tokens, used, now_ns);
            }
        }
    }

    /// Where the tightest levels stand: for requests and for tokens each its own.
    pub fn figures(&self, now_ns: u64) -> Figures {
        let tightest = |figure: &dyn Fn(&Level<'_>) -> Option<Figure>| {
            self.levels.iter().flatten().filter_map(figure).reduce(Figure::tighter)
        };
        Figures {
            requests: tightest(&|level| Some(level.state.requests.figure(level.limits.requests?, now_ns))),
            tokens: tightest(&|level| Some(level.state.tokens.figure(level.limits.tokens?, now_ns))),
        }
    }
}

impl Level<'_> {
    fn refusals(&self, tokens: u64, now_ns: u64) -> impl Iterator<Item = Refused> {
        let Limits { requests, tokens: per_minute, burst, concurrency } = self.limits;
        let state = &*self.state;
        let refused = |kind, limit, asked, check: Result<(), Wait>| {
            check.err().map(|wait| Refused { scope: self.scope, kind, limit, asked, wait })
        };
        [
            requests.and_then(|rate| refused(Kind::Requests, rate.per_minute, 1, state.requests.check(rate, now_ns))),
            per_minute.and_then(|rate| {
                refused(Kind::Tokens, rate.per_minute, tokens, state.tokens.check(rate, tokens, now_ns))
            }),
            burst.and_then(|guard| {
                refused(Kind::Burst, state.burst.allowed(guard, now_ns), 1, state.burst.check(guard, now_ns))
            }),
            concurrency.and_then(|max| refused(Kind::Concurrency, max.into(), 1, state.permits.check(max))),
        ]
        .into_iter()
        .flatten()
    }

    // All limits were asked before.
    fn take(&mut self, tokens: u64, now_ns: u64) -> LevelTaken {
        const CHECKED: &str = "every limit was asked just before";
        let state = &mut *self.state;
        if let Some(rate) = self.limits.requests {
            state.requests.take(rate, now_ns).expect(CHECKED);
        }
        if let Some(guard) = self.limits.burst {
            state.burst.take(guard, now_ns).expect(CHECKED);
        }
        state.permits.take(self.limits.concurrency.unwrap_or(u32::MAX)).expect(CHECKED);
        LevelTaken { tokens: self.limits.tokens.map(|rate| state.tokens.take(rate, tokens, now_ns).expect(CHECKED)) }
    }
}

impl Refused {
    fn rank(&self) -> u128 {
        match self.wait {
            Wait::Ns(ns) => ns.into(),
            Wait::Release => u128::from(RELEASE_RETRY_MS) * 1_000_000,
            Wait::Never => u128::MAX,
        }
    }
}
