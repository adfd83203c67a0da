//! Who holds which part of the KV store, and which parts of it can be used again.
//!
//! Whole pages of what was computed are kept after their sequences, found again by their exact
//! tokens within a scope, and given up, the longest unused first, when pages are needed.

mod pages;
mod prefixes;
mod snapshots;

use pages::Pages;
use prefixes::{Parent, Prefixes};
use snapshots::Snapshots;

/// The pages of one KV store.
#[derive(Debug)]
pub(crate) struct Cache {
    page_tokens: usize,
    pages: Pages,
    prefixes: Prefixes,
    /// Slots for states that nobody holds, where sequences have states.
    slots: Vec<u32>,
    snapshots: Snapshots,
}

/// What one sequence holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Its pages, in the order of positions.
    pages: Vec<u32>,
    /// How many of them are kept, from the first on.
    kept: usize,
    /// Where its state is, if it has one.
    slot: Option<u32>,
    /// Tokens of its text up to which pages were found without the state to go on from there: the
    /// next who has this much of the text should find one.
    parted: usize,
}

impl Held {
    /// Pages in the order of positions.
    pub(crate) fn pages(&self) -> &[u32] {
        &self.pages
    }

    /// Where its state is, if it has one.
    pub(crate) fn slot(&self) -> Option<u32> {
        self.slot
    }

    /// Tokens that others have in common with it, but whose state nobody kept.
    pub(crate) fn parted(&self) -> usize {
        self.parted
    }
}

impl Cache {
    /// All of `total` pages free, each for `page_tokens` tokens.
    pub(crate) fn new(total: u32, page_tokens: usize) -> Self {
        Self {
            page_tokens,
            pages: Pages::new(total),
            prefixes: Prefixes::default(),
            slots: Vec::new(),
            snapshots: Snapshots::default(),
        }
    }

    /// The same with `slots` slots for states, of which at most `snapshots` copies are kept.
    pub(crate) fn with_slots(self, slots: usize, snapshots: usize) -> Self {
        let snapshots = Snapshots::new(snapshots);
        let slots = (0..u32::try_from(slots).expect("slots are numbered with 32 bits")).rev().collect();
        Self { slots, snapshots, ..self }
    }

    /// Takes a slot for a sequence's state. False if there is none.
    pub(crate) fn take_slot(&mut self, held: &mut Held) -> bool {
        held.slot = held.slot.or_else(|| self.slots.pop());
        held.slot.is_some()
    }

    /// Pages that exist.
    pub(crate) fn total(&self) -> usize {
        self.pages.total()
    }

    /// Pages that can be taken: those that are free, and those that are only kept.
    pub(crate) fn available(&self) -> usize {
        self.pages.free() + self.prefixes.idle()
    }

    /// Pages that nobody holds and that are kept.
    pub(crate) fn idle(&self) -> usize {
        self.prefixes.idle()
    }

    /// How many sequences hold each page.
    pub(crate) fn holders(&self) -> &[u32] {
        self.pages.holders()
    }

    /// Whether nothing in the page will be read.
    pub(crate) fn is_free(&self, page: u32) -> bool {
        self.pages.is_free(page)
    }

    /// Takes pages until `held` has room for `tokens` tokens. False if there are not enough.
    pub(crate) fn reserve(&mut self, held: &mut Held, tokens: usize) -> bool {
        while held.pages.len() * self.page_tokens < tokens {
            let taken = self.pages.take().or_else(|| {
                let page = self.prefixes.evict()?;
                self.pages.forget(page);
                self.snapshots.forget(page);
                self.pages.take()
            });
            match taken {
                Some(page) => held.pages.push(page),
                None => return false,
            }
        }
        true
    }

    /// Adds kept pages of a text whose first `done` tokens `held` stores, as far as there are any;
    /// returns how many tokens it stores then. The last token is never among them: what follows it
    /// has yet to be computed. Where there is a state, pages are added up to the last behind which it
    /// was kept, and [`Self::state`] is what to go on from.
    pub(crate) fn adopt(&mut self, scope: u64, tokens: &[u32], held: &mut Held, done: usize) -> usize {
        if held.kept != held.pages.len() || held.pages.len() * self.page_tokens != done {
            return done; // In the middle of a page.
        }
        let mut found = Vec::new();
        let mut parent = held.parent(scope, held.kept);
        for chunk in tokens[done..tokens.len().max(done + 1) - 1].chunks_exact(self.page_tokens) {
            let Some(page) = self.prefixes.find(parent, chunk) else { break };
            parent = Parent::Page(page);
            found.push(page);
        }
        if held.slot.is_some() {
            let usable = found.iter().rposition(|&page| self.snapshots.has(page)).map_or(0, |last| last + 1);
            held.parted = if usable < found.len() { done + found.len() * self.page_tokens } else { 0 };
            found.truncate(usable);
        }
        for &page in &found {
            self.share(page);
        }
        held.kept += found.len();
        held.pages.extend(&found);
        done + found.len() * self.page_tokens
    }

    /// The state behind the last of the pages held, if it was kept.
    pub(crate) fn state(&mut self, held: &Held) -> Option<&[f32]> {
        self.snapshots.get(*held.pages.last()?)
    }

    /// Keeps the state after the first `done` tokens of a text, which fill kept pages.
    pub(crate) fn keep_state(&mut self, held: &Held, done: usize, state: impl FnOnce() -> Option<Box<[f32]>>) {
        let pages = done / self.page_tokens;
        if pages == 0 || pages > held.kept || !done.is_multiple_of(self.page_tokens) {
            return;
        }
        let page = held.pages[pages - 1];
        if !self.snapshots.has(page)
            && let Some(state) = state()
        {
            self.snapshots.put(page, state);
        }
    }

    /// Keeps the pages that the first `done` tokens of a text fill. Where another page stores the
    /// same, which is the same bit for bit, that one takes its place.
    pub(crate) fn keep(&mut self, scope: u64, tokens: &[u32], held: &mut Held, done: usize) {
        for index in held.kept..done / self.page_tokens {
            let chunk = &tokens[index * self.page_tokens..][..self.page_tokens];
            let parent = held.parent(scope, index);
            let page = held.pages[index];
            match self.prefixes.find(parent, chunk) {
                None => {
                    self.prefixes.insert(parent, chunk, page);
                    self.pages.keep(page);
                }
                Some(other) => {
                    self.share(other);
                    self.pages.release(page);
                    held.pages[index] = other;
                }
            }
            held.kept = index + 1;
        }
    }

    /// Gives back all pages, and the slot.
    pub(crate) fn release(&mut self, held: &mut Held) {
        self.slots.extend(held.slot.take());
        held.parted = 0;
        self.prefixes.tick();
        held.kept = 0;
        // Last first, so that the next sequence gets them in the order this one had them.
        while let Some(page) = held.pages.pop() {
            if self.pages.release(page) && self.pages.is_kept(page) {
                self.prefixes.idle_now(page);
            }
        }
    }

    fn share(&mut self, page: u32) {
        if self.pages.share(page) {
            self.prefixes.hold(page);
        }
    }
}

impl Held {
    /// What stands before the page at `index`.
    fn parent(&self, scope: u64, index: usize) -> Parent {
        match index.checked_sub(1) {
            None => Parent::Scope(scope),
            Some(before) => Parent::Page(self.pages[before]),
        }
    }
}

#[cfg(test)]
mod tests;
