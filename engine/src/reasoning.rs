//! Where a completion's reasoning begins and ends, token by token.

use crate::Reasoning;

/// The phases of one completion.
#[derive(Debug)]
pub(crate) struct Phases {
    /// Nothing where all is answer.
    rules: Option<Reasoning>,
    phase: Phase,
    /// Whether what is written behind a forced end is also written behind the model's own: a
    /// grammar begins after it, and the model is not used to answer without it.
    always_spaced: bool,
    /// Whether the budget is used up and its forced end on its way.
    forcing: bool,
    /// Tokens that still follow the end and have no text.
    spacing: usize,
    /// Tokens of reasoning so far.
    tokens: u32,
}

/// Where a completion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// At its first token, which decides.
    Open,
    Reasoning,
    Answer,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A part of the reasoning.
    Reasoning,
    /// Between the phases: without text.
    Mark,
    /// A part of the answer.
    Answer,
}

impl Phases {
    pub(crate) fn new(rules: Option<Reasoning>, always_spaced: bool) -> Self {
        let phase = match &rules {
            None => Phase::Answer,
            Some(rules) if rules.begun => Phase::Reasoning,
            Some(_) => Phase::Open,
        };
        Self { rules, phase, always_spaced, forcing: false, spacing: 0, tokens: 0 }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Tokens of reasoning so far, those that begin and end it included.
    pub(crate) fn tokens(&self) -> u32 {
        self.tokens
    }

    /// The token that would begin the reasoning now, and whether the budget lets it.
    pub(crate) fn beginning(&self) -> Option<(u32, bool)> {
        let rules = self.rules.as_ref().filter(|_| self.phase == Phase::Open)?;
        Some((rules.begin, rules.tokens_max != Some(0)))
    }

    /// Takes the next token.
    pub(crate) fn take(&mut self, id: u32) -> Part {
        let Some(rules) = &self.rules else { return Part::Answer };
        match self.phase {
            Phase::Open if id == rules.begin => {
                self.phase = Phase::Reasoning;
                self.tokens += 1;
                Part::Mark
            }
            Phase::Reasoning => {
                self.tokens += 1;
                if id != rules.end {
                    return Part::Reasoning;
                }
                self.phase = Phase::Answer;
                if self.forcing || self.always_spaced {
                    self.spacing = rules.forced.len() - end_len(rules);
                }
                Part::Mark
            }
            Phase::Answer if self.spacing > 0 => {
                self.spacing -= 1;
                Part::Mark
            }
            Phase::Open | Phase::Answer => {
                self.phase = Phase::Answer;
                Part::Answer
            }
        }
    }

    /// What must be written next whatever the model thinks, if nothing is on its way already.
    pub(crate) fn forced(&mut self) -> &[u32] {
        let Some(rules) = &self.rules else { return &[] };
        let end_len = end_len(rules);
        if self.phase == Phase::Answer {
            return &rules.forced[rules.forced.len() - self.spacing..];
        }
        let spent = rules.tokens_max.is_some_and(|most| u64::from(self.tokens) + end_len as u64 >= u64::from(most));
        if self.phase == Phase::Reasoning && spent && !self.forcing {
            self.forcing = true;
            return &rules.forced;
        }
        &[]
    }
}

/// Tokens of the forced end up to the one that ends the reasoning.
fn end_len(rules: &Reasoning) -> usize {
    rules.forced.iter().position(|&id| id == rules.end).map_or(rules.forced.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: u32 = 90;
    const END: u32 = 91;

    fn rules(begun: bool, tokens_max: Option<u32>) -> Reasoning {
        Reasoning { begun, begin: BEGIN, end: END, tokens_max, forced: vec![10, END, 11] }
    }

    /// Plays a completion whose model would write `wanted`; what was written, each with its part.
    fn play(mut phases: Phases, wanted: &[u32]) -> (Vec<(u32, Part)>, u32) {
        let mut wanted = wanted.iter().copied();
        let mut decided: std::collections::VecDeque<u32> = phases.forced().iter().copied().collect();
        let mut written = Vec::new();
        while let Some(id) = decided.pop_front().or_else(|| wanted.next()) {
            written.push((id, phases.take(id)));
            if decided.is_empty() {
                decided.extend(phases.forced());
            }
        }
        (written, phases.tokens())
    }

    #[test]
    fn phases_as_a_table() {
        use Part::{Answer as A, Mark as M, Reasoning as R};
        // what is shown | rules | spaced | the model's tokens | what is written | tokens of reasoning
        type Row<'a> = (&'a str, Option<Reasoning>, bool, &'a [u32], &'a [(u32, Part)], u32);
        let table: &[Row<'_>] = &[
            ("no reasoning", None, false, &[1, END], &[(1, A), (END, A)], 0),
            ("an answer at once", Some(rules(false, None)), true, &[1, BEGIN], &[(1, A), (BEGIN, A)], 0),
            (
                "begun by the model",
                Some(rules(false, None)),
                false,
                &[BEGIN, 1, END, 2],
                &[(BEGIN, M), (1, R), (END, M), (2, A)],
                3,
            ),
            ("begun by the prompt", Some(rules(true, None)), false, &[1, END, 2], &[(1, R), (END, M), (2, A)], 2),
            (
                "space before a grammar",
                Some(rules(true, None)),
                true,
                &[1, END, 2],
                &[(1, R), (END, M), (11, M), (2, A)],
                2,
            ),
            (
                "a budget that is used up",
                Some(rules(true, Some(4))),
                false,
                &[1, 2, 3, 4],
                &[(1, R), (2, R), (10, R), (END, M), (11, M), (3, A), (4, A)],
                4,
            ),
            ("a budget that is kept", Some(rules(true, Some(4))), false, &[1, END, 2], &[(1, R), (END, M), (2, A)], 2),
            ("no budget", Some(rules(true, Some(0))), false, &[1], &[(10, R), (END, M), (11, M), (1, A)], 2),
            (
                "hardly any budget",
                Some(rules(false, Some(1))),
                true,
                &[BEGIN, 1],
                &[(BEGIN, M), (10, R), (END, M), (11, M), (1, A)],
                3,
            ),
        ];
        for (what, rules, spaced, wanted, expected, tokens) in table {
            let (written, counted) = play(Phases::new(rules.clone(), *spaced), wanted);
            assert_eq!(written, *expected, "{what}");
            assert_eq!(counted, *tokens, "{what}");
        }
    }
}
