//! Three replicas and the row they share, in simulated time.

use std::{cmp::Reverse, collections::BinaryHeap};

use qwenda_ledger::limit::{Gcra, Grant, Lease, LeaseTaken, MINUTE_NS, Rate, Shared, Short, Trade};

use crate::{Admitted, Random};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MS;

/// What may go wrong, and how requests arrive.
#[derive(Clone, Copy)]
pub(crate) struct World {
    pub(crate) rate: Rate,
    /// Units per minute that are asked for at each replica.
    pub(crate) demand: [u64; 3],
    /// The most units one request asks for. Of more than one it turns out to use less.
    pub(crate) units_max: u64,
    /// How long requests run at most.
    pub(crate) length_max_ns: u64,
    /// Of a thousand trades, how many are lost before or after the row sees them.
    pub(crate) lost_permille: u64,
    /// Of a thousand trades, how many take up to ten seconds.
    pub(crate) slow_permille: u64,
    /// Mean time between crashes of some replica; 0 is none.
    pub(crate) crash_every_ns: u64,
    /// Mean time between stalls of some replica, of up to eight seconds; 0 is none.
    pub(crate) stall_every_ns: u64,
    /// How far replicas' clocks are ahead of the database's.
    pub(crate) ahead_ns: [u64; 3],
    /// How much faster (or slower) they run, in thousandths.
    pub(crate) drift_permille: [i64; 3],
    /// The row goes by the clock of whoever asks, not by its database's.
    pub(crate) row_by_replica: bool,
    /// The load moves from replica to replica every so often; 0 is never.
    pub(crate) shift_every_ns: u64,
    /// Nobody asks for anything every other stretch of this length; 0 is never.
    pub(crate) pause_every_ns: u64,
}

impl World {
    /// Nothing goes wrong; clocks differ.
    pub(crate) fn calm(rate: Rate, demand: [u64; 3]) -> Self {
        Self {
            rate,
            demand,
            units_max: 1,
            length_max_ns: 1,
            lost_permille: 0,
            slow_permille: 0,
            crash_every_ns: 0,
            stall_every_ns: 0,
            ahead_ns: [0, 7 * SECOND, 3600 * SECOND],
            drift_permille: [0, 1, -1],
            row_by_replica: false,
            shift_every_ns: 0,
            pause_every_ns: 0,
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive(usize),
    Tick(usize),
    Apply(usize),
    Receive(usize),
    Settle(usize),
    Crash,
    Stall,
}

/// A trade on its way, and the request that waits for it.
struct Sent {
    trade: Trade,
    replica: usize,
    life: u64,
    units: Option<u64>,
    lost: bool,
    grant: Option<Grant>,
}

/// An admitted request.
struct Open {
    replica: usize,
    life: u64,
    admitted: usize,
    taken: Option<LeaseTaken>,
}

pub(crate) struct Sim {
    pub(crate) world: World,
    pub(crate) admitted: Admitted,
    /// What one process would have admitted of the same requests (of one unit).
    pub(crate) alone: u64,
    pub(crate) arrived: u64,
    pub(crate) trades: u64,
    random: Random,
    now_ns: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    row: Shared,
    leases: [Lease; 3],
    lives: [u64; 3],
    stalled_until_ns: [u64; 3],
    sent: Vec<Sent>,
    open: Vec<Open>,
    alone_state: Gcra,
}

impl Sim {
    pub(crate) fn new(world: World, random: Random) -> Self {
        let (admitted, alone, arrived, trades, events, row, leases, lives) = Default::default();
        let stalled_until_ns = [0; 3];
        let (sent, open, alone_state, now_ns) = (Vec::new(), Vec::new(), Gcra::default(), 10 * MINUTE_NS);
        let mut sim = Self {
            world,
            admitted,
            alone,
            arrived,
            trades,
            random,
            now_ns,
            events,
            row,
            leases,
            lives,
            stalled_until_ns,
            sent,
            open,
            alone_state,
        };
        for replica in 0..3 {
            sim.after(0, Event::Arrive(replica));
            sim.after(0, Event::Tick(replica));
        }
        for (every_ns, event) in [(world.crash_every_ns, Event::Crash), (world.stall_every_ns, Event::Stall)] {
            if every_ns > 0 {
                sim.after(every_ns, event);
            }
        }
        sim
    }

    /// Goes on for so long.
    pub(crate) fn run(&mut self, ns: u64) {
        let end_ns = self.now_ns + ns;
        while self.events.peek().is_some_and(|Reverse((at_ns, ..))| *at_ns <= end_ns) {
            let Reverse((at_ns, _, event)) = self.events.pop().expect("just seen");
            self.now_ns = at_ns;
            self.happen(event);
        }
        self.now_ns = end_ns;
    }

    fn after(&mut self, ns: u64, event: Event) {
        let order = self.random.next();
        self.events.push(Reverse((self.now_ns + ns, order, event)));
    }

    fn clock(&self, replica: usize) -> u64 {
        let ran_ns = i128::from(self.now_ns) * i128::from(1000 + self.world.drift_permille[replica]) / 1000;
        u64::try_from(ran_ns).expect("clocks run forwards") + self.world.ahead_ns[replica]
    }

    fn happen(&mut self, event: Event) {
        let replica = match event {
            Event::Arrive(replica) | Event::Tick(replica) => replica,
            Event::Receive(at) => self.sent[at].replica,
            _ => return self.go_on(event),
        };
        // Who stalls does what is due when it wakes up.
        match self.stalled_until_ns[replica].checked_sub(self.now_ns) {
            Some(ns) if ns > 0 => self.after(ns, event),
            _ => self.go_on(event),
        }
    }

    fn go_on(&mut self, event: Event) {
        match event {
            Event::Arrive(replica) => self.arrive(replica),
            Event::Tick(replica) => {
                self.after(50 * MS, Event::Tick(replica));
                let now_ns = self.clock(replica);
                if let Some(trade) = self.leases[replica].tick(self.world.rate, now_ns) {
                    self.send(replica, trade, None);
                }
            }
            Event::Apply(at) => {
                let now_ns = if self.world.row_by_replica { self.clock(self.sent[at].replica) } else { self.now_ns };
                self.sent[at].grant = Some(self.row.trade(self.world.rate, &self.sent[at].trade, now_ns));
            }
            Event::Receive(at) => self.receive(at),
            Event::Settle(at) => {
                let Open { replica, life, admitted, ref mut taken } = self.open[at];
                if life == self.lives[replica] {
                    self.leases[replica].settle(taken.take().expect("settled once"), self.admitted.0[admitted].1);
                }
            }
            Event::Crash => {
                let replica = self.random.below(3) as usize;
                self.leases[replica] = Lease::default();
                self.lives[replica] += 1;
                let next_ns = self.random.below(2 * self.world.crash_every_ns);
                self.after(next_ns, Event::Crash);
            }
            Event::Stall => {
                let replica = self.random.below(3) as usize;
                self.stalled_until_ns[replica] = self.now_ns + self.random.below(8 * SECOND);
                let next_ns = self.random.below(2 * self.world.stall_every_ns);
                self.after(next_ns, Event::Stall);
            }
        }
    }

    fn arrive(&mut self, replica: usize) {
        let turn = self.now_ns.checked_div(self.world.shift_every_ns).unwrap_or(0);
        let demand = self.world.demand[(replica + turn as usize) % 3];
        let paused = self.now_ns.checked_div(self.world.pause_every_ns).is_some_and(|stretch| stretch % 2 == 1);
        if demand == 0 || paused {
            let wait_ns = self.random.below(SECOND);
            return self.after(wait_ns, Event::Arrive(replica));
        }
        let units = 1 + self.random.below(self.world.units_max);
        let gap_ns = self.random.below(2 * MINUTE_NS * self.world.units_max.div_ceil(2) / demand);
        self.after(gap_ns, Event::Arrive(replica));
        self.arrived += 1;
        self.alone += u64::from(self.alone_state.take(self.world.rate, self.now_ns).is_ok());
        self.admit(replica, units, true);
    }

    fn admit(&mut self, replica: usize, units: u64, may_borrow: bool) {
        let now_ns = self.clock(replica);
        match self.leases[replica].take(self.world.rate, units, now_ns) {
            Ok(taken) => {
                let used = if units == 1 { 1 } else { self.random.below(units + 1) };
                let length_ns = self.random.below(self.world.length_max_ns);
                self.after(length_ns, Event::Settle(self.open.len()));
                let (life, admitted) = (self.lives[replica], self.admitted.0.len());
                self.open.push(Open { replica, life, admitted, taken: Some(taken) });
                self.admitted.push(self.now_ns, used);
            }
            Err(Short::Borrow) if may_borrow => {
                if let Some(trade) = self.leases[replica].trade(self.world.rate, units, now_ns) {
                    self.send(replica, trade, Some(units));
                }
            }
            Err(_) => {}
        }
    }

    fn send(&mut self, replica: usize, trade: Trade, units: Option<u64>) {
        let at = self.sent.len();
        let lost = self.random.below(1000) < self.world.lost_permille;
        let slow = self.random.below(1000) < self.world.slow_permille;
        let (there_ns, back_ns) = match slow {
            true => (self.random.below(5 * SECOND), self.random.below(5 * SECOND)),
            false => (MS + self.random.below(4 * MS), MS),
        };
        if !lost || self.random.below(2) == 0 {
            self.after(there_ns, Event::Apply(at));
        }
        // Of a lost one the replica gives up waiting, maybe before the row has seen it.
        let answer_ns = if lost { self.random.below(2 * SECOND) } else { there_ns + back_ns };
        self.after(answer_ns, Event::Receive(at));
        self.trades += 1;
        self.sent.push(Sent { trade, replica, life: self.lives[replica], units, lost, grant: None });
    }

    fn receive(&mut self, at: usize) {
        let Sent { ref trade, replica, life, units, lost, ref grant } = self.sent[at];
        if life != self.lives[replica] {
            return;
        }
        let now_ns = self.clock(replica);
        match grant {
            Some(grant) if !lost => self.leases[replica].receive(self.world.rate, trade, grant, now_ns),
            _ => return self.leases[replica].lost(trade),
        }
        if let Some(units) = units {
            self.admit(replica, units, false);
        }
    }
}
