//! Turns tokens back into text as they come, a whole character at a time.

use std::{fmt, sync::Arc};

use crate::Tables;

/// Turns ids into text one by one, holding back the bytes of a character until it is whole.
///
/// Control tokens and ids outside the vocabulary give no text. Bytes that are not UTF-8 become
/// U+FFFD as soon as that is certain, at the latest in [`finish`](Self::finish): all pieces
/// together are what [`String::from_utf8_lossy`] makes of all the bytes.
#[derive(Clone)]
pub struct Decoder {
    tables: Arc<Tables>,
    text: String,
    utf8: Utf8,
}

impl Decoder {
    pub(crate) fn new(tables: Arc<Tables>) -> Self {
        Self { tables, text: String::new(), utf8: Utf8::default() }
    }

    /// The characters that became whole with token `id`; often none, sometimes several.
    pub fn push(&mut self, id: u32) -> &str {
        self.text.clear();
        if self.tables.tokens.kind(id).is_some_and(|kind| kind.is_shown()) {
            self.utf8.push(self.tables.tokens.bytes(id), &mut self.text);
        }
        &self.text
    }

    /// Bytes held back because their character is not whole yet: 0 to 3.
    pub fn held_bytes(&self) -> usize {
        self.utf8.held_len
    }

    /// Ends the text: U+FFFD if a character was left unfinished, else nothing.
    #[must_use = "the text may end in an unfinished character"]
    pub fn finish(mut self) -> String {
        self.text.clear();
        self.utf8.finish(&mut self.text);
        self.text
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("held_bytes", &self.held_bytes()).finish_non_exhaustive()
    }
}

/// The start of a character that is not whole yet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Utf8 {
    held: [u8; 4],
    held_len: usize,
}

impl Utf8 {
    /// Appends to `out` all of the bytes so far that are decided.
    pub(crate) fn push(&mut self, mut bytes: &[u8], out: &mut String) {
        while self.held_len > 0 {
            let Some((next, rest)) = bytes.split_first() else { return };
            self.held[self.held_len] = *next;
            match std::str::from_utf8(&self.held[..=self.held_len]) {
                Ok(character) => {
                    out.push_str(character);
                    self.held_len = 0;
                    bytes = rest;
                }
                Err(error) if error.error_len().is_none() => {
                    self.held_len += 1;
                    bytes = rest;
                }
                // What was held can never become a character, and the next byte is not part of it.
                Err(_) => self.finish(out),
            }
        }
        for chunk in bytes.utf8_chunks() {
            out.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let unfinished = std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
            if unfinished {
                // Only at the very end of the bytes can a character be unfinished.
                self.held[..invalid.len()].copy_from_slice(invalid);
                self.held_len = invalid.len();
            } else if !invalid.is_empty() {
                out.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    /// Gives up on what is held.
    pub(crate) fn finish(&mut self, out: &mut String) {
        if self.held_len > 0 {
            out.push(char::REPLACEMENT_CHARACTER);
            self.held_len = 0;
        }
    }
}
