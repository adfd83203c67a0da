//! One sequence's place in its grammar.

use llguidance::{Matcher, toktrie::SimpleVob};

/// The grammar cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It has grown beyond the limits.
    TooComplex(String),
    /// There is a bug.
    Bug(String),
}

/// Which tokens may come next: a bit for each.
#[derive(Debug)]
pub(crate) struct Mask(SimpleVob);

/// Where one completion is in its grammar.
pub(crate) struct State(Matcher);

impl State {
    pub(super) fn new(matcher: Matcher) -> Self {
        Self(matcher)
    }

    /// Tokens that follow whatever the model thinks, so that it need not be asked.
    pub(crate) fn forced(&mut self) -> Result<Vec<u32>, Broken> {
        let ids = self.0.compute_ff_tokens();
        match self.0.get_error() {
            None => Ok(ids),
            Some(why) => Err(broken(&why)),
        }
    }

    /// Which tokens may come next; tokens that end the answer only where the grammar accepts.
    pub(crate) fn mask(&mut self) -> Result<Mask, Broken> {
        self.0.compute_mask().map(Mask).map_err(|error| broken(&error.to_string()))
    }

    /// Whether this token may come next.
    pub(crate) fn allows(&mut self, id: u32) -> bool {
        self.0.compute_mask().is_ok_and(|mask| mask.is_allowed(id))
    }

    /// Takes the next token; true if nothing can follow it.
    pub(crate) fn accept(&mut self, id: u32) -> Result<bool, Broken> {
        self.0.consume_token(id).map_err(|error| broken(&error.to_string()))?;
        Ok(self.0.is_stopped())
    }
}

impl Mask {
    /// Allows one token more.
    pub(crate) fn allow(&mut self, id: u32) {
        self.0.allow_token(id);
    }

    /// Forbids one token.
    pub(crate) fn forbid(&mut self, id: u32) {
        self.0.disallow_token(id);
    }

    /// Sets the logits of all other tokens to minus infinity.
    pub(crate) fn apply(&self, logits: &mut [f32]) {
        for (logits, &bits) in logits.chunks_mut(32).zip(self.0.as_slice()) {
            if bits == u32::MAX {
                continue;
            }
            if bits == 0 {
                logits.fill(f32::NEG_INFINITY);
                continue;
            }
            for (at, logit) in logits.iter_mut().enumerate() {
                if bits >> at & 1 == 0 {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
    }
}

/// The first line; a backtrace may follow it.
fn broken(why: &str) -> Broken {
    let first = why.lines().next().unwrap_or_default().to_owned();
    // So the library names what stops its parts for being too complex.
    let limited = ["lexer error: ", "parser error: "].iter().any(|part| first.starts_with(part));
    if limited { Broken::TooComplex(first) } else { Broken::Bug(first) }
}
