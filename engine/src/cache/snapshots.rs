//! Copies of states as they were at the ends of some kept pages.
//!
//! A page of keys and values is of use to a sequence with a state only together with the state
//! after it. States are large, so there are few copies, and the one not used for longest goes.

use std::collections::HashMap;

/// Copies by the page that they stand behind.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// Most copies.
    max: usize,
    copies: HashMap<u32, Snapshot>,
    now: u64,
}

#[derive(Debug)]
struct Snapshot {
    state: Box<[f32]>,
    used: u64,
}

impl Snapshots {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    pub(crate) fn has(&self, page: u32) -> bool {
        self.copies.contains_key(&page)
    }

    /// The state behind a page, if there is a copy.
    pub(crate) fn get(&mut self, page: u32) -> Option<&[f32]> {
        self.now += 1;
        let copy = self.copies.get_mut(&page)?;
        copy.used = self.now;
        Some(&copy.state)
    }

    /// Keeps a copy of the state behind a page.
    pub(crate) fn put(&mut self, page: u32, state: Box<[f32]>) {
        if self.max == 0 {
            return;
        }
        if self.copies.len() >= self.max && !self.has(page) {
            let oldest = self.copies.iter().min_by_key(|(_, copy)| copy.used).map(|(&page, _)| page);
            self.forget(oldest.expect("there are some"));
        }
        self.now += 1;
        self.copies.insert(page, Snapshot { state, used: self.now });
    }

    /// The page stores something else from now on.
    pub(crate) fn forget(&mut self, page: u32) {
        self.copies.remove(&page);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.copies.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_not_used_for_longest_goes() {
        let mut snapshots = Snapshots::new(2);
        let state = |value: f32| vec![value].into_boxed_slice();
        snapshots.put(7, state(0.7));
        snapshots.put(8, state(0.8));
        assert_eq!(snapshots.get(7), Some([0.7].as_slice()));
        snapshots.put(9, state(0.9));
        assert_eq!((snapshots.len(), snapshots.has(7), snapshots.has(8), snapshots.has(9)), (2, true, false, true));
        snapshots.put(9, state(1.9));
        assert_eq!(snapshots.get(9), Some([1.9].as_slice()));
        snapshots.forget(9);
        assert_eq!((snapshots.len(), snapshots.has(9), snapshots.get(8)), (1, false, None));
        let mut none = Snapshots::new(0);
        none.put(1, state(1.0));
        assert!(!none.has(1));
    }
}
