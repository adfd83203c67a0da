//! The limits of one level and what they have admitted.

use super::{
    Burst, BurstGuard, Figure, Gcra, Kind, Lease, LeaseTaken, Permits, Rate, Refused, Scope, Short, Tokens, TokensTaken,
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
///
/// Growth and concurrency are of this process alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Of requests per minute.
    pub requests: Part<Gcra>,
    /// Of tokens per minute.
    pub tokens: Part<Tokens>,
    /// Of sudden growth.
    pub burst: Burst,
    /// Of concurrency. Counted whether or not it is limited, so that a limit may be set at any time.
    pub permits: Permits,
}

/// Whose part of a limit a state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<T> {
    /// All of it: nobody shares the limit.
    Own(T),
    /// What this replica has borrowed of it.
    Leased(Box<Lease>),
}

impl<T: Default> Default for Part<T> {
    fn default() -> Self {
        Self::Own(T::default())
    }
}

impl State {
    /// The state of a replica that shares its limits per minute.
    pub fn leased() -> Self {
        let (requests, tokens) = (Part::Leased(Box::default()), Part::Leased(Box::default()));
        Self { requests, tokens, ..Self::default() }
    }

    /// The lease for limits of this kind, if it is shared.
    pub fn lease(&mut self, kind: Kind) -> Option<&mut Lease> {
        match (kind, &mut self.requests, &mut self.tokens) {
            (Kind::Requests, Part::Leased(lease), _) | (Kind::Tokens, _, Part::Leased(lease)) => Some(lease),
            _ => None,
        }
    }
}

/// One level of a [`super::Group`].
#[derive(Debug)]
pub struct Level<'a> {
    /// Whose limits.
    pub scope: Scope,
    /// The limits.
    pub limits: Limits,
    /// Their state.
    pub state: &'a mut State,
}

/// What a request has taken of one level.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LevelTaken {
    tokens: Option<TokensOf>,
}

#[derive(Debug, PartialEq, Eq)]
enum TokensOf {
    Own(TokensTaken),
    Leased(LeaseTaken),
}

/// That a limit does not admit, or that a lease has to borrow first.
pub(super) enum No {
    Refused(Refused),
    Borrow(Kind, u64),
}

impl Level<'_> {
    /// Every limit that does not admit a request of so many tokens.
    pub(super) fn refusals(&self, tokens: u64, now_ns: u64) -> impl Iterator<Item = No> {
        let Limits { requests, tokens: per_minute, burst, concurrency } = self.limits;
        let state = &*self.state;
        let no = |kind, limit, asked, check: Result<(), Short>| match check {
            Ok(()) => None,
            Err(Short::Borrow) => Some(No::Borrow(kind, asked)),
            Err(Short::Wait(wait)) => Some(No::Refused(Refused { scope: self.scope, kind, limit, asked, wait })),
        };
        let requests = requests.and_then(|rate| {
            let check = match &state.requests {
                Part::Own(gcra) => gcra.check(rate, now_ns).map_err(Short::Wait),
                Part::Leased(lease) => lease.check(rate, 1, now_ns),
            };
            no(Kind::Requests, rate.per_minute, 1, check)
        });
        let tokens = per_minute.and_then(|rate| {
            let check = match &state.tokens {
                Part::Own(bucket) => bucket.check(rate, tokens, now_ns).map_err(Short::Wait),
                Part::Leased(lease) => lease.check(rate, tokens, now_ns),
            };
            no(Kind::Tokens, rate.per_minute, tokens, check)
        });
        let burst = burst.and_then(|guard| {
            let check = state.burst.check(guard, now_ns).map_err(Short::Wait);
            no(Kind::Burst, state.burst.allowed(guard, now_ns), 1, check)
        });
        let concurrency = concurrency
            .and_then(|max| no(Kind::Concurrency, max.into(), 1, state.permits.check(max).map_err(Short::Wait)));
        [requests, tokens, burst, concurrency].into_iter().flatten()
    }

    /// Takes a request of so many tokens. All limits were asked before.
    pub(super) fn take(&mut self, tokens: u64, now_ns: u64) -> LevelTaken {
        const CHECKED: &str = "every limit was asked just before";
        let state = &mut *self.state;
        if let Some(rate) = self.limits.requests {
            match &mut state.requests {
                Part::Own(gcra) => gcra.take(rate, now_ns).expect(CHECKED),
                Part::Leased(lease) => {
                    let taken = lease.take(rate, 1, now_ns).expect(CHECKED);
                    lease.settle(taken, 1);
                }
            }
        }
        if let Some(guard) = self.limits.burst {
            state.burst.take(guard, now_ns).expect(CHECKED);
        }
        state.permits.take(self.limits.concurrency.unwrap_or(u32::MAX)).expect(CHECKED);
        let tokens = self.limits.tokens.map(|rate| match &mut state.tokens {
            Part::Own(bucket) => TokensOf::Own(bucket.take(rate, tokens, now_ns).expect(CHECKED)),
            Part::Leased(lease) => TokensOf::Leased(lease.take(rate, tokens, now_ns).expect(CHECKED)),
        });
        LevelTaken { tokens }
    }

    /// Corrects the estimate and gives the permit back.
    pub(super) fn settle(&mut self, taken: LevelTaken, used: u64, now_ns: u64) {
        self.state.permits.give_back();
        match (taken.tokens, self.limits.tokens, &mut self.state.tokens) {
            (Some(TokensOf::Own(taken)), Some(rate), Part::Own(bucket)) => bucket.settle(rate, taken, used, now_ns),
            (Some(TokensOf::Leased(taken)), _, Part::Leased(lease)) => lease.settle(taken, used),
            // The limit is gone, or no longer shared, or shared since.
            _ => {}
        }
    }

    pub(super) fn requests_figure(&self, now_ns: u64) -> Option<Figure> {
        let rate = self.limits.requests?;
        Some(match &self.state.requests {
            Part::Own(gcra) => gcra.figure(rate, now_ns),
            Part::Leased(lease) => lease.figure(rate),
        })
    }

    pub(super) fn tokens_figure(&self, now_ns: u64) -> Option<Figure> {
        let rate = self.limits.tokens?;
        Some(match &self.state.tokens {
            Part::Own(bucket) => bucket.figure(rate, now_ns),
            Part::Leased(lease) => lease.figure(rate),
        })
    }
}
