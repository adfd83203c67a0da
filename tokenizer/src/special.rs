//! Finds special tokens in a text: the leftmost one, and of those the longest; and marks those
//! that are not meant.

use std::{borrow::Cow, collections::BTreeMap};

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, Match, MatchKind};

use crate::{
    error::Error,
    vocab::{TokenKind, Tokens},
};

/// Stands before the spelling of a control token that is meant as text. It is a noncharacter:
/// Unicode keeps it for such inner use, and no text has it for a meaning of its own.
const QUOTE: char = '\u{fdd0}';

pub(crate) struct Specials {
    search: AhoCorasick,
    /// Token of each pattern.
    ids: Vec<u32>,
    by_text: BTreeMap<Box<[u8]>, u32>,
}

impl Specials {
    pub(crate) fn new(tokens: &Tokens) -> Result<Self, Error> {
        let mut by_text = BTreeMap::new();
        let mut ids = Vec::new();
        for id in 0..tokens.len() as u32 {
            if !tokens.kind(id).is_some_and(TokenKind::is_special) {
                continue;
            }
            let bytes = tokens.bytes(id);
            if let Some(first) = by_text.insert(Box::from(bytes), id) {
                let text = String::from_utf8_lossy(bytes).into_owned();
                return Err(Error::Duplicate { first, second: id, text });
            }
            ids.push(id);
        }
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(ids.iter().map(|id| tokens.bytes(*id)))
            .map_err(|error| Error::Specials { reason: error.to_string() })?;
        Ok(Self { search, ids, by_text })
    }

    /// The special token written exactly so.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.by_text.get(text.as_bytes()).copied()
    }

    /// Calls `piece` for the pieces of `text` in order.
    pub(crate) fn split<'t>(&self, text: &'t str, mut piece: impl FnMut(Piece<'t>)) {
        let mut done = 0;
        for found in self.search.find_iter(text) {
            if done < found.start() {
                piece(Piece::Plain(&text[done..found.start()]));
            }
            piece(Piece::Special(self.id(&found)));
            done = found.end();
        }
        if done < text.len() {
            piece(Piece::Plain(&text[done..]));
        }
    }

    /// Like [`split`](Self::split), but what [`quote`](Self::quote) has marked is plain.
    pub(crate) fn split_quoted(&self, text: &str, mut piece: impl FnMut(Piece<'_>)) {
        let (mut done, mut at) = (0, 0);
        let plain = |text: &str, piece: &mut dyn FnMut(Piece<'_>)| match without_quotes(text) {
            text if text.is_empty() => {}
            text => piece(Piece::Plain(&text)),
        };
        while let Some(found) = self.find_from(text, at) {
            if text[done..found.start()].ends_with(QUOTE) {
                at = second_char(text, found.start());
                continue;
            }
            plain(&text[done..found.start()], &mut piece);
            piece(Piece::Special(self.id(&found)));
            (done, at) = (found.end(), found.end());
        }
        plain(&text[done..], &mut piece);
    }

    /// `text` with every control token in it marked as text.
    pub(crate) fn quote<'t>(&self, tokens: &Tokens, text: &'t str) -> Cow<'t, str> {
        let text = without_quotes(text);
        let mut marked = String::new();
        let (mut done, mut at) = (0, 0);
        // Spellings may overlap, and one that is marked lets the next one count.
        while let Some(found) = self.find_from(&text, at) {
            if tokens.kind(self.id(&found)) == Some(TokenKind::Control) {
                marked.push_str(&text[done..found.start()]);
                marked.push(QUOTE);
                done = found.start();
            }
            at = second_char(&text, found.start());
        }
        if marked.is_empty() {
            return text;
        }
        marked.push_str(&text[done..]);
        Cow::Owned(marked)
    }

    fn find_from(&self, text: &str, at: usize) -> Option<Match> {
        self.search.find(Input::new(text).range(at..))
    }

    fn id(&self, found: &Match) -> u32 {
        self.ids[found.pattern().as_usize()]
    }
}

/// Where the character after the one at `at` begins.
fn second_char(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(0, char::len_utf8)
}

fn without_quotes(text: &str) -> Cow<'_, str> {
    if text.contains(QUOTE) { Cow::Owned(text.replace(QUOTE, "")) } else { Cow::Borrowed(text) }
}

/// A part of a text.
pub(crate) enum Piece<'t> {
    /// Text between special tokens; never empty.
    Plain(&'t str),
    /// A special token.
    Special(u32),
}
