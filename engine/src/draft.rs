//! A second, smaller model that guesses what the first says next, where its text does not repeat.
//!
//! It reads along with the sequences that decode and writes a few tokens ahead, as long as it is sure
//! of them. As with `lookup`, each is kept only if the first model's sampler chooses it too. Its keys
//! and values are its own; nothing of them is shared.

use std::collections::HashMap;

use qwenda_kernels::{AttendRow, DeltaStates, KvSlot, KvStore, PAGE_TOKENS, argmax, log_sum_exp};

use qwenda_tokenizer::TokenKind;

use crate::{
    Error,
    cache::{Cache, Held},
    model::{
        Model,
        layers::{Batch, Scratch, Stores},
    },
};

/// Sequences that it writes ahead for at once: with more, the rows are worth more to them.
const TEXTS_MAX: usize = 2;
/// Tokens that it catches up with in one step.
const CATCH_UP: usize = 128;
const GUESS_FIRST: usize = 3;
const GUESS_MAX: usize = 6;
/// The probability below which it does not guess.
const SURE: f32 = 0.5;
/// What a row of a guess costs beside a step of decoding.
const ROW_COST: f64 = 0.1;
/// Steps that the running means look back on, and the savings they begin with.
const MEMORY: f64 = 8.0;
const TRUST: f64 = 0.4;
/// How many times its cost it must have saved for earlier failures to be forgotten.
const WORTH: f64 = 1.5;
/// Steps without guesses after some that were not worth it, at first and at most.
const PAUSE_FIRST: u32 = 16;
const PAUSE_MAX: u32 = 256;

/// The second model and what it has read.
pub(crate) struct Drafter {
    model: Model,
    /// What a token of it costs beside one of the first model.
    token_cost: f64,
    cache: Cache,
    kv: KvStore,
    /// None: models that keep a state do not guess.
    states: DeltaStates,
    scratch: Scratch,
    texts: HashMap<u64, Text>,
}

/// One sequence's text as the second model has it.
struct Text {
    held: Held,
    /// Tokens whose keys and values are stored, guesses included.
    stored: Vec<u32>,
    /// Passes of the second model for the last guess, also where it was not sure of any token.
    passes: usize,
    /// How many to guess next.
    len: usize,
    /// Running means of what guesses cost, in steps of the first model, and of the steps they saved.
    cost: f64,
    saved: f64,
    pause: u32,
    next_pause: u32,
}

/// A sequence that would have a guess.
pub(crate) struct Wanting<'a> {
    /// The same for all of its steps, and no other sequence's.
    pub(crate) id: u64,
    pub(crate) tokens: &'a [u32],
    /// Most tokens to guess.
    pub(crate) max: usize,
    pub(crate) guess: &'a mut Vec<u32>,
}

impl Drafter {
    /// A drafter for `first`, with room for as many tokens.
    ///
    /// # Errors
    /// The two models' tokens differ.
    pub(crate) fn new(model: Model, first: &Model, pages: u32) -> Result<Self, Error> {
        check_tokens(&model, first)?;
        let token_cost = model.info().parameters as f64 / first.info().parameters.max(1) as f64;
        let kv = model.kv_store(pages as usize);
        let (cache, states) = (Cache::new(pages, PAGE_TOKENS), model.states(0));
        Ok(Self { model, token_cost, cache, kv, states, scratch: Scratch::new(), texts: HashMap::new() })
    }

    /// Forgets the texts of all but these sequences.
    pub(crate) fn keep_only(&mut self, ids: &[u64]) {
        let Self { texts, cache, kv, .. } = self;
        texts.retain(|id, text| {
            let stays = ids.contains(id);
            if !stays {
                let pages = text.held.pages().to_vec();
                cache.release(&mut text.held);
                pages.into_iter().for_each(|page| kv.release(page));
            }
            stays
        });
    }

    /// Guesses for those that want a guess.
    pub(crate) fn guess(&mut self, wanting: Vec<Wanting<'_>>) {
        if wanting.len() > TEXTS_MAX {
            return;
        }
        for wanting in wanting {
            let mut text = self.texts.remove(&wanting.id).unwrap_or_default();
            self.guess_one(&mut text, wanting.tokens, wanting.max, wanting.guess);
            self.texts.insert(wanting.id, text);
        }
    }

    /// Of a sequence's last guess, rows were computed for `rows` tokens, and `right` were right.
    pub(crate) fn judge(&mut self, id: u64, rows: usize, right: usize) {
        let token_cost = self.token_cost;
        let Some(text) = self.texts.get_mut(&id) else { return };
        let passes = std::mem::take(&mut text.passes);
        if passes == 0 {
            return;
        }
        if rows > 0 {
            text.len = if right == rows { (text.len + 1).min(GUESS_MAX) } else { (right + 1).min(text.len) };
        }
        text.cost += (passes as f64 * token_cost + rows as f64 * ROW_COST - text.cost) / MEMORY;
        text.saved += (right as f64 - text.saved) / MEMORY;
        if text.saved < text.cost {
            text.pause = text.next_pause;
            text.next_pause = (2 * text.next_pause).min(PAUSE_MAX);
            // The next try begins with a little trust.
            (text.cost, text.saved, text.len) = (0.0, TRUST / 4.0, 2);
        } else if text.saved > WORTH * text.cost && text.cost > 0.3 {
            text.next_pause = PAUSE_FIRST;
        }
    }

    fn guess_one(&mut self, text: &mut Text, tokens: &[u32], max: usize, guess: &mut Vec<u32>) {
        if text.pause > 0 {
            text.pause -= 1;
            return;
        }
        let alike = text.stored.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        // The newest token is computed again if need be: what follows it is wanted.
        text.stored.truncate(alike.min(tokens.len() - 1));
        let info = self.model.info();
        let fits = tokens.len() + max < info.context_tokens_max as usize;
        if !fits || tokens[text.stored.len()..].iter().any(|&id| id >= info.vocab) {
            return;
        }
        let behind = tokens.len() - text.stored.len();
        let fed = self.feed(text, &tokens[text.stored.len()..][..behind.min(CATCH_UP)]);
        if behind > CATCH_UP {
            return;
        }
        let mut next = fed;
        while let Some(id) = next {
            guess.push(id);
            if guess.len() >= text.len.min(max) {
                break;
            }
            next = self.feed(text, &[id]);
        }
    }

    /// Reads more of a text; what it would say next, if it is sure.
    fn feed(&mut self, text: &mut Text, more: &[u32]) -> Option<u32> {
        let start = text.stored.len();
        let end = start + more.len();
        if !self.cache.reserve(&mut text.held, end) {
            return None;
        }
        let pages = text.held.pages();
        pages.iter().try_for_each(|&page| self.kv.allocate(page)).ok()?;
        let whole = |number: usize| u32::try_from(number).expect("a context has fewer than 2^32 tokens");
        let positions: Vec<u32> = (start..end).map(whole).collect();
        let slots: Vec<KvSlot> =
            (start..end).map(|at| KvSlot { page: pages[at / PAGE_TOKENS], offset: whole(at % PAGE_TOKENS) }).collect();
        let attend: Vec<AttendRow<'_>> = positions.iter().map(|at| AttendRow { pages, len: at + 1 }).collect();
        let wanted = [whole(more.len() - 1)];
        let batch =
            Batch { ids: more, positions: &positions, slots: &slots, attend: &attend, wanted: &wanted, runs: &[] };
        let stores = Stores { kv: &mut self.kv, states: &mut self.states };
        self.model.forward(batch, stores, &mut self.scratch);
        text.stored.extend_from_slice(more);
        text.passes += 1;
        let logits = self.model.logits(0..1, &mut self.scratch);
        let best = argmax(logits);
        let sure = logits[best] - log_sum_exp(logits) >= SURE.ln();
        sure.then(|| whole(best))
    }
}

impl Default for Text {
    fn default() -> Self {
        Self {
            held: Held::default(),
            stored: Vec::new(),
            passes: 0,
            len: GUESS_FIRST,
            cost: 0.0,
            saved: TRUST,
            pause: 0,
            next_pause: PAUSE_FIRST,
        }
    }
}

/// Both models must mean the same by the numbers of ordinary tokens. Special ones may differ from one
/// generation of a family to the next: a wrong guess does no harm.
fn check_tokens(model: &Model, first: &Model) -> Result<(), Error> {
    let (own, theirs) = (model.tokenizer(), first.tokenizer());
    let shared = u32::try_from(own.len().min(theirs.len())).unwrap_or(u32::MAX);
    let ordinary = |id| own.kind(id) == TokenKind::Normal && theirs.kind(id) == TokenKind::Normal;
    let differs = (0..shared).find(|&id| ordinary(id) && own.token_bytes(id) != theirs.token_bytes(id));
    if model.has_state() {
        // What it has read of a wrong guess cannot be taken back.
        return Err(Error::DraftState { draft: model.info().name.clone() });
    }
    match differs {
        None => Ok(()),
        Some(id) => Err(Error::Draft { draft: model.info().name.clone(), model: first.info().name.clone(), token: id }),
    }
}
