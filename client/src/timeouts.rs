//! How long a call may take.

use std::time::Duration;

/// The limits of one call. `None` is no limit.
///
/// # Example
/// ```
/// use std::time::Duration;
/// let limits = qwenda::Timeouts { idle: Some(Duration::from_secs(30)), ..qwenda::Timeouts::default() };
/// assert!(limits.total.is_some());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands; 10 s. It is set once for the client; single calls cannot change it.
    pub connect: Option<Duration>,
    /// From sending a request until its answer begins; 300 s. Who computes on a CPU reads long prompts slowly.
    pub first_byte: Option<Duration>,
    /// Between two pieces of an answer that has begun; 120 s. Keep-alives are pieces.
    pub idle: Option<Duration>,
    /// For the call with all its attempts and pauses; an hour. It also ends answers that only drip.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        Self { connect: seconds(10), first_byte: seconds(300), idle: seconds(120), total: seconds(3600) }
    }
}
