//! Finds special tokens in a text: the leftmost one, and of those the longest.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::{
    error::Error,
    vocab::{TokenKind, Tokens},
};

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

    /// Calls `plain` and `special` for the pieces of `text` in order.
    pub(crate) fn split<'t>(&self, text: &'t str, mut piece: impl FnMut(Piece<'t>)) {
        let mut done = 0;
        for found in self.search.find_iter(text) {
            if done < found.start() {
                piece(Piece::Plain(&text[done..found.start()]));
            }
            piece(Piece::Special(self.ids[found.pattern().as_usize()]));
            done = found.end();
        }
        if done < text.len() {
            piece(Piece::Plain(&text[done..]));
        }
    }
}

/// A part of a text.
pub(crate) enum Piece<'t> {
    /// Text between special tokens; never empty.
    Plain(&'t str),
    /// A special token.
    Special(u32),
}
