//! Who was given how much: the accounts that the scheduler's flows go by.
//!
//! A counter per flow, raised by what is computed for it in relation to its weight. Who comes back
//! after a pause starts no lower than those that are there: a pause saves nothing up. (The counters
//! of Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024.)

use std::collections::HashMap;

use crate::{request::Priority, scheduler::Flow};

/// What a row of decoding costs beside a row of prefill: it keeps the weights for itself.
const DECODE_ROWS: u64 = 4;

/// Weight of interactive requests, that of batch work being 1.
const INTERACTIVE: u32 = 8;

/// Counters of all flows that have sequences, and of those that were given more than others.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    served: HashMap<u64, u64>,
}

impl Shares {
    /// The flow of an account's requests at one priority.
    pub(crate) fn flow(&self, account: u64, priority: Priority) -> Flow {
        let (batch, weight) = match priority {
            Priority::Interactive => (0, INTERACTIVE),
            Priority::Batch => (1, 1),
        };
        let id = account << 1 | batch;
        Flow { id, weight, served: self.served.get(&id).copied().unwrap_or_default() }
    }

    /// Takes notice of which flows have sequences now.
    pub(crate) fn update(&mut self, active: &[u64]) {
        let least = active.iter().filter_map(|id| self.served.get(id)).min().copied();
        let Some(least) = least else {
            // All that are here are new, so nobody has anything ahead of anybody.
            self.served = active.iter().map(|&id| (id, 0)).collect();
            return;
        };
        for &id in active {
            let served = self.served.entry(id).or_default();
            *served = least.max(*served);
        }
        self.served.retain(|id, served| *served > least || active.contains(id));
    }

    /// Counts what a step computes for a sequence of `flow`.
    pub(crate) fn charge(&mut self, flow: Flow, rows: u32, decodes: bool) {
        let rows = u64::from(rows) + if decodes { DECODE_ROWS - 1 } else { 0 };
        let cost = rows * u64::from(INTERACTIVE) / u64::from(flow.weight);
        *self.served.entry(flow.id).or_default() += cost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_saves_nothing_up() {
        let mut shares = Shares::default();
        let flow = |shares: &Shares, account| shares.flow(account, Priority::Interactive);
        shares.update(&[flow(&shares, 1).id]);
        shares.charge(flow(&shares, 1), 500, false);
        let newcomer = flow(&shares, 2).id;
        shares.update(&[flow(&shares, 1).id, newcomer]);
        assert_eq!(flow(&shares, 2).served, 500, "a newcomer is not owed the past");
        shares.charge(flow(&shares, 2), 100, false);
        // The second leaves, and comes back with what it was given.
        shares.update(&[flow(&shares, 1).id]);
        shares.update(&[flow(&shares, 1).id, newcomer]);
        assert_eq!(flow(&shares, 2).served, 600, "leaving for a moment forgives nothing");
        shares.update(&[]);
        assert!(shares.served.is_empty(), "nothing is remembered of an engine at rest");
    }

    #[test]
    fn batch_work_costs_as_much_more_as_it_weighs_less() {
        let mut shares = Shares::default();
        let flows = [Priority::Interactive, Priority::Batch].map(|priority| shares.flow(7, priority));
        assert_ne!(flows[0].id, flows[1].id);
        for flow in flows {
            shares.charge(flow, 10, false);
            shares.charge(flow, 1, true);
        }
        let served = [Priority::Interactive, Priority::Batch].map(|priority| shares.flow(7, priority).served);
        assert_eq!(served, [14, 14 * 8]);
    }
}
