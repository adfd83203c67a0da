//! Guessing what comes next from what was there before: a text that repeats itself, or its prompt,
//! is computed several tokens at a time.
//!
//! A guess is the continuation of an earlier place that ends like the text does. It costs rows in a
//! step and changes nothing else: each guessed token is kept only if the sampler chooses it too.
//! (Saxena, "Prompt Lookup Decoding", 2023.)

use std::collections::HashMap;

/// Tokens that an earlier place must share with the end of the text.
const MATCH: usize = 3;
/// Earlier places looked at, the latest first, and how far back they are compared.
const PLACES_MAX: usize = 24;
const COMPARED_MAX: usize = 48;
/// Most tokens guessed at once.
pub(crate) const GUESS_MAX: usize = 15;
/// A first guess, and one after a wrong one.
const GUESS_FIRST: usize = 4;
/// After so many wrong guesses in a row the pause does not grow any more.
const MISSES_MAX: u32 = 6;

/// One sequence's places, and how well its guesses went.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// The newest place of each run of [`MATCH`] tokens: where what follows it begins.
    newest: HashMap<[u32; MATCH], u32>,
    /// For each position, the place before it with the same run; itself if there is none.
    before: Vec<u32>,
    /// Where the last guess was taken from.
    source: Option<usize>,
    /// Where to go on reading if the text differed from the last guess by one token.
    resume: Option<usize>,
    len: usize,
    /// Wrong guesses in a row.
    misses: u32,
    /// Steps without a guess that are left.
    pause: u32,
}

impl Lookup {
    pub(crate) fn new() -> Self {
        Self {
            newest: HashMap::new(),
            before: Vec::new(),
            source: None,
            resume: None,
            len: GUESS_FIRST,
            misses: 0,
            pause: 0,
        }
    }

    /// Writes into `guess` what may follow `tokens`, at most `max` tokens; nothing if there is no
    /// reason for a guess. `tokens` only ever grow.
    pub(crate) fn guess(&mut self, tokens: &[u32], max: usize, guess: &mut Vec<u32>) {
        guess.clear();
        self.learn(tokens);
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        let resume = self.resume.take().map(|from| (from, GUESS_FIRST));
        let found = self.find(tokens).map(|from| (from, self.len)).or(resume);
        let Some((from, len)) = found else { return };
        let end = tokens.len().min(from + len.min(max));
        guess.extend(&tokens[from..end]);
        // A text that repeats a short run goes on repeating it.
        let period = tokens.len() - from;
        while guess.len() < len.min(max) && period > 0 {
            guess.push(guess[guess.len() - period]);
        }
        self.source = Some(from);
    }

    /// Of the last guess, of `guessed` tokens, the first `right` were right.
    pub(crate) fn judge(&mut self, guessed: usize, right: usize) {
        let Some(source) = self.source.take() else { return };
        if guessed == 0 {
            return;
        }
        if right < guessed {
            self.resume = Some(source + right + 1);
        }
        if right == 0 {
            self.misses = (self.misses + 1).min(MISSES_MAX);
            self.pause = (1 << self.misses) - 2;
            self.len = GUESS_FIRST;
        } else {
            self.misses = 0;
            self.len = if right == guessed { (2 * self.len).min(GUESS_MAX) } else { (right + 1).max(GUESS_FIRST) };
        }
    }

    /// Notes all places that something follows.
    fn learn(&mut self, tokens: &[u32]) {
        for end in self.before.len()..tokens.len() {
            let place = u32::try_from(end).expect("a context has fewer than 2^32 tokens");
            let run = end.checked_sub(MATCH).and_then(|start| tokens[start..].first_chunk());
            let before = run.and_then(|run| self.newest.insert(*run, place));
            self.before.push(before.unwrap_or(place));
        }
    }

    /// The place that shares most with the end of `tokens`, the latest of equals.
    fn find(&self, tokens: &[u32]) -> Option<usize> {
        let mut place = *self.newest.get(tokens.last_chunk::<MATCH>()?)?;
        let mut best = (0, 0);
        for _ in 0..PLACES_MAX {
            let at = place as usize;
            let alike = tokens[..at].iter().rev().zip(tokens.iter().rev()).take(COMPARED_MAX);
            let alike = alike.take_while(|(a, b)| a == b).count();
            if alike > best.0 {
                best = (alike, at);
            }
            if alike == COMPARED_MAX || self.before[at] == place {
                break;
            }
            place = self.before[at];
        }
        (best.0 >= MATCH).then_some(best.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(lookup: &mut Lookup, tokens: &[u32], max: usize) -> Vec<u32> {
        let mut guess = Vec::new();
        lookup.guess(tokens, max, &mut guess);
        guess
    }

    #[test]
    fn what_followed_the_same_words_is_guessed() {
        let mut lookup = Lookup::new();
        assert_eq!(guess(&mut lookup, &[1, 2, 3, 4, 5, 6, 7], 9), [0; 0], "nothing repeats");
        assert_eq!(guess(&mut lookup, &[1, 2, 3, 4, 5, 6, 7, 1, 2, 3], 9), [4, 5, 6, 7]);
        assert_eq!(guess(&mut lookup, &[1, 2, 3, 4, 5, 6, 7, 1, 2, 3], 2), [4, 5], "no more than asked for");
        assert_eq!(guess(&mut lookup, &[1, 2, 3, 4, 5, 6, 7, 1, 2, 3], 0), [0; 0]);
    }

    #[test]
    fn the_place_with_most_in_common_wins_and_the_latest_of_equals() {
        let text = [9, 1, 2, 3, 40, 41, 8, 1, 2, 3, 50, 51, 9, 1, 2, 3];
        assert_eq!(guess(&mut Lookup::new(), &text, 1), [40], "one token more in common");
        let text = [1, 2, 3, 40, 41, 1, 2, 3, 50, 51, 7, 1, 2, 3];
        assert_eq!(guess(&mut Lookup::new(), &text, 1), [50]);
    }

    #[test]
    fn a_run_that_repeats_is_continued_beyond_the_end() {
        assert_eq!(guess(&mut Lookup::new(), &[5, 6, 5, 6, 5, 6], 5), [5, 6, 5, 6]);
        assert_eq!(guess(&mut Lookup::new(), &[7; 9], 3), [7, 7, 7]);
    }

    #[test]
    fn right_guesses_grow_and_wrong_ones_pause() {
        let mut lookup = Lookup::new();
        let text: Vec<u32> = (0..60).chain(0..3).collect();
        for expected in [4, 8, 15, 15] {
            let found = guess(&mut lookup, &text, GUESS_MAX);
            assert_eq!(found.len(), expected);
            lookup.judge(expected, expected);
        }
        let mut silent = Vec::new();
        for _ in 0..4 {
            let mut steps = 0;
            while guess(&mut lookup, &text, GUESS_MAX).is_empty() {
                steps += 1;
            }
            silent.push(steps);
            lookup.judge(4, 0);
        }
        assert_eq!(silent, [0, 0, 2, 6], "the pause doubles");
    }

    #[test]
    fn one_changed_word_is_read_over() {
        let mut lookup = Lookup::new();
        let mut text: Vec<u32> = (0..20).chain(0..3).collect();
        assert_eq!(guess(&mut lookup, &text, 15), [3, 4, 5, 6]);
        // The text says 3, 99 instead of 3, 4.
        lookup.judge(4, 1);
        text.extend([3, 99]);
        assert_eq!(guess(&mut lookup, &text, 15), [5, 6, 7, 8]);
    }
}
