//! A replica's part of a limit that several share: a block borrowed from the [`super::Shared`] row.

use super::{Figure, Grant, LEASE_NS, Rate, Trade, Wait};

const SECOND_NS: u64 = 1_000_000_000;
const OUT_OF_ORDER_NS: u64 = SECOND_NS / 4;

/// What a replica has of a shared limit. The replica's own clock is enough for it, and should be one that
/// nobody sets. Times that come a little out of order count as the latest; where the clock goes back by
/// more than a quarter of a second the block is lost, so that it cannot outlive its time.
///
/// One trade runs at a time. It is made by [`Lease::trade`] when a request needs more than is left or by
/// [`Lease::tick`] on a timer, applied to the row by `Shared::trade`, and ends with [`Lease::receive`] or,
/// when its outcome is unknown, [`Lease::lost`].
///
/// # Example
/// ```
/// use qwenda_ledger::limit::{Lease, Rate, Shared, Short};
/// let (mut row, mut lease, rate) = (Shared::default(), Lease::default(), Rate::minute(600));
/// assert_eq!(lease.take(rate, 1, 0), Err(Short::Borrow));
/// let trade = lease.trade(rate, 1, 0).unwrap();
/// let grant = row.trade(rate, &trade, 1_700_000_000_000_000_000);
/// lease.receive(rate, &trade, &grant, 5_000_000);
/// assert!(lease.take(rate, 1, 5_000_000).is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lease {
    // The block, as the row knows it.
    epoch: u64,
    stamp: u64,
    lent: u64,
    // What became of it here.
    used: u64,
    left: u64,
    used_ns: u64,
    debt: u64,
    unused: u64,
    unused_stamp: u64,
    expires_ns: u64,
    // How much to borrow next.
    block: u64,
    traded_ns: u64,
    seen_ns: u64,
    trading: bool,
    // What the row had at the last trade, and for what it had not enough, until when.
    room: u64,
    refused: u64,
    refused_until_ns: u64,
    closed_until_ns: u64,
}

/// Why a lease does not admit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// It has too little: a trade may help.
    Borrow,
    /// The row had too little a moment ago, or what is asked for never fits.
    Wait(Wait),
}

/// Units that were taken from a lease on an estimate. Settled once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what was taken is settled when its use is known"]
pub struct LeaseTaken {
    estimate: u64,
    stamp: u64,
}

impl Lease {
    /// Whether the block has so many units.
    ///
    /// # Errors
    /// [`Short`]: what to do about it.
    pub fn check(&self, rate: Rate, units: u64, now_ns: u64) -> Result<(), Short> {
        if units > rate.per_minute {
            return Err(Short::Wait(Wait::Never));
        }
        if units <= self.left && self.is_alive(now_ns) {
            return Ok(());
        }
        if now_ns >= self.closed_until_ns {
            return Err(Short::Borrow);
        }
        let until_ns = if units >= self.refused { self.refused_until_ns } else { 0 };
        Err(Short::Wait(Wait::Ns(until_ns.max(self.closed_until_ns) - now_ns)))
    }

    /// Takes so many units from the block, or nothing.
    ///
    /// # Errors
    /// As [`Lease::check`].
    pub fn take(&mut self, rate: Rate, units: u64, now_ns: u64) -> Result<LeaseTaken, Short> {
        let now_ns = self.see(now_ns);
        self.check(rate, units, now_ns)?;
        self.left -= units;
        self.used = self.used.saturating_add(units);
        self.used_ns = now_ns;
        // What lay unused when the block was lent was not these.
        Ok(LeaseTaken { estimate: units, stamp: self.stamp.wrapping_add(units) })
    }

    /// Corrects an estimate by what was used. The row learns of it with the next trade.
    pub fn settle(&mut self, taken: LeaseTaken, used: u64) {
        if used >= taken.estimate {
            self.debt = self.debt.saturating_add(used - taken.estimate);
            return;
        }
        // All that is given back counts from the oldest estimate on.
        let age = |stamp: u64| self.stamp.wrapping_sub(stamp).cast_signed();
        if self.unused == 0 || age(taken.stamp) > age(self.unused_stamp) {
            self.unused_stamp = taken.stamp;
        }
        self.unused = self.unused.saturating_add(taken.estimate - used);
    }

    /// The trade for a request that needs so many units. `None` while another trade runs: wait for it.
    pub fn trade(&mut self, rate: Rate, need: u64, now_ns: u64) -> Option<Trade> {
        let now_ns = self.see(now_ns);
        if self.trading {
            return None;
        }
        self.size_block(rate, now_ns);
        let need = need.saturating_sub(self.left);
        Some(self.report(need, self.block, now_ns))
    }

    /// The trade that is due on a timer, if one is: reports what was used, gives back what is more than
    /// is used in about a second, and borrows up to that. Called some times a second.
    pub fn tick(&mut self, rate: Rate, now_ns: u64) -> Option<Trade> {
        let now_ns = self.see(now_ns);
        let idle = self.used == 0;
        let nothing = idle && self.lent == 0 && self.debt == 0 && self.unused == 0;
        if self.trading || nothing || now_ns - self.traded_ns < span_ns(rate) {
            return None;
        }
        self.size_block(rate, now_ns);
        let kept = if idle { 0 } else { self.left.min(self.block) };
        self.left = kept;
        let extra = if idle { 0 } else { self.block - kept };
        Some(self.report(0, extra, now_ns))
    }

    /// Ends a trade with the row's answer.
    pub fn receive(&mut self, rate: Rate, trade: &Trade, grant: &Grant, now_ns: u64) {
        let now_ns = self.see(now_ns);
        self.trading = false;
        self.epoch = grant.epoch;
        self.stamp = grant.stamp;
        self.lent = trade.kept.saturating_add(grant.lent);
        self.left = self.left.saturating_add(grant.lent);
        // Where the clock went back meanwhile, nobody knows how old this is.
        let knows_age = trade.asked_ns <= now_ns;
        self.expires_ns = if knows_age { trade.asked_ns.saturating_add(LEASE_NS) } else { 0 };
        self.room = grant.room;
        self.refused = trade.need.saturating_add(trade.kept);
        self.refused_until_ns = match grant.refused {
            Some(Wait::Ns(wait_ns)) => now_ns.saturating_add(wait_ns),
            _ => 0,
        };
        // A row that is nearly empty is not asked again for each request: what flows back gathers there.
        let scarce = grant.lent.saturating_add(grant.room) < trade.need.saturating_add(trade.extra / 4);
        let gather_ns = span_ns(rate).min(SECOND_NS / 4) / 2;
        let closed_ns = match grant.refused {
            // Where less than one flows back meanwhile, the next may come at its very time.
            Some(Wait::Ns(wait_ns)) if rate.units_in(gather_ns) == 0 => wait_ns.min(gather_ns),
            _ if scarce => gather_ns,
            _ => 0,
        };
        self.closed_until_ns = now_ns.saturating_add(closed_ns);
    }

    /// Ends a trade of which nobody knows whether the row saw it. The block is given up.
    pub fn lost(&mut self, trade: &Trade) {
        self.trading = false;
        (self.lent, self.used, self.left) = (0, 0, 0);
        self.debt = self.debt.saturating_add(trade.debt);
    }

    /// Units left here.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Where the limit stands: what is left here and what the row had at the last trade.
    pub fn figure(&self, rate: Rate) -> Figure {
        let remaining = self.left.saturating_add(self.room).min(rate.burst());
        let reset_ns = rate.cost_ns(rate.burst() - remaining).unwrap_or(0);
        Figure { limit: rate.per_minute, remaining, reset_ms: reset_ns.div_ceil(1_000_000) }
    }

    fn is_alive(&self, now_ns: u64) -> bool {
        now_ns.max(self.seen_ns) < self.expires_ns && !self.went_back(now_ns)
    }

    fn went_back(&self, now_ns: u64) -> bool {
        self.seen_ns.saturating_sub(now_ns) > OUT_OF_ORDER_NS
    }

    // The time to go by. Gives up the block when its time is over.
    fn see(&mut self, now_ns: u64) -> u64 {
        if !self.is_alive(now_ns) {
            self.left = 0;
        }
        if self.went_back(now_ns) {
            (self.closed_until_ns, self.traded_ns) = (0, now_ns);
            (self.seen_ns, self.used_ns) = (now_ns, now_ns);
        }
        self.seen_ns = self.seen_ns.max(now_ns);
        self.seen_ns
    }

    fn report(&mut self, need: u64, extra: u64, now_ns: u64) -> Trade {
        let trade = Trade {
            epoch: self.epoch,
            lent: self.lent,
            used: self.used,
            // As little as it can have been, should this clock run fast.
            quiet_ns: (now_ns - self.used_ns) / 16 * 15,
            kept: self.left,
            debt: self.debt,
            unused: self.unused,
            unused_stamp: self.unused_stamp,
            need,
            extra,
            asked_ns: now_ns,
        };
        (self.trading, self.traded_ns, self.lent) = (true, now_ns, self.left);
        (self.used, self.debt, self.unused) = (0, 0, 0);
        trade
    }

    // As much as was used of late in one span. It grows fourfold at most and shrinks by halves.
    fn size_block(&mut self, rate: Rate, now_ns: u64) {
        let span_ns = span_ns(rate);
        let passed_ns = (now_ns - self.traded_ns).clamp(span_ns / 8, u64::MAX);
        let in_span = u128::from(self.used) * u128::from(span_ns) / u128::from(passed_ns.max(1));
        let in_span = u64::try_from(in_span).unwrap_or(u64::MAX);
        self.block = match in_span.checked_sub(self.block) {
            Some(_) => in_span.min(self.block.saturating_mul(4).saturating_add(1)),
            None => self.block - (self.block - in_span).div_ceil(2),
        };
        self.block = self.block.min(rate.burst() / 8);
    }
}

// For how long a replica borrows: a second, or less where little may come at once, because what is lent
// and not reported as used does not flow back.
fn span_ns(rate: Rate) -> u64 {
    (rate.cost_ns(rate.burst()).unwrap_or(SECOND_NS) / 4).min(SECOND_NS)
}
