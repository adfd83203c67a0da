//! Several levels of limits, taken together: all of them or none.

use super::{
    Figure, Figures, Kind, Level, RELEASE_RETRY_MS, Refused, Scope, Wait,
    level::{LevelTaken, No},
};

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
/// let denied = group.take(500, 2_000_000_000).unwrap_err();
/// assert_eq!(denied.to_string(), "the key's limit of requests per minute is 1; the next fits in 58000 ms");
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

/// Why a group took nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A limit refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No limit refused, but a lease has too little to tell. Trade for it and ask again.
    #[error("the {scope}'s lease of {kind} has less than {units}")]
    Borrow {
        /// Whose limit it is.
        scope: Scope,
        /// Which of its limits.
        kind: Kind,
        /// How much the request needs of it.
        units: u64,
    },
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
    /// Where none refuses, the first lease that has to borrow.
    pub fn take(&mut self, tokens: u64, now_ns: u64) -> Result<Taken, Denied> {
        let (mut longest, mut borrow): (Option<Refused>, Option<Denied>) = (None, None);
        for level in self.levels.iter().flatten() {
            for no in level.refusals(tokens, now_ns) {
                match no {
                    No::Refused(refused) if longest.is_none_or(|longest| rank(refused) > rank(longest)) => {
                        longest = Some(refused);
                    }
                    No::Refused(_) => {}
                    No::Borrow(kind, units) => {
                        borrow.get_or_insert(Denied::Borrow { scope: level.scope, kind, units });
                    }
                }
            }
        }
        if let Some(denied) = longest.map(Denied::Refused).or(borrow) {
            return Err(denied);
        }
        let levels = self.levels.each_mut().map(|level| level.as_mut().map(|level| level.take(tokens, now_ns)));
        Ok(Taken { levels })
    }

    /// Corrects the estimate by the tokens that were used, and gives the permits back.
    ///
    /// A level that was not there when the request was admitted is left alone.
    pub fn settle(&mut self, taken: Taken, used: u64, now_ns: u64) {
        for (level, taken) in self.levels.iter_mut().zip(taken.levels) {
            if let (Some(level), Some(taken)) = (level, taken) {
                level.settle(taken, used, now_ns);
            }
        }
    }

    /// Where the tightest levels stand: for requests and for tokens each its own.
    pub fn figures(&self, now_ns: u64) -> Figures {
        let levels = || self.levels.iter().flatten();
        Figures {
            requests: levels().filter_map(|level| level.requests_figure(now_ns)).reduce(Figure::tighter),
            tokens: levels().filter_map(|level| level.tokens_figure(now_ns)).reduce(Figure::tighter),
        }
    }
}

fn rank(refused: Refused) -> u128 {
    match refused.wait {
        Wait::Ns(ns) => ns.into(),
        Wait::Release => u128::from(RELEASE_RETRY_MS) * 1_000_000,
        Wait::Never => u128::MAX,
    }
}
