//! Emphasis, code and links within a line, as soon as each is clear.

use super::style::{CYAN, Style};

/// A mark whose partner does not come within so many bytes stands for itself.
const SPAN_BYTES_MAX: usize = 600;

/// A line of text.
pub struct Inline {
    style: Style,
    color: bool,
    /// What is not clear yet.
    held: String,
    /// The character before it.
    before: Option<char>,
}

type Pieces = Vec<(Style, String)>;

impl Inline {
    pub fn new(style: Style, color: bool) -> Self {
        Self { style, color, held: String::new(), before: None }
    }

    /// The pieces that are clear with this; all of them where the line is whole.
    pub fn push(&mut self, text: &str, whole: bool) -> Pieces {
        if !self.color {
            return vec![(Style::PLAIN, text.to_owned())];
        }
        self.held.push_str(text);
        let mut pieces = Vec::new();
        let used = parse(&self.held, self.before, self.style, whole, &mut pieces);
        self.before = self.held[..used].chars().next_back().or(self.before);
        self.held.drain(..used);
        pieces
    }
}

/// The pieces of a text that is whole.
pub fn whole(text: &str, style: Style) -> Pieces {
    let mut pieces = Vec::new();
    parse(text, None, style, true, &mut pieces);
    pieces
}

/// What a mark turns out to be.
enum Mark {
    /// It cannot be told yet.
    Unclear,
    /// So many bytes stand for themselves.
    Literal(usize),
    /// So many bytes are these pieces.
    Span(usize, Pieces),
}

/// Reads as much as is clear; says how much that is.
fn parse(text: &str, mut before: Option<char>, style: Style, whole: bool, pieces: &mut Pieces) -> usize {
    let mut place = 0;
    while place < text.len() {
        let rest = &text[place..];
        let plain = rest.find(['\\', '`', '*', '_', '~', '[']).unwrap_or(rest.len());
        if plain > 0 {
            pieces.push((style, rest[..plain].to_owned()));
            before = rest[..plain].chars().next_back();
            place += plain;
            continue;
        }
        let waits = !whole && rest.len() < SPAN_BYTES_MAX;
        match mark(rest, before, style, waits) {
            Mark::Unclear => return place,
            Mark::Literal(length) => {
                pieces.push((style, rest[..length].to_owned()));
                before = rest[..length].chars().next_back();
                place += length;
            }
            Mark::Span(length, span) => {
                pieces.extend(span);
                before = rest[..length].chars().next_back();
                place += length;
            }
        }
    }
    place
}

fn mark(rest: &str, before: Option<char>, style: Style, waits: bool) -> Mark {
    match rest.as_bytes()[0] {
        b'\\' => match rest[1..].chars().next() {
            None if waits => Mark::Unclear,
            Some(c) if c.is_ascii_punctuation() => Mark::Span(2, vec![(style, c.to_string())]),
            _ => Mark::Literal(1),
        },
        b'`' => code(rest, style, waits),
        b'[' => link(rest, style, waits),
        _ => emphasis(rest, before, style, waits),
    }
}

fn run(text: &str) -> usize {
    let first = text.as_bytes()[0];
    text.bytes().take_while(|byte| *byte == first).count()
}

fn code(rest: &str, style: Style, waits: bool) -> Mark {
    let ticks = run(rest);
    if ticks == rest.len() && waits {
        return Mark::Unclear;
    }
    let mut place = ticks;
    while let Some(at) = rest[place..].find('`') {
        let begin = place + at;
        let length = run(&rest[begin..]);
        if begin + length == rest.len() && waits && length <= ticks {
            return Mark::Unclear;
        }
        if length == ticks {
            let inner = &rest[ticks..begin];
            let padded = inner.len() > 2 && inner.starts_with(' ') && inner.ends_with(' ');
            let inner = if padded { &inner[1..inner.len() - 1] } else { inner };
            return Mark::Span(begin + length, vec![(style.and(Style::color(CYAN)), inner.to_owned())]);
        }
        place = begin + length;
    }
    if waits { Mark::Unclear } else { Mark::Literal(ticks) }
}

fn link(rest: &str, style: Style, waits: bool) -> Mark {
    let unclear = if waits { Mark::Unclear } else { Mark::Literal(1) };
    let Some(end) = rest.find(']') else { return unclear };
    match rest[end + 1..].chars().next() {
        None => return unclear,
        Some('(') => {}
        Some(_) => return Mark::Literal(1),
    }
    let target = &rest[end + 2..];
    let Some(close) = target.find(')') else { return unclear };
    let (text, url) = (&rest[1..end], target[..close].split_whitespace().next().unwrap_or_default());
    let mut pieces = whole(text, style.and(Style { underline: true, ..Style::PLAIN }));
    if !url.is_empty() && url != text {
        pieces.push((style.and(Style::DIM), format!(" ({url})")));
    }
    Mark::Span(end + 2 + close + 1, pieces)
}

fn emphasis(rest: &str, before: Option<char>, style: Style, waits: bool) -> Mark {
    let length = run(rest);
    let Some(next) = rest[length..].chars().next() else {
        return if waits { Mark::Unclear } else { Mark::Literal(length) };
    };
    let mark = rest.as_bytes()[0];
    let look = match (mark, length) {
        (b'~', 2) => Style { strike: true, ..Style::PLAIN },
        (b'*' | b'_', 1) => Style { italic: true, ..Style::PLAIN },
        (b'*' | b'_', 2) => Style::BOLD,
        (b'*' | b'_', 3) => Style { bold: true, italic: true, ..Style::PLAIN },
        _ => return Mark::Literal(length),
    };
    // `snake_case` and `2*3*4` are no emphasis; `**` between Chinese characters is.
    let inside_word = before.is_some_and(|c| c.is_ascii_alphanumeric());
    if next.is_whitespace() || (inside_word && (mark == b'_' || length == 1)) {
        return Mark::Literal(length);
    }
    let mut place = length;
    while let Some(at) = rest[place..].find(mark as char) {
        let begin = place + at;
        let closing = run(&rest[begin..]);
        let spaced = rest[..begin].ends_with(char::is_whitespace);
        let after = rest[begin + closing..].chars().next();
        if after.is_none() && waits {
            return Mark::Unclear;
        }
        let in_word = mark == b'_' && after.is_some_and(|c| c.is_ascii_alphanumeric());
        if closing == length && !spaced && !in_word {
            return Mark::Span(begin + closing, whole(&rest[length..begin], style.and(look)));
        }
        place = begin + closing;
    }
    if waits { Mark::Unclear } else { Mark::Literal(length) }
}
