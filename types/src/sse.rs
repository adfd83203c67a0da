//! Server-sent events: an encoder, and a decoder that is pushed bytes as they come. No IO.
//!
//! The decoder follows the event-stream format of the HTML standard: lines end in LF, CRLF or CR,
//! one byte-order mark may stand first, a field may be cut anywhere between two pushes, comments are
//! skipped unless they are asked for. Unlike a browser it hands out the last event even when the blank line after it is
//! missing ([`Decoder::finish`]): several services end their streams so.

use std::borrow::Cow;

use memchr::memchr2;

/// The data of the event that ends an OpenAI-compatible stream.
pub const DONE: &str = "[DONE]";

/// Largest event a [`Decoder`] takes unless told otherwise: 16 MiB.
pub const EVENT_BYTES_MAX: usize = 16 << 20;

/// Writes one event that has only data.
///
/// # Example
/// ```
/// assert_eq!(qwenda_types::sse::data("{}"), "data: {}\n\n");
/// ```
pub fn data(data: &str) -> String {
    event(None, data)
}

/// Writes one event that can be resumed after: `id` is what a reader sends back as `Last-Event-ID`.
///
/// # Example
/// ```
/// assert_eq!(qwenda_types::sse::event(Some("7"), "{}"), "id: 7\ndata: {}\n\n");
/// ```
pub fn event(id: Option<&str>, data: &str) -> String {
    let mut out = String::with_capacity(data.len() + 8 + id.map_or(0, |id| id.len() + 5));
    if let Some(id) = id {
        out.push_str("id: ");
        out.push_str(&id.replace(['\r', '\n', '\0'], ""));
        out.push('\n');
    }
    // A CR would end the line too: what is written as one line must be read as one.
    for line in data.replace("\r\n", "\n").split(['\r', '\n']) {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
    out
}

/// Writes one event of the native dialect: `json` is one line, `id` counts from 1.
///
/// # Example
/// ```
/// assert_eq!(qwenda_types::sse::native(1, "{}"), "id:1\nevent:result\n:HTTP_STATUS/200\ndata:{}\n\n");
/// ```
pub fn native(id: u64, json: &str) -> String {
    format!("id:{id}\nevent:result\n:HTTP_STATUS/200\ndata:{json}\n\n")
}

/// Writes the event of the native dialect that ends a stream which failed.
///
/// The dialect tells the status in a comment. DashScope's own SDK reads it from a line
/// `status:NNN` instead, and reports 400 where there is none; other readers pass over that line,
/// as over every field they do not know.
pub fn native_error(id: u64, status: u16, json: &str) -> String {
    format!("id:{id}\nevent:error\nstatus:{status}\n:HTTP_STATUS/{status}\ndata:{json}\n\n")
}

/// Writes a comment: readers skip it, the connection is seen to live.
pub fn comment(text: &str) -> String {
    format!(": {}\n\n", text.replace(['\r', '\n'], " "))
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its kind, where the sender gave one.
    pub event: Option<String>,
    /// Its data; several `data` lines are joined by LF.
    pub data: String,
    /// Its id, where the sender gave one.
    pub id: Option<String>,
    /// The status of the native dialect, where the sender gave one.
    pub status: Option<u16>,
    /// The comment that this is instead of an event; only where comments are asked for.
    pub comment: Option<String>,
}

/// The sender sent more than a reader can be asked to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {event_bytes_max} bytes")]
pub struct TooLong {
    /// The bound.
    pub event_bytes_max: usize,
}

/// Turns pushed bytes into events.
///
/// # Example
/// ```
/// use qwenda_types::sse::Decoder;
/// let mut decoder = Decoder::default();
/// assert!(decoder.push(b"data: he").unwrap().is_empty());
/// assert_eq!(decoder.push(b"llo\r\n\r\n").unwrap()[0].data, "hello");
/// ```
#[derive(Debug)]
pub struct Decoder {
    event_bytes_max: usize,
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    held_bytes: usize,
    // The last push ended in CR: a LF that follows belongs to it.
    after_cr: bool,
    first_line: bool,
    failed: bool,
    comments: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(EVENT_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder that refuses events of more than `event_bytes_max` bytes.
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            line: Vec::new(),
            event: Event::default(),
            has_data: false,
            held_bytes: 0,
            after_cr: false,
            first_line: true,
            failed: false,
            comments: false,
        }
    }

    /// Hands out comments too, in their order among the events; one within an event comes before it.
    ///
    /// # Example
    /// ```
    /// use qwenda_types::sse::Decoder;
    /// let mut decoder = Decoder::default().with_comments();
    /// assert_eq!(decoder.push(b": keep-alive\n").unwrap()[0].comment.as_deref(), Some("keep-alive"));
    /// ```
    #[must_use]
    pub fn with_comments(mut self) -> Self {
        self.comments = true;
        self
    }

    /// Takes more bytes and returns the events they complete.
    ///
    /// # Errors
    /// [`TooLong`] when an event outgrows the bound, and at every push after that.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        if self.failed {
            return Err(self.too_long());
        }
        let mut events = Vec::new();
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = memchr2(b'\n', b'\r', bytes);
            let taken = &bytes[..end.unwrap_or(bytes.len())];
            if self.held_bytes + self.line.len() + taken.len() > self.event_bytes_max {
                return Err(self.too_long());
            }
            let Some(end) = end else {
                self.line.extend_from_slice(taken);
                break;
            };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            // Most lines come whole, and are read where they lie.
            let begun = std::mem::take(&mut self.line);
            let ended = if begun.is_empty() { self.end_line(taken) } else { self.end_line(&[&begun, taken].concat()) };
            events.extend(ended);
        }
        Ok(events)
    }

    /// The event still held when the stream ended without a blank line, if it has data.
    pub fn finish(mut self) -> Option<Event> {
        if self.failed {
            return None;
        }
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            // A comment that ends so may have been cut: it is none.
            self.end_line(&line);
        }
        self.dispatch()
    }

    fn too_long(&mut self) -> TooLong {
        self.failed = true;
        self.line = Vec::new();
        self.event = Event::default();
        TooLong { event_bytes_max: self.event_bytes_max }
    }

    fn end_line(&mut self, mut line: &[u8]) -> Option<Event> {
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = match line.iter().position(|b| *b == b':') {
            Some(0) => {
                if let Some(status) = line.strip_prefix(b":HTTP_STATUS/") {
                    self.take_status(status);
                }
                let text = line[1..].strip_prefix(b" ").unwrap_or(&line[1..]);
                let comment = self.comments.then(|| String::from_utf8_lossy(text).into_owned())?;
                return Some(Event { comment: Some(comment), ..Event::default() });
            }
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        // Whole text, as it nearly always is, is looked at many bytes at a time.
        let value = || str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed);
        match name {
            b"data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(&value());
            }
            b"event" => self.event.event = Some(value().into_owned()),
            b"id" => self.event.id = Some(value().into_owned()),
            b"status" => self.take_status(value().as_bytes()),
            _ => {}
        }
        let texts = [self.event.event.as_ref(), self.event.id.as_ref()];
        self.held_bytes = self.event.data.len() + texts.into_iter().flatten().map(String::len).sum::<usize>();
        None
    }

    fn take_status(&mut self, digits: &[u8]) {
        let digits = std::str::from_utf8(digits).unwrap_or_default().trim();
        self.event.status = digits.parse().ok().or(self.event.status);
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.held_bytes = 0;
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> Vec<(Option<String>, String)> {
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for piece in pieces {
            events.extend(decoder.push(piece).unwrap());
        }
        events.extend(decoder.finish());
        events.into_iter().map(|e| (e.event, e.data)).collect()
    }

    /// Decodes `text` whole, cut in two at every place, and byte by byte; all must be alike.
    fn check(text: &str, want: &[(Option<&str>, &str)]) {
        let want: Vec<(Option<String>, String)> =
            want.iter().map(|(e, d)| (e.map(str::to_owned), (*d).to_owned())).collect();
        let bytes = text.as_bytes();
        assert_eq!(decode(&[bytes]), want, "{text:?} whole");
        for cut in 0..=bytes.len() {
            assert_eq!(decode(&[&bytes[..cut], &bytes[cut..]]), want, "{text:?} cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decode(&single), want, "{text:?} byte by byte");
    }

    #[test]
    fn events_are_alike_wherever_the_bytes_are_cut() {
        check("data: a\n\ndata: b\n\n", &[(None, "a"), (None, "b")]);
        check("data: a\r\n\r\ndata: b\r\n\r\n", &[(None, "a"), (None, "b")]);
        check("data: a\r\rdata: b\r\r", &[(None, "a"), (None, "b")]);
        check("data: a\n\r\ndata: b\r\n\n", &[(None, "a"), (None, "b")]);
        check("\u{feff}data: 你好\n\n", &[(None, "你好")]);
        check("data: a\ndata: b\n\n", &[(None, "a\nb")]);
        check("data:a\n\ndata:  b\n\ndata\n\n", &[(None, "a"), (None, " b"), (None, "")]);
        check(": keep-alive\n\ndata: {\"a\":\":\"}\n\n", &[(None, "{\"a\":\":\"}")]);
        check(
            "id:1\nevent:result\n:HTTP_STATUS/200\ndata:{\"x\":1}\n\nid:2\nevent:error\ndata:y\n\n",
            &[(Some("result"), "{\"x\":1}"), (Some("error"), "y")],
        );
        check("event: lonely\n\nretry: 5\n\ndata: x\n\n", &[(None, "x")]);
        check("data: 🙂\n\ndata: [DONE]", &[(None, "🙂"), (None, "[DONE]")]);
        check("", &[]);
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for text in ["", "a", "a\nb", "\n", "{\"k\":\"v\"}", "你\n好\n"] {
            let mut decoder = Decoder::default();
            let events = decoder.push(data(text).as_bytes()).unwrap();
            assert_eq!(events.len(), 1, "{text:?}");
            assert_eq!(events[0].data, text);
        }
        for text in ["a\rb", "a\r\nb", "\r"] {
            let events = Decoder::default().push(data(text).as_bytes()).unwrap();
            assert_eq!(events[0].data, text.replace("\r\n", "\n").replace('\r', "\n"), "{text:?}");
        }
        assert!(Decoder::default().push(comment("a\nb").as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn native_events_say_their_status() {
        let mut decoder = Decoder::default();
        let mut events = decoder.push(native(1, "{}").as_bytes()).unwrap();
        events.extend(decoder.push(native_error(2, 429, "{}").as_bytes()).unwrap());
        let event = |event: &str, id: &str, status| Event {
            event: Some(event.to_owned()),
            id: Some(id.to_owned()),
            status: Some(status),
            data: "{}".to_owned(),
            comment: None,
        };
        assert_eq!(events, [event("result", "1", 200), event("error", "2", 429)]);
    }

    #[test]
    fn an_id_is_one_line() {
        assert_eq!(event(Some("a\nb\r\0"), "x"), "id: ab\ndata: x\n\n");
    }

    #[test]
    fn an_endless_event_is_refused_and_not_kept() {
        for line in ["data: 123\n", "data: 123", "event: abc", "junk", ": comment"] {
            let mut decoder = Decoder::new(64);
            let refused = (0..100).any(|_| decoder.push(line.as_bytes()).is_err());
            // Comments and finished junk lines are not kept, so they may go on for ever.
            assert!(refused, "{line:?}");
            assert_eq!(decoder.push(b"\n\n"), Err(TooLong { event_bytes_max: 64 }));
            assert_eq!(decoder.line.capacity(), 0);
        }
        let mut decoder = Decoder::new(64);
        for _ in 0..100 {
            assert_eq!(decoder.push(b": comment\n\ndata: a\n\n").unwrap().len(), 1);
        }
    }

    #[test]
    fn comments_are_handed_out_in_their_order_to_who_asks() {
        let text = "data: a\n\n: two words\n\n:HTTP_STATUS/429\ndata: b\n:\n\n";
        let mut decoder = Decoder::default().with_comments();
        let got: Vec<String> =
            decoder.push(text.as_bytes()).unwrap().into_iter().map(|e| e.comment.unwrap_or(e.data)).collect();
        assert_eq!(got, ["a", "two words", "HTTP_STATUS/429", "", "b"]);
        assert!(Decoder::default().push(b": a\n").unwrap().is_empty());
    }

    #[test]
    fn a_large_event_in_small_pieces_is_one_event() {
        let text = "x".repeat(8 << 20);
        let sent = data(&text);
        let mut decoder = Decoder::default();
        let events: Vec<Event> = sent.as_bytes().chunks(1024).flat_map(|piece| decoder.push(piece).unwrap()).collect();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].data.len(), text.len());
    }

    #[test]
    fn any_bytes_never_panic() {
        let mut state = 7_u64;
        for _ in 0..2000 {
            let mut bytes = Vec::new();
            for _ in 0..40 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                bytes.push(b"\r\n: dataevent\xEF\xBB\xBF\xF0\x9F"[(state >> 33) as usize % 18]);
            }
            let mut decoder = Decoder::new(32);
            let _ = decoder.push(&bytes);
            decoder.finish();
        }
    }
}
