//! Tells text from tool calls in an answer while it comes, one character after the other.
//!
//! A model is shown one way to write calls and writes others too: Hermes' `<tool_call>` around a JSON
//! object, Qwen3-Coder's XML, the object in a fence, in another tag, in a list, or bare. All of them
//! are read, whichever was asked for, for whoever names a declared tool with arguments that fit its
//! schema means a call. What does not is text and comes out exactly as written.
//!
//! What may still become a call is held back; each character is looked at once, so that an answer takes
//! time in proportion to its length. `marks` knows what stands around calls, `json` and `xml` read a call
//! itself. What a request's tools mean is not decided here but by whoever makes the [`Menu`].

mod json;
mod marks;
mod xml;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use self::{
    json::CallObject,
    marks::{Mark, Wrap},
    xml::Function,
};
use super::fits::fits;

/// What may be called. Made once per request, shared by its choices.
pub(crate) struct Menu {
    /// The declared tools.
    pub(crate) tools: Vec<Callable>,
    /// Most calls of one answer: 1 unless the request takes parallel calls.
    pub(crate) calls_max: u32,
    /// A grammar holds the answer to calls, so that they can be handed out while they come.
    pub(crate) forced: bool,
}

/// A declared tool.
pub(crate) struct Callable {
    /// What it is called by.
    pub(crate) name: String,
    /// What its arguments must fit; a tool without takes none.
    pub(crate) parameters: Option<Value>,
}

impl Menu {
    fn find(&self, name: &str) -> Option<&Callable> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// Whether `arguments` are what the tool `name` takes.
    fn takes(&self, name: &str, arguments: &Value) -> bool {
        let Some(tool) = self.find(name) else { return false };
        arguments.is_object() && tool.parameters.as_ref().is_none_or(|schema| fits(schema, arguments))
    }
}

/// What an answer is made of, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// More text.
    Text(String),
    /// A call begins.
    Call { name: String },
    /// More of the arguments of the call that began last; together they are one JSON object.
    Arguments(String),
}

/// What a reader of calls says to a character.
enum Fed {
    /// It may still become a call.
    More,
    /// The call is complete.
    Done,
    /// No call is written like this.
    Refused,
}

/// What the parser is in the middle of.
enum State {
    Text,
    /// `held` ends in what may become a mark that begins at `from`, behind a call or not.
    Mark {
        from: usize,
        behind: bool,
    },
    /// Behind the backticks of a fence, on their line.
    Label {
        len: usize,
    },
    /// Behind a mark that opens; a call or another such mark must follow.
    Body,
    Call(Reader),
    /// Behind a call, or a mark behind one.
    Between,
}

/// Who reads a call.
enum Reader {
    Json(CallObject),
    Xml(Function),
}

impl Reader {
    /// Reads the last character of `held`.
    fn feed(&mut self, held: &str, menu: &Menu, out: &mut Vec<Piece>) -> Fed {
        match self {
            Self::Json(object) => object.feed(held, menu, out),
            Self::Xml(function) => function.feed(held, menu, out),
        }
    }

    /// Whether the call has been handed out as far as it came.
    fn begun(&self) -> bool {
        match self {
            Self::Json(object) => object.begun(),
            Self::Xml(function) => function.begun(),
        }
    }

    /// Of a complete call the name and the arguments, if they are those of a declared tool.
    fn call(&self, held: &str, menu: &Menu) -> Option<(String, String)> {
        match self {
            Self::Json(object) => object.call(held, menu),
            Self::Xml(function) => function.call(menu),
        }
    }
}

/// Reads one choice's answer.
pub(crate) struct Parser {
    menu: Arc<Menu>,
    state: State,
    /// Blanks in front of what is held: they are text unless a call follows.
    blank: String,
    /// What may become a call, as written.
    held: String,
    /// What has been opened and not closed around the calls.
    open: Vec<Wrap>,
    /// The last character of text since the answer began or a call ended.
    last: Option<char>,
    /// The text has opened a fence that it has not closed.
    fenced: bool,
    begun: u32,
    done: u32,
}

/// Most marks around one call: a fence, a tag, a list, a doubled brace.
const WRAPS_MAX: usize = 4;

/// Most characters on the line of a fence.
const LABEL_MAX: usize = 24;

impl Parser {
    /// Nothing has been read.
    pub(crate) fn new(menu: Arc<Menu>) -> Self {
        Self {
            menu,
            state: State::Text,
            blank: String::new(),
            held: String::new(),
            open: Vec::new(),
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
        self.refuse(out);
        if !self.blank.is_empty() {
            say(out, &std::mem::take(&mut self.blank));
        }
    }

    /// Calls made so far.
    #[cfg(test)]
    fn calls(&self) -> u32 {
        self.begun
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
        let line_begins = self.last.is_none() || self.blank.contains('\n');
        // Chinese has no blank before what follows.
        let word_begins = !self.blank.is_empty() || self.last.is_none_or(|last| last == ':' || !last.is_ascii());
        self.state = match c {
            '<' => State::Mark { from: 0, behind: false },
            '`' if line_begins => State::Mark { from: 0, behind: false },
            '{' if word_begins => object(),
            '[' if word_begins => {
                self.open.push(Wrap::List);
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

    fn mark(&mut self, c: char, from: usize, behind: bool, out: &mut Vec<Piece>) -> bool {
        self.held.push(c);
        let room = self.open.len() < WRAPS_MAX;
        match marks::read(&self.held[from..]) {
            Some(Mark::Part) => {}
            Some(Mark::Function) => self.state = State::Call(Reader::Xml(Function::new(self.held.len()))),
            Some(Mark::Fence) if behind && self.close(Wrap::Fence) => self.over(),
            // The end of a fence in the text is not the beginning of another.
            Some(Mark::Fence) if self.fenced && from == 0 => {
                self.refuse(out);
                self.fenced = false;
            }
            Some(Mark::Fence) if room && !self.open.contains(&Wrap::Fence) => self.state = State::Label { len: 0 },
            Some(Mark::Open) if room => {
                self.open.push(Wrap::Tag);
                self.state = State::Body;
            }
            // Models close what they did not open, and open one thing and close another.
            Some(Mark::Close) if behind => {
                self.close(Wrap::Tag);
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
                self.open.push(Wrap::Fence);
                self.state = State::Body;
                return self.body(c);
            }
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
            '{' => self.state = object(),
            '[' if self.open.len() < WRAPS_MAX && !self.open.contains(&Wrap::List) => self.open.push(Wrap::List),
            _ => return false,
        }
        self.held.push(c);
        true
    }

    fn between(&mut self, c: char) -> bool {
        self.state = match c {
            _ if c.is_ascii_whitespace() => return true,
            ',' if self.open.contains(&Wrap::List) => return true,
            ']' => return self.close(Wrap::List),
            '}' => return self.close(Wrap::Brace),
            '<' | '`' => State::Mark { from: 0, behind: true },
            '{' => object(),
            '[' if self.open.len() < WRAPS_MAX => {
                self.open.push(Wrap::List);
                State::Body
            }
            _ => return false,
        };
        self.held.push(c);
        true
    }

    /// Closes the innermost `wrap` with all that is in it; false if none is open.
    fn close(&mut self, wrap: Wrap) -> bool {
        let Some(at) = self.open.iter().rposition(|open| *open == wrap) else { return false };
        self.open.truncate(at);
        true
    }

    /// One character of what is being read as a call.
    fn call(&mut self, c: char, out: &mut Vec<Piece>) -> bool {
        let State::Call(reader) = &mut self.state else { return false };
        self.held.push(c);
        if let Reader::Json(object) = reader
            && object.doubled(c)
            && self.open.len() < WRAPS_MAX
            && !self.open.contains(&Wrap::Brace)
        {
            self.open.push(Wrap::Brace);
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
        let held = std::mem::take(&mut self.held);
        self.open.clear();
        if matches!(&state, State::Call(reader) if reader.begun()) {
            self.blank.clear();
            self.last = None;
        } else if let Some(last) = held.chars().next_back() {
            say(out, &std::mem::take(&mut self.blank));
            say(out, &held);
            self.fenced |= held.starts_with(marks::FENCE);
            self.last = Some(last);
        }
    }
}

/// Reads an object whose brace has come.
fn object() -> State {
    State::Call(Reader::Json(CallObject::new()))
}

/// More text.
fn say(out: &mut Vec<Piece>, text: &str) {
    match out.last_mut() {
        Some(Piece::Text(before)) => before.push_str(text),
        _ if text.is_empty() => {}
        _ => out.push(Piece::Text(text.to_owned())),
    }
}

/// More of the arguments of the last call.
fn argue(out: &mut Vec<Piece>, text: &str) {
    match out.last_mut() {
        Some(Piece::Arguments(before)) => before.push_str(text),
        _ => out.push(Piece::Arguments(text.to_owned())),
    }
}
