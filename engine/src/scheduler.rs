//! What the next step computes: a pure function from the state of all sequences to a [`Step`].
//!
//! - Decoding sequences go first: each gets its one row in every step, and where few decode, rows
//!   for what it is guessed to say next.
//! - The rest of the step's token budget is prefill, in chunks. Flows, which are the requests of
//!   one account at one priority, share it by their weights, and the sequences of a flow equally,
//!   in an order that rotates from step to step.
//! - Of those that wait, the flow that was served least comes first (`fair` keeps the accounts), and
//!   within a flow who came first. They are admitted when their known tokens fit into free pages;
//!   nobody overtakes one who waits for pages. Where all places are taken, a flow that has less than
//!   its share takes one from the flow that has most above its own.
//! - A sequence that grows past the free pages preempts the youngest one, which goes back to waiting
//!   and is computed again later. The oldest is never preempted and fits alone into the store, so
//!   it always advances: nothing can deadlock and nobody starves.
//! - Pages may be held by several sequences; one is free again when the last of them is gone. Who
//!   needs next what an older sequence is about to compute waits for it, and then holds it too.
//!
//! Because a row's numbers do not depend on what else is in the step, none of this is visible in
//! the text, only in its timing.

use std::{collections::HashMap, num::NonZeroU32};

/// What does not change while the engine runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Tokens in a page of the KV store.
    pub(crate) page_tokens: NonZeroU32,
    /// Most rows of prefill in one step.
    pub(crate) prefill_tokens_max: NonZeroU32,
    /// Most sequences that hold pages at once.
    pub(crate) sequences_max: NonZeroU32,
    /// Rows of decoding up to which there is room for guesses.
    pub(crate) guess_rows_max: u32,
}

/// Requests that share what there is with others as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Which one.
    pub(crate) id: u64,
    /// Its share of places and of prefill, beside others; at least 1.
    pub(crate) weight: u32,
    /// What it was given so far, in relation to its weight.
    pub(crate) served: u64,
}

/// What the scheduler knows of one sequence. Sequences are given in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View<'a> {
    /// Tokens known: prompt and completion so far.
    pub(crate) tokens: u32,
    /// Tokens whose keys and values are stored; less than `tokens`.
    pub(crate) done: u32,
    /// Pages held.
    pub(crate) pages: &'a [u32],
    /// Whether it was admitted.
    pub(crate) running: bool,
    /// Whether an older sequence computes what it needs next, as [`follows`] finds out.
    pub(crate) follows: bool,
    /// How many tokens are guessed to follow its newest one.
    pub(crate) guessed: u32,
    /// Whose share it takes.
    pub(crate) flow: Flow,
}

/// The pages of the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room<'a> {
    /// Pages that can be taken.
    pub(crate) free: u32,
    /// How many sequences hold each page.
    pub(crate) holders: &'a [u32],
}

/// Rows of one sequence in a step: its tokens `start..start + len`, guesses behind the known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Index of the sequence.
    pub(crate) index: usize,
    /// Its first token computed in this step.
    pub(crate) start: u32,
    /// How many.
    pub(crate) len: u32,
}

impl Span {
    /// Leaves out what is stored already: the first `done` of `tokens` tokens.
    pub(crate) fn start_at(&mut self, done: usize, tokens: usize) {
        let done = u32::try_from(done).unwrap_or(u32::MAX);
        if done > self.start {
            let left = u32::try_from(tokens).unwrap_or(u32::MAX) - done;
            (self.start, self.len) = (done, self.len.min(left));
        }
    }
}

/// What to do next, in this order. Indices are those of the given views.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Sequences that give back their pages and wait again.
    pub(crate) preempt: Vec<usize>,
    /// Sequences that start.
    pub(crate) admit: Vec<usize>,
    /// What to compute. Each span's pages are free once `preempt` is done.
    pub(crate) spans: Vec<Span>,
}

/// Plans a step. `turn` counts the steps so far.
pub(crate) fn plan(limits: &Limits, views: &[View<'_>], room: Room<'_>, turn: u64) -> Step {
    let mut plan = Plan {
        limits,
        views,
        free: room.free,
        holders: room.holders,
        dropped: HashMap::new(),
        running: (0..views.len()).filter(|&i| views[i].running).collect(),
        step: Step::default(),
    };
    plan.decode();
    plan.guess();
    plan.admit();
    plan.prefill(turn);
    plan.step
}

struct Plan<'a> {
    limits: &'a Limits,
    views: &'a [View<'a>],
    free: u32,
    holders: &'a [u32],
    /// How many that hold a page have been preempted.
    dropped: HashMap<u32, u32>,
    /// Indices of the sequences that hold pages, oldest first.
    running: Vec<usize>,
    step: Step,
}

impl Plan<'_> {
    /// One row for each sequence of which only the newest token is not yet stored.
    fn decode(&mut self) {
        let mut next = 0;
        while let Some(&index) = self.running.get(next) {
            next += 1;
            let view = self.views[index];
            if !decodes(view) {
                continue;
            }
            let missing = self.pages_missing(view, view.tokens);
            if self.make_room(index, missing) {
                self.free -= missing;
                self.step.spans.push(Span { index, start: view.done, len: 1 });
            }
        }
    }

    /// Rows for guesses, as many as cost little beside those that decode. They take only pages that
    /// nobody else asks for.
    fn guess(&mut self) {
        let decoding = u32::try_from(self.step.spans.len()).unwrap_or(u32::MAX);
        let mut budget = self.limits.guess_rows_max.saturating_sub(decoding);
        let mut left = decoding;
        for at in 0..self.step.spans.len() {
            let share = budget / left;
            left -= 1;
            let view = self.views[self.step.spans[at].index];
            let rows = (1..=view.guessed.min(share)).rev().find(|rows| self.guess_pages(view, *rows) <= self.spare());
            let Some(rows) = rows else { continue };
            self.free -= self.guess_pages(view, rows);
            self.step.spans[at].len += rows;
            budget -= rows;
        }
    }

    /// Pages that rows for guesses take beyond those of the known tokens.
    fn guess_pages(&self, view: View<'_>, rows: u32) -> u32 {
        self.pages_missing(view, view.tokens.saturating_add(rows)) - self.pages_missing(view, view.tokens)
    }

    /// Free pages that no running sequence needs for its next token.
    fn spare(&self) -> u32 {
        self.free.saturating_sub(u32::try_from(self.running.len()).unwrap_or(u32::MAX))
    }

    /// Lets waiting sequences in while there is room for all they have so far, the token that
    /// follows, and one page more for everyone already running.
    fn admit(&mut self) {
        if !self.step.preempt.is_empty() {
            return; // What was just pushed out must not come straight back.
        }
        let mut waiting: Vec<usize> = (0..self.views.len()).filter(|&index| !self.views[index].running).collect();
        waiting.sort_by_key(|&index| (self.views[index].flow.served, index));
        // Sequences still in prefill have not taken all their pages yet.
        let mut promised: u32 =
            self.running.iter().map(|&index| self.pages_missing(self.views[index], self.views[index].tokens + 1)).sum();
        for index in waiting {
            if self.running.len() >= self.limits.sequences_max.get() as usize {
                let Some(out) = self.above_its_share(index) else { return };
                promised -= self.pages_missing(self.views[out], self.views[out].tokens + 1).min(promised);
                self.push_out(out);
            }
            let view = self.views[index];
            let wanted = self.pages_missing(view, view.tokens + 1);
            let reserve = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
            let fits = u64::from(promised) + u64::from(wanted) + u64::from(reserve) <= u64::from(self.free);
            // Alone it must go in whatever it wants: submission has checked that it can fit.
            if !(fits || self.running.is_empty()) {
                return; // A small one behind must not overtake for ever.
            }
            promised += wanted;
            let at = self.running.partition_point(|&other| other < index);
            self.running.insert(at, index);
            self.step.admit.push(index);
        }
    }

    /// Whose place a waiting sequence of a flow with few may take: that of the youngest of the flow
    /// that has most for its weight, if it has more than the other will have then. The oldest of all
    /// keeps its place.
    fn above_its_share(&self, waiting: usize) -> Option<usize> {
        let places = |id: u64| self.running.iter().filter(|&&index| self.views[index].flow.id == id).count() as u64;
        let mine = self.views[waiting].flow;
        let wanted = places(mine.id) + 1;
        let candidates = self.running.iter().skip(1).copied().filter(|index| !self.step.admit.contains(index));
        candidates
            .map(|index| (self.views[index].flow, index))
            .filter(|(flow, _)| flow.id != mine.id)
            // a / v > b / w, in whole numbers.
            .filter(|(flow, _)| places(flow.id) * u64::from(mine.weight) > wanted * u64::from(flow.weight))
            .max_by_key(|(flow, index)| (places(flow.id) * 1024 / u64::from(flow.weight), *index))
            .map(|(_, index)| index)
    }

    /// Deals the prefill budget out: to flows by their weights, then in equal shares, whole pages
    /// where possible.
    fn prefill(&mut self, turn: u64) {
        let mut wanting: Vec<usize> = self
            .running
            .iter()
            .copied()
            .filter(|&index| {
                let fresh = self.step.admit.contains(&index);
                let view = self.views[index];
                (fresh || view.tokens - view.done > 1) && !view.follows
            })
            .collect();
        wanting.sort_by_key(|&index| (self.views[index].flow.served, self.views[index].flow.id, index));
        let flows: Vec<&mut [usize]> =
            wanting.chunk_by_mut(|&a, &b| self.views[a].flow.id == self.views[b].flow.id).collect();
        let mut weights: u64 = flows.iter().map(|flow| u64::from(self.views[flow[0]].flow.weight)).sum();
        let mut budget = self.limits.prefill_tokens_max.get();
        for flow in flows {
            let weight = u64::from(self.views[flow[0]].flow.weight);
            let share = u64::from(budget) * weight / weights;
            weights -= weight;
            let share = u32::try_from(share).unwrap_or(u32::MAX).max(self.limits.page_tokens.get()).min(budget);
            budget -= share - self.prefill_flow(flow, share, turn);
        }
    }

    /// Deals a budget out to the sequences of one flow; returns what is left of it.
    fn prefill_flow(&mut self, wanting: &mut [usize], mut budget: u32, turn: u64) -> u32 {
        let turns = u64::try_from(wanting.len()).unwrap_or(u64::MAX);
        wanting.rotate_left(usize::try_from(turn % turns).unwrap_or(0));
        let page = self.limits.page_tokens.get();
        let mut left = u32::try_from(wanting.len()).unwrap_or(u32::MAX);
        for &mut index in wanting {
            // A page at least: tiny chunks would waste the pass over the weights.
            let share = (budget / left).max(page).min(budget);
            left -= 1;
            if share == 0 || self.step.preempt.contains(&index) {
                continue;
            }
            let view = self.views[index];
            let len = share.min(view.tokens - view.done);
            let missing = self.pages_missing(view, view.done + len);
            if self.make_room(index, missing) {
                self.free -= missing;
                self.step.spans.push(Span { index, start: view.done, len });
                budget -= len;
            }
        }
        budget
    }

    /// Pages to be taken before `tokens` tokens are stored.
    fn pages_missing(&self, view: View<'_>, tokens: u32) -> u32 {
        tokens
            .div_ceil(self.limits.page_tokens.get())
            .saturating_sub(u32::try_from(view.pages.len()).unwrap_or(u32::MAX))
    }

    /// Counts what is free when a sequence gives its pages back.
    fn drop_pages(&mut self, index: usize) {
        for &page in self.views[index].pages {
            let dropped = self.dropped.entry(page).or_default();
            *dropped += 1;
            self.free += u32::from(*dropped == self.holders[page as usize]);
        }
    }

    /// Preempts sequences younger than `index`, youngest first, until `pages` are free. False if
    /// that is not enough: then this one waits for the older ones.
    fn make_room(&mut self, index: usize, pages: u32) -> bool {
        while self.free < pages {
            match self.running.last() {
                Some(&youngest) if youngest > index => self.push_out(youngest),
                _ => return false,
            }
        }
        true
    }

    /// Takes a sequence's place and pages away.
    fn push_out(&mut self, index: usize) {
        self.running.retain(|&other| other != index);
        self.drop_pages(index);
        if let Some(at) = self.step.spans.iter().position(|span| span.index == index) {
            let span = self.step.spans.remove(at);
            self.free += self.pages_missing(self.views[index], span.start + span.len);
        }
        if let Some(at) = self.step.admit.iter().position(|&other| other == index) {
            self.step.admit.remove(at);
        } else {
            self.step.preempt.push(index);
        }
    }
}

/// Whether only its newest token is not yet stored.
fn decodes(view: View<'_>) -> bool {
    view.tokens - view.done == 1
}

/// One sequence's text, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    /// Whose pages it may share; nobody's if there is none.
    pub(crate) scope: Option<u64>,
    pub(crate) tokens: &'a [u32],
    /// Tokens whose keys and values are stored.
    pub(crate) done: usize,
    /// Whether it was admitted: nobody waits for one that waits itself.
    pub(crate) running: bool,
}

/// For each text, in order of arrival, whether an older one is about to compute the page that it
/// needs next. The oldest of those that need the same does not wait, so all of them advance.
pub(crate) fn follows(texts: &[Text<'_>], page_tokens: usize) -> Vec<bool> {
    let follows = |(index, text): (usize, &Text<'_>)| {
        let end = text.done + page_tokens;
        // Its last token it has to compute itself.
        let whole = text.scope.is_some() && text.done.is_multiple_of(page_tokens) && end < text.tokens.len();
        let leads = |older: &Text<'_>| {
            older.running
                && older.scope == text.scope
                && older.done / page_tokens == text.done / page_tokens
                && older.tokens.get(..end).is_some_and(|tokens| tokens == &text.tokens[..end])
        };
        whole && texts[..index].iter().any(leads)
    };
    texts.iter().enumerate().map(follows).collect()
}

#[cfg(test)]
mod tests;
