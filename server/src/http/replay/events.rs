//! Finds the events in what a handler writes, and gives those an id that have none.

use axum::body::Bytes;
use qwenda_types::Dialect;

/// Cuts a stream into its events. Comments that stand alone are left out: they tell only that a
/// connection lives, and each reader has its own.
#[derive(Debug)]
pub(super) struct Events {
    dialect: Dialect,
    held: Vec<u8>,
    count: u64,
    // What the last event says about how the stream ended.
    whole: bool,
}

impl Events {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, held: Vec::new(), count: 0, whole: false }
    }

    /// Takes more bytes and returns the events they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Bytes> {
        self.held.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut from = 0;
        while let Some(length) = self.held[from..].windows(2).position(|pair| pair == b"\n\n") {
            let to = from + length + 2;
            events.extend(self.event(from, to));
            from = to;
        }
        self.held.drain(..from);
        events
    }

    /// Whether the stream ended as one that has said everything.
    pub(super) fn ended_whole(&self) -> bool {
        self.whole && self.held.is_empty()
    }

    fn event(&mut self, from: usize, to: usize) -> Option<Bytes> {
        let block = &self.held[from..to];
        let mut lines = block.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        if lines.clone().all(|line| line.starts_with(b":")) {
            return None;
        }
        self.count += 1;
        self.whole = match self.dialect {
            Dialect::Compat => lines.clone().any(|line| line == b"data: [DONE]"),
            Dialect::Native => !lines.clone().any(|line| line == b"event:error"),
        };
        if lines.any(|line| line.starts_with(b"id:")) {
            return Some(Bytes::copy_from_slice(block));
        }
        Some([format!("id: {}\n", self.count).as_bytes(), block].concat().into())
    }
}

#[cfg(test)]
mod tests {
    use qwenda_types::sse;

    use super::*;

    fn cut(dialect: Dialect, pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let mut events = Events::new(dialect);
        let found = pieces.iter().flat_map(|piece| events.push(piece)).collect::<Vec<_>>();
        let texts = found.into_iter().map(|event| String::from_utf8(event.to_vec()).unwrap()).collect();
        (texts, events.ended_whole())
    }

    #[test]
    fn events_are_found_and_counted_wherever_the_bytes_are_cut() {
        let text = sse::data("{}") + &sse::comment("keep-alive") + &sse::data("a\nb") + &sse::data("[DONE]");
        let want = ["id: 1\ndata: {}\n\n", "id: 2\ndata: a\ndata: b\n\n", "id: 3\ndata: [DONE]\n\n"];
        let want = (want.map(str::to_owned).to_vec(), true);
        let bytes = text.as_bytes();
        for at in 0..=bytes.len() {
            assert_eq!(cut(Dialect::Compat, &[&bytes[..at], &bytes[at..]]), want, "cut at {at}");
        }
        assert_eq!(cut(Dialect::Compat, &bytes.chunks(1).collect::<Vec<_>>()), want);
    }

    #[test]
    fn ids_that_are_there_are_kept() {
        let text = sse::native(1, "{}") + &sse::native(2, "{\"id:\":1}");
        let (events, whole) = cut(Dialect::Native, &[text.as_bytes()]);
        assert_eq!((events.concat(), whole), (text, true));
        assert_eq!(events.len(), 2);
    }

    #[test]
    fn a_stream_that_ends_with_an_error_or_in_the_middle_is_not_whole() {
        let compat = |text: &str| cut(Dialect::Compat, &[text.as_bytes()]).1;
        assert!(!compat(""));
        assert!(!compat(&sse::data("{}")));
        assert!(!compat(&(sse::data("{}") + &sse::data("{\"error\":{}}"))));
        assert!(!compat("data: [DONE]\n"));
        let native = |text: &str| cut(Dialect::Native, &[text.as_bytes()]).1;
        assert!(!native(&(sse::native(1, "{}") + &sse::native_error(2, 500, "{}"))));
        assert!(!native(&(sse::native(1, "{}") + "id:2\n")));
    }
}
