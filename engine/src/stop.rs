//! What ends a completion, and which text may leave before it is known that nothing does.
//!
//! Two stages. Tokens: those that may begin a stop sequence wait. Text: whole characters that may
//! begin a stop string wait. A stop string is found wherever it lies across token borders, and the
//! text ends exactly before it.

use std::collections::VecDeque;

use qwenda_tokenizer::Decoder;

use crate::{event::TokenLogprob, request::Stop};

/// Text that is certain, with the tokens it came from.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Released {
    pub(crate) text: String,
    pub(crate) ids: Vec<u32>,
    pub(crate) logprobs: Vec<TokenLogprob>,
}

impl Released {
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.ids.is_empty()
    }
}

/// The end of one completion's pipeline: tokens in, certain text out.
pub(crate) struct Watch {
    stop: Stop,
    /// The model's own end tokens, ascending.
    ends: std::sync::Arc<[u32]>,
    decoder: Decoder,
    /// The longest suffix of the completion that may begin a stop sequence.
    waiting: VecDeque<Token>,
    /// Decoded text not yet released.
    text: String,
    /// Bytes released before it.
    released: usize,
    /// Tokens decoded but not released, each with the bytes of the whole text when it was done.
    /// One more while a character of it is unfinished.
    decoded: VecDeque<(usize, Token)>,
    /// Where the first of them begins.
    begin: usize,
}

struct Token {
    id: u32,
    logprob: Option<TokenLogprob>,
}

impl Watch {
    pub(crate) fn new(stop: Stop, ends: std::sync::Arc<[u32]>, decoder: Decoder) -> Self {
        Self {
            stop,
            ends,
            decoder,
            waiting: VecDeque::new(),
            text: String::new(),
            released: 0,
            decoded: VecDeque::new(),
            begin: 0,
        }
    }

    /// Takes the next token; true if the completion ends with it. What became certain is in `out`.
    pub(crate) fn push(&mut self, id: u32, logprob: Option<TokenLogprob>, out: &mut Released) -> bool {
        if self.ends.binary_search(&id).is_ok() {
            self.finish(out);
            return true;
        }
        self.waiting.push_back(Token { id, logprob });
        if let Some(len) = self.stop_sequence() {
            self.waiting.truncate(self.waiting.len() - len);
            self.finish(out);
            return true;
        }
        let wait = self.beginning_of_sequence();
        while self.waiting.len() > wait {
            let token = self.waiting.pop_front().expect("longer than `wait`");
            if self.decode(token) {
                self.release_all(out);
                return true;
            }
        }
        let certain = self.text.len() - self.beginning_of_string();
        self.release(certain, out);
        false
    }

    /// Nothing follows: releases all but a stop string and what is behind it; true if there was
    /// one. A character whose bytes are not all there is dropped.
    pub(crate) fn finish(&mut self, out: &mut Released) -> bool {
        let mut found = false;
        while !found && let Some(token) = self.waiting.pop_front() {
            found = self.decode(token);
        }
        self.release_all(out);
        found
    }

    /// Length of the stop sequence that the completion ends with.
    fn stop_sequence(&self) -> Option<usize> {
        let sequences = self.stop.tokens.iter();
        let found = sequences.filter(|sequence| {
            let start = self.waiting.len().checked_sub(sequence.len());
            start.is_some_and(|start| self.waiting.range(start..).map(|token| token.id).eq(sequence.iter().copied()))
        });
        found.map(Vec::len).max()
    }

    /// Length of the longest suffix of `waiting` that begins a stop sequence.
    fn beginning_of_sequence(&self) -> usize {
        (1..=self.waiting.len())
            .rev()
            .find(|&len| {
                let suffix = || self.waiting.range(self.waiting.len() - len..).map(|token| token.id);
                self.stop
                    .tokens
                    .iter()
                    .any(|sequence| sequence.len() > len && suffix().eq(sequence[..len].iter().copied()))
            })
            .unwrap_or(0)
    }

    /// Adds the token's text. True if that completed a stop string: then `text` ends before it,
    /// and `decoded` with the last token that has a part in the text.
    fn decode(&mut self, token: Token) -> bool {
        let whole = self.decoder.push(token.id);
        let grown = !whole.is_empty();
        self.text.push_str(whole);
        let unfinished = usize::from(self.decoder.held_bytes() > 0);
        self.decoded.push_back((self.released + self.text.len() + unfinished, token));
        if !grown {
            return false;
        }
        // The earliest beginning wins, so that the text is cut before all of them.
        let Some(end) = self.stop.strings.iter().filter_map(|string| self.text.find(string.as_str())).min() else {
            return false;
        };
        self.text.truncate(end);
        // A token that goes beyond the cut stays if it began before it.
        while let Some(last) = self.decoded.len().checked_sub(1) {
            let begin = last.checked_sub(1).map_or(self.begin, |before| self.decoded[before].0);
            if begin < self.released + end {
                break;
            }
            self.decoded.pop_back();
        }
        true
    }

    /// Length of the longest suffix of `text` that begins a stop string.
    fn beginning_of_string(&self) -> usize {
        self.stop
            .strings
            .iter()
            .map(|string| {
                let longest = self.text.len().min(string.len() - 1);
                (1..=longest)
                    .rev()
                    .find(|&len| {
                        string.is_char_boundary(len) && self.text.as_bytes().ends_with(&string.as_bytes()[..len])
                    })
                    .unwrap_or(0)
            })
            .max()
            .unwrap_or(0)
    }

    /// Moves the first `len` bytes of the text out, with the tokens that are done within them.
    fn release(&mut self, len: usize, out: &mut Released) {
        out.text.push_str(&self.text[..len]);
        self.text.drain(..len);
        self.released += len;
        while let Some((end, token)) = self.decoded.pop_front_if(|(end, _)| *end <= self.released) {
            self.begin = end;
            out.ids.push(token.id);
            out.logprobs.extend(token.logprob);
        }
    }

    /// Moves everything out.
    fn release_all(&mut self, out: &mut Released) {
        out.text.push_str(&self.text);
        self.text.clear();
        for (_, token) in self.decoded.drain(..) {
            out.ids.push(token.id);
            out.logprobs.extend(token.logprob);
        }
    }
}

#[cfg(test)]
mod tests;
