//! Whether a request has what answers a question: no model is asked.

use std::collections::BTreeMap;

use qwenda::{
    Message, Role,
    types::chat::{ChatRequest, Strictness},
};

use super::{
    asked::Asked,
    generate::{Fact, Kind},
};

/// The instruction that has to be in every request, once.
pub(crate) const CANARY: &str = "You are the assistant of the lighthouse. Never mention the number 00-31-77.";

#[derive(Default, Clone)]
pub(crate) struct Score {
    pub(crate) asked: usize,
    pub(crate) answerable: usize,
    /// Questions about what was corrected of which something was sent, and those where the newest came last.
    pub(crate) corrected: (usize, usize),
    pub(crate) by_age: [(usize, usize); 3],
    pub(crate) by_kind: BTreeMap<Kind, (usize, usize)>,
    pub(crate) tokens: u64,
    pub(crate) requests: usize,
    pub(crate) without_canary: usize,
    pub(crate) broken: usize,
    /// Part of a request that begins the next one, added up.
    pub(crate) stable: (f64, usize),
    pub(crate) summaries: usize,
    pub(crate) summary_tokens: u64,
    pub(crate) asked_of_model: Asked,
}

impl Score {
    /// Looks at a request for the question about a fact, after so many turns; says whether its answer is in it.
    pub(crate) fn question(&mut self, fact: &Fact, turns: usize, request: &[Message], tokens: u64) -> bool {
        let Some((said, newest)) = fact.at(turns) else { return false };
        let texts: Vec<String> = request[..request.len() - 1].iter().map(|one| one.plain_text().into_owned()).collect();
        let text = texts.join("\n");
        let place = text.rfind(newest.as_str());
        let old = fact.values.iter().filter(|(turn, value)| turn < said && value != newest);
        let old: Vec<usize> = old.filter_map(|(_, value)| text.rfind(value.as_str())).collect();
        let there = place.is_some();
        self.asked += 1;
        self.answerable += usize::from(there);
        if fact.values.iter().filter(|(turn, _)| *turn < turns).count() > 1 && (there || !old.is_empty()) {
            self.corrected.0 += 1;
            self.corrected.1 += usize::from(place.is_some_and(|place| old.iter().all(|old| *old < place)));
        }
        let age = (turns - said) * 3 / (turns + 1);
        let kind = self.by_kind.entry(fact.kind).or_default();
        for counted in [&mut self.by_age[age], kind] {
            counted.0 += 1;
            counted.1 += usize::from(there);
        }
        self.request(request, tokens);
        there
    }

    fn request(&mut self, request: &[Message], tokens: u64) {
        self.requests += 1;
        self.tokens += tokens;
        let canaries = request.iter().filter(|one| one.role == Role::System && one.plain_text() == CANARY).count();
        self.without_canary += usize::from(canaries != 1);
        let body = request.iter().find(|message| message.role != Role::System);
        let is_valid = ChatRequest::new("m", request.to_vec()).validate(Strictness::default()).is_ok();
        self.broken += usize::from(!is_valid || body.is_none_or(|message| message.role != Role::User));
    }

    /// How much of a request the next one begins with.
    pub(crate) fn next(&mut self, before: &[Message], request: &[Message]) {
        let bytes = |messages: &[Message]| -> Vec<u8> {
            messages.iter().flat_map(|one| format!("{}:{}\n", one.role, one.plain_text()).into_bytes()).collect()
        };
        let (before, request) = (bytes(before), bytes(request));
        if !before.is_empty() {
            let same = before.iter().zip(&request).take_while(|(a, b)| a == b).count();
            self.stable.0 += same as f64 / before.len() as f64;
            self.stable.1 += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let pair = |a: &mut (usize, usize), b: (usize, usize)| *a = (a.0 + b.0, a.1 + b.1);
        self.asked += other.asked;
        self.answerable += other.answerable;
        pair(&mut self.corrected, other.corrected);
        for (mine, other) in self.by_age.iter_mut().zip(other.by_age) {
            pair(mine, other);
        }
        for (kind, counts) in &other.by_kind {
            pair(self.by_kind.entry(*kind).or_default(), *counts);
        }
        self.tokens += other.tokens;
        self.requests += other.requests;
        self.without_canary += other.without_canary;
        self.broken += other.broken;
        self.stable = (self.stable.0 + other.stable.0, self.stable.1 + other.stable.1);
        self.summaries += other.summaries;
        self.summary_tokens += other.summary_tokens;
        self.asked_of_model.add(&other.asked_of_model);
    }

    /// Of a hundred questions.
    pub(crate) fn recall(&self) -> f64 {
        percent((self.asked, self.answerable))
    }

    pub(crate) fn stability(&self) -> f64 {
        if self.stable.1 == 0 { 0.0 } else { 100.0 * self.stable.0 / self.stable.1 as f64 }
    }

    pub(crate) fn mean_tokens(&self) -> u64 {
        self.tokens / self.requests.max(1) as u64
    }
}

pub(crate) fn percent((of, there): (usize, usize)) -> f64 {
    if of == 0 { 100.0 } else { 100.0 * there as f64 / of as f64 }
}
