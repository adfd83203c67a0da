//! A limit that several replicas share, as one small row of a database.
//!
//! Replicas do not ask the row for each request. They borrow blocks of units (requests or tokens), about
//! a second's use, and give back what they did not use ([`super::Lease`]). Three rules keep the limit:
//!
//! 1. What is lent counts as taken.
//! 2. What is lent stays owed until it was reported as used or given back: time gives back only what
//!    was used. So what is free here and what lies unused in all replicas together never exceed the
//!    burst, and over any window at most `burst + rate × length` is admitted, by all replicas together.
//! 3. A block that is never heard of again expires: at the replica [`LEASE_NS`] after it was asked for,
//!    here no earlier than [`EPOCH_NS`] after it was lent. A crash costs the block, for so long.

use super::{MINUTE_NS, Rate, Wait};

/// How long a replica may use what it borrowed, from the time it asked for it, on its own clock.
pub const LEASE_NS: u64 = 3_000_000_000;
/// How long the row counts what it lent at least, on its clock. Replicas' clocks may run slower or faster
/// by a sixteenth.
pub const EPOCH_NS: u64 = 4_000_000_000;

/// The row: what of a shared limit was taken, and what of it is lent out.
///
/// All replicas hand it the time of one clock, that of its database. Where each hands in its own, what
/// flows back while their clocks differ is admitted too: once, `rate × (fastest - slowest)`.
///
/// # Units
/// Nanoseconds on the database's clock; units of the limit. All fields fit a 64-bit integer column as
/// long as the clock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shared {
    /// When all that was taken will have flowed back, in nanoseconds.
    pub free_ns: u64,
    /// The latest time it was handed, in nanoseconds. A clock that goes back stands still.
    pub at_ns: u64,
    /// Units lent in the stretch of [`EPOCH_NS`] of that time, and in the one before it.
    pub lent: [u64; 2],
    /// Units ever lent. Wraps.
    pub taken: u64,
}

/// What a replica reports and asks for, in one write to the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// The stretch in which its block was lent, as [`Grant::epoch`] said.
    pub epoch: u64,
    /// Units of that block.
    pub lent: u64,
    /// How many of them were used.
    pub used: u64,
    /// For how long it has used none, in nanoseconds.
    pub quiet_ns: u64,
    /// How many it keeps. The others it gives back.
    pub kept: u64,
    /// Units used beyond all it had: estimates that were too low.
    pub debt: u64,
    /// Units reported as used before that were not: estimates that were too high.
    pub unused: u64,
    /// Since when, as [`Grant::stamp`] said for the oldest of those.
    pub unused_stamp: u64,
    /// Units it needs now, or nothing.
    pub need: u64,
    /// Units it would like to have beside them.
    pub extra: u64,
    /// When it asked, on its own clock.
    pub asked_ns: u64,
}

/// What the row answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The stretch in which this was lent.
    pub epoch: u64,
    /// Marks the time of this answer among all that is ever lent.
    pub stamp: u64,
    /// Units lent: what was needed and some or all of what was wished; nothing when `refused` says so.
    pub lent: u64,
    /// When what was needed would fit, if it does not now.
    pub refused: Option<Wait>,
    /// Units that are still free.
    pub room: u64,
}

impl Shared {
    /// Settles a replica's block and lends it what it asks for, as far as the limit has it.
    ///
    /// A trade is applied once. One whose outcome is unknown is not sent again: what it was about expires.
    pub fn trade(&mut self, rate: Rate, trade: &Trade, now_ns: u64) -> Grant {
        let late_ns = self.at_ns.saturating_sub(now_ns);
        let now_ns = self.roll(rate, now_ns);
        self.stay_owed(rate, now_ns.saturating_sub(trade.quiet_ns));
        self.take_back(rate, trade);
        self.correct(rate, trade, now_ns);

        let room = self.room(rate, now_ns);
        let refused = self.refusal(rate, trade.need, room, now_ns).map(|wait| match wait {
            Wait::Ns(ns) => Wait::Ns(ns.saturating_add(late_ns)),
            wait => wait,
        });
        let lent = match refused {
            // Others may want some too, and the less there is the smaller the blocks.
            None => trade.need + trade.extra.min(room.saturating_sub(trade.need) / 2),
            Some(_) => 0,
        };
        self.free_ns = self.free_ns.saturating_add(rate.cost_ns(lent).unwrap_or(0));
        self.lent[0] = self.lent[0].saturating_add(lent);
        self.taken = self.taken.wrapping_add(lent);
        let stamp = self.taken.wrapping_sub(self.lent_out());
        Grant { epoch: now_ns / EPOCH_NS, stamp, lent, refused, room: room.saturating_sub(lent) }
    }

    /// Units that are free now, beside what is lent.
    pub fn room(&self, rate: Rate, now_ns: u64) -> u64 {
        let now_ns = now_ns.max(self.at_ns);
        let all_ns = rate.cost_ns(rate.burst()).unwrap_or(0);
        let free_ns = all_ns.saturating_sub(self.free_ns.saturating_sub(now_ns));
        rate.units_in(free_ns).min(rate.burst())
    }

    fn lent_out(&self) -> u64 {
        self.lent[0].saturating_add(self.lent[1])
    }

    // The time to go by. What was lent two stretches ago has expired at whoever had it. It may have been
    // used until the stretch after that ended, and is owed as of then.
    fn roll(&mut self, rate: Rate, now_ns: u64) -> u64 {
        let now_ns = now_ns.max(self.at_ns);
        for epoch in (self.at_ns / EPOCH_NS..now_ns / EPOCH_NS).take(2) {
            if self.lent[1] > 0 {
                self.stay_owed(rate, (epoch + 1) * EPOCH_NS);
            }
            self.lent = [0, self.lent[0]];
        }
        self.at_ns = now_ns;
        now_ns
    }

    // What is lent now was all lent at any time since it was used, and is owed as of then.
    fn stay_owed(&mut self, rate: Rate, now_ns: u64) {
        let lent_ns = rate.cost_ns(self.lent_out()).unwrap_or(u64::MAX);
        self.free_ns = self.free_ns.max(now_ns.saturating_add(lent_ns));
    }

    // What a replica keeps is from now on lent in this stretch.
    fn take_back(&mut self, rate: Rate, trade: &Trade) {
        let back = trade.lent.saturating_sub(trade.used).saturating_sub(trade.kept);
        let age = (self.at_ns / EPOCH_NS).saturating_sub(trade.epoch);
        if let Some(lent) = usize::try_from(age).ok().and_then(|age| self.lent.get_mut(age)) {
            let back = back.min(*lent);
            *lent = lent.saturating_sub(trade.lent);
            self.free_ns = self.free_ns.saturating_sub(at_most_ns(rate, back));
        }
        self.lent[0] = self.lent[0].saturating_add(trade.kept);
    }

    // As with one replica (`Tokens`): all that was lent since the estimate, or was unused in some replica
    // then, stays owed.
    fn correct(&mut self, rate: Rate, trade: &Trade, now_ns: u64) {
        self.free_ns = self.free_ns.saturating_add(rate.cost_ns(trade.debt).unwrap_or(0));
        let since_ns = rate.cost_ns(self.taken.wrapping_sub(trade.unused_stamp)).unwrap_or(u64::MAX);
        let owed_ns = self.free_ns.saturating_sub(now_ns);
        self.free_ns -= at_most_ns(rate, trade.unused).min(owed_ns.saturating_sub(since_ns));
        self.stay_owed(rate, now_ns);
    }

    fn refusal(&self, rate: Rate, need: u64, room: u64, now_ns: u64) -> Option<Wait> {
        let burst = rate.burst();
        if need > rate.per_minute || (need > 0 && rate.refill() == 0) {
            return Some(Wait::Never);
        }
        // More than the burst never fits: it is let through when half the burst is free, and owed after.
        let fits = if need > burst { burst.div_ceil(2) } else { need };
        if room >= fits {
            return None;
        }
        let (all_ns, fits_ns) = (rate.cost_ns(burst).unwrap_or(0), rate.cost_ns(fits).unwrap_or(u64::MAX));
        let over_ns = self.free_ns.saturating_sub(now_ns).saturating_add(fits_ns).saturating_sub(all_ns);
        Some(Wait::Ns(over_ns))
    }
}

// What so many units are worth, rounded down: nothing is gained by giving back in pieces.
fn at_most_ns(rate: Rate, units: u64) -> u64 {
    let ns = (u128::from(units) * u128::from(MINUTE_NS)).checked_div(u128::from(rate.refill()));
    ns.map_or(0, |ns| u64::try_from(ns).unwrap_or(u64::MAX))
}
