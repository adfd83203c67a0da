//! What is around calls and between them: where one may begin, what is held back, when it is text after all.

use std::sync::Arc;

use super::{
    Fed, Menu, Piece, Reader, argue,
    held::Held,
    marks::{self, Mark, Wrap, Wraps},
    object::CallObject,
    say,
    state::State,
    xml::Function,
};

/// Reads one choice's answer.
pub(crate) struct Parser {
    menu: Arc<Menu>,
    state: State,
    /// Blanks in front of what is held: they are text unless a call follows.
    blank: String,
    /// What may become a call, as written.
    held: Held,
    /// What has been opened and not closed around the calls.
    open: Wraps,
    /// The last character of text since the answer began or a call ended.
    last: Option<char>,
    /// The text has opened a fence that it has not closed.
    fenced: bool,
    begun: u32,
    done: u32,
}

/// Most characters on the line of a fence.
const LABEL_MAX: usize = 24;

impl Parser {
    /// Nothing has been read.
    pub(crate) fn new(menu: Arc<Menu>) -> Self {
        Self {
            menu,
            state: State::Text,
            blank: String::new(),
            held: Held::default(),
            open: Wraps::default(),
            last: None,
            fenced: false,
            begun: 0,
            done: 0,
        }
    }

    /// More of the answer. Pieces come in order; what may still become a call is held back.
    pub(crate) fn push(&mut self, text: &str, out: &mut Vec<Piece>) {
        for c in text.chars() {
            if self.full() {
                return;
            }
            // What was refused is text; the character that shows it may begin something new.
            if !self.take(c, out) {
                self.refuse(out);
                let taken = self.take(c, out);
                debug_assert!(taken, "text refuses nothing");
            }
        }
    }

    /// The answer ended, cut off or not: what was held back is decided.
    pub(crate) fn end(&mut self, out: &mut Vec<Piece>) {
        if self.menu.forced && !matches!(self.state, State::Text) {
            // The grammar lets only calls through: what was cut before one began is the marks around it.
            self.state = State::Text;
            self.held.clear();
            return self.blank.clear();
        }
        self.refuse(out);
        if !self.blank.is_empty() {
            say(out, &std::mem::take(&mut self.blank));
        }
    }

    /// Calls made so far.
    #[cfg(test)]
    pub(super) fn calls(&self) -> u32 {
        self.begun
    }

    /// Bytes of held text that were read so far, some more than once.
    #[cfg(test)]
    pub(super) fn bytes_read(&self) -> u64 {
        self.held.bytes_read()
    }

    /// Whether `calls_max` calls are complete, so that the rest of the answer is not wanted.
    pub(crate) fn full(&self) -> bool {
        self.done >= self.menu.calls_max
    }

    /// Reads one character; false if it shows that what is held is no call.
    fn take(&mut self, c: char, out: &mut Vec<Piece>) -> bool {
        match self.state {
            State::Text => {
                self.text(c, out);
                true
            }
            State::Mark { from, behind } => self.mark(c, from, behind, out),
            State::Label { len } => self.label(c, len),
            State::Body => self.body(c),
            State::Call(_) => self.call(c, out),
            State::Between => self.between(c),
        }
    }

    fn text(&mut self, c: char, out: &mut Vec<Piece>) {
        if c.is_ascii_whitespace() {
            return self.blank.push(c);
        }
        // Chinese has no blank before what follows.
        let word_begins = !self.blank.is_empty() || self.last.is_none_or(|last| last == ':' || !last.is_ascii());
        self.state = match c {
            '<' => State::Mark { from: 0, behind: false },
            '`' if word_begins || self.line_begins() => State::Mark { from: 0, behind: false },
            '{' if word_begins => State::object(),
            '[' if word_begins => {
                self.open.open(Wrap::List);
                State::Body
            }
            _ => {
                say(out, &std::mem::take(&mut self.blank));
                say(out, c.encode_utf8(&mut [0; 4]));
                self.last = Some(c);
                return;
            }
        };
        self.held.push(c);
    }

    /// Whether nothing but blanks stands on the line.
    fn line_begins(&self) -> bool {
        self.last.is_none() || self.blank.contains('\n')
    }

    fn mark(&mut self, c: char, from: usize, behind: bool, out: &mut Vec<Piece>) -> bool {
        self.held.push(c);
        match marks::read(self.held.behind(from)) {
            Some(Mark::Part) => {}
            Some(Mark::Function) => self.state = State::Call(Reader::Xml(Function::new(self.held.len()))),
            Some(Mark::Fence) if behind && self.open.close(Wrap::Fence) => self.over(),
            // The end of a fence in the text is not the beginning of another.
            Some(Mark::Fence) if self.fenced && from == 0 => {
                self.refuse(out);
                self.fenced = false;
            }
            Some(Mark::Fence) if self.open.takes(Wrap::Fence) => self.state = State::Label { len: 0 },
            Some(Mark::Open) if self.open.has_room() => {
                self.open.open(Wrap::Tag);
                self.state = State::Body;
            }
            // Models close what they did not open, and open one thing and close another.
            Some(Mark::Close) if behind => {
                self.open.close(Wrap::Tag);
                self.over();
            }
            _ => {
                self.held.pop();
                return false;
            }
        }
        true
    }

    fn label(&mut self, c: char, len: usize) -> bool {
        match c {
            '\n' | '{' | '[' => {
                self.open.open(Wrap::Fence);
                self.state = State::Body;
                return self.body(c);
            }
            ' ' if len == 0 && !self.line_begins() => return false,
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' | '+' | ' ' | '\r' if len < LABEL_MAX => {
                self.held.push(c);
                self.state = State::Label { len: len + 1 };
            }
            _ => return false,
        }
        true
    }

    fn body(&mut self, c: char) -> bool {
        match c {
            _ if c.is_ascii_whitespace() => {}
            '<' | '`' => self.state = State::Mark { from: self.held.len(), behind: false },
            '{' => self.state = State::object(),
            '[' if self.open.takes(Wrap::List) => self.open.open(Wrap::List),
            _ => return false,
        }
        self.held.push(c);
        true
    }

    fn between(&mut self, c: char) -> bool {
        self.state = match c {
            _ if c.is_ascii_whitespace() => return true,
            ',' if self.open.contains(Wrap::List) => return true,
            ']' => return self.open.close(Wrap::List),
            '}' => return self.open.close(Wrap::Brace),
            '<' | '`' => State::Mark { from: 0, behind: true },
            '{' => State::object(),
            '[' if self.open.has_room() => {
                self.open.open(Wrap::List);
                State::Body
            }
            _ => return false,
        };
        self.held.push(c);
        true
    }

    /// One character of what is being read as a call.
    fn call(&mut self, c: char, out: &mut Vec<Piece>) -> bool {
        let State::Call(reader) = &mut self.state else { return false };
        self.held.push(c);
        if let Reader::Json(object) = reader
            && object.doubled(c)
            && self.open.takes(Wrap::Brace)
        {
            self.open.open(Wrap::Brace);
            *object = CallObject::new();
            return true;
        }
        let before = reader.begun();
        let fed = reader.feed(&self.held, &self.menu, out);
        let begun = reader.begun();
        self.begun += u32::from(begun && !before);
        match fed {
            Fed::More => {}
            Fed::Refused => {
                self.held.pop();
                return false;
            }
            Fed::Done if begun => {
                self.done += 1;
                self.over();
            }
            Fed::Done => match reader.call(&self.held, &self.menu) {
                Some((name, arguments)) => {
                    out.push(Piece::Call { name });
                    argue(out, &arguments);
                    self.begun += 1;
                    self.done += 1;
                    self.over();
                }
                // All of it is text, with its last character.
                None => self.refuse(out),
            },
        }
        true
    }

    /// A call, or a mark behind one, is over; neither it nor the blanks around it are text.
    fn over(&mut self) {
        self.state = State::Between;
        self.held.clear();
        self.blank.clear();
        self.last = None;
    }

    /// What is held is text, unless it was handed out as a call that did not end.
    fn refuse(&mut self, out: &mut Vec<Piece>) {
        let state = std::mem::replace(&mut self.state, State::Text);
        let held = self.held.take();
        self.open.clear();
        if matches!(&state, State::Call(reader) if reader.begun()) {
            self.blank.clear();
            self.last = None;
        } else if let Some(last) = held.chars().next_back() {
            // Three backticks within a line may be nothing but that.
            let fenced = held.starts_with(marks::FENCE) && (self.line_begins() || held.contains('\n'));
            say(out, &std::mem::take(&mut self.blank));
            say(out, &held);
            self.fenced |= fenced;
            self.last = Some(last);
        }
    }
}
