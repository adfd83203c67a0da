//! What may become a call, as written.

use std::ops::Range;

/// The text that is held back, from where a call may have begun.
///
/// It grows by one character at a time and must not be read again from its front each time: then an answer
/// would take the square of its length. All reading goes through here, so that tests can count it.
#[derive(Default)]
pub(super) struct Held {
    text: String,
    /// Bytes read so far.
    #[cfg(test)]
    read: std::cell::Cell<u64>,
}

impl Held {
    pub(super) fn push(&mut self, c: char) {
        self.text.push(c);
    }

    pub(super) fn pop(&mut self) {
        self.text.pop();
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
    }

    /// Leaves nothing.
    pub(super) fn take(&mut self) -> String {
        self.count(self.text.len());
        std::mem::take(&mut self.text)
    }

    /// In bytes.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn last(&self) -> Option<char> {
        self.count(1);
        self.text.chars().next_back()
    }

    /// What stands in a range of bytes.
    pub(super) fn get(&self, range: Range<usize>) -> &str {
        self.count(range.len());
        &self.text[range]
    }

    /// What stands behind `from`.
    pub(super) fn behind(&self, from: usize) -> &str {
        self.get(from..self.text.len())
    }

    /// Whether what stands behind `from` ends in `end`.
    pub(super) fn ends_in(&self, from: usize, end: &str) -> bool {
        self.count(end.len());
        self.text[from..].ends_with(end)
    }

    #[cfg(test)]
    fn count(&self, bytes: usize) {
        self.read.set(self.read.get() + bytes as u64);
    }

    #[cfg(not(test))]
    fn count(&self, _: usize) {}

    /// How many bytes have been read, some of them more than once.
    #[cfg(test)]
    pub(super) fn bytes_read(&self) -> u64 {
        self.read.get()
    }
}
