//! Concurrency: permits that are taken and given back.

use super::Wait;

/// How many requests run now.
///
/// # Example
/// ```
/// use qwenda_ledger::limit::{Permits, Wait};
/// let mut state = Permits::default();
/// assert_eq!(state.take(1), Ok(()));
/// assert_eq!(state.take(1), Err(Wait::Release));
/// state.give_back();
/// assert_eq!(state.take(1), Ok(()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permits {
    taken: u32,
}

impl Permits {
    /// Whether one more may run beside those that do.
    ///
    /// # Errors
    /// [`Wait::Release`] when `max` run; [`Wait::Never`] when `max` is 0.
    pub fn check(self, max: u32) -> Result<(), Wait> {
        match max {
            0 => Err(Wait::Never),
            _ if self.taken >= max => Err(Wait::Release),
            _ => Ok(()),
        }
    }

    /// Takes a permit, or changes nothing.
    ///
    /// # Errors
    /// As [`Permits::check`].
    pub fn take(&mut self, max: u32) -> Result<(), Wait> {
        self.check(max)?;
        self.taken = self.taken.saturating_add(1);
        Ok(())
    }

    /// Gives one permit back. Where none is taken none is missing: nothing changes.
    pub fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// How many are taken.
    pub fn taken(self) -> u32 {
        self.taken
    }
}
