//! A call written as a JSON object, read one character after the other.

use std::ops::Range;

use serde_json::Value;

use super::{Fed, Menu, Piece, argue};

/// A JSON object that may be a call. It is given up at the first character that shows it is none, be it
/// a key that calls do not have.
pub(super) struct CallObject {
    scan: Scan,
    /// Where the member at hand began in what is held.
    from: usize,
    key: Option<Key>,
    name: Option<String>,
    arguments: Option<Range<usize>>,
    /// Its arguments are handed out as they come.
    begun: bool,
}

/// What the object of a call may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Name,
    Arguments,
    /// Known from other dialects and without meaning here.
    Aside,
}

impl CallObject {
    /// An object of which the brace has been read.
    pub(super) fn new() -> Self {
        Self { scan: Scan::new(), from: 0, key: None, name: None, arguments: None, begun: false }
    }

    /// Whether `c` is a second brace just behind the first.
    pub(super) fn doubled(&self, c: char) -> bool {
        c == '{' && self.scan.fresh()
    }

    /// Whether the call has been handed out as far as it came.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// Reads the last character of `held`.
    pub(super) fn feed(&mut self, held: &str, menu: &Menu, out: &mut Vec<Piece>) -> Fed {
        let Some(c) = held.chars().next_back() else { return Fed::Refused };
        let at = held.len() - c.len_utf8();
        let Some(seen) = self.scan.feed(c) else { return Fed::Refused };
        let inside = self.begun && self.arguments.is_none();
        let sound = match seen {
            Seen::Inside => true,
            Seen::Key => {
                self.from = at + 1;
                true
            }
            Seen::KeyEnd => self.key(&held[self.from..at]),
            Seen::Value => {
                self.from = at;
                self.value(c, menu, out)
            }
            Seen::ValueEnd => self.value_end(held, menu),
            Seen::End => return if self.name.is_some() { Fed::Done } else { Fed::Refused },
        };
        if inside {
            argue(out, &held[at..]);
        }
        if sound { Fed::More } else { Fed::Refused }
    }

    fn key(&mut self, key: &str) -> bool {
        self.key = match key {
            "name" if self.name.is_none() => Some(Key::Name),
            "arguments" | "parameters" if self.arguments.is_none() => Some(Key::Arguments),
            "id" | "type" => Some(Key::Aside),
            _ => None,
        };
        self.key.is_some()
    }

    /// A member's value begins with `c`.
    fn value(&mut self, c: char, menu: &Menu, out: &mut Vec<Piece>) -> bool {
        match self.key {
            Some(Key::Arguments) if c == '{' => {
                if let (true, Some(name)) = (menu.forced, &self.name) {
                    out.push(Piece::Call { name: name.clone() });
                    argue(out, "{");
                    self.begun = true;
                }
                true
            }
            // Some write the arguments as OpenAI has them: an object in a string.
            Some(Key::Arguments) => matches!(c, '"' | 'n'),
            Some(Key::Name | Key::Aside) => c == '"',
            None => false,
        }
    }

    fn value_end(&mut self, held: &str, menu: &Menu) -> bool {
        match self.key {
            Some(Key::Name) => {
                self.name = serde_json::from_str(&held[self.from..]).ok();
                self.name.as_deref().is_some_and(|name| menu.find(name).is_some())
            }
            Some(Key::Arguments) => {
                self.arguments = Some(self.from..held.len());
                true
            }
            Some(Key::Aside) => true,
            None => false,
        }
    }

    /// The name and the arguments, if they are those of a declared tool.
    pub(super) fn call(&self, held: &str, menu: &Menu) -> Option<(String, String)> {
        let name = self.name.clone()?;
        let written = self.arguments.clone().map_or("{}", |range| &held[range]);
        let written = match serde_json::from_str(written).ok()? {
            Value::Null => "{}".to_owned(),
            Value::String(inner) => inner,
            _ => written.to_owned(),
        };
        let arguments = serde_json::from_str(&written).ok()?;
        menu.takes(&name, &arguments).then_some((name, written))
    }
}

/// Levels of a call's arguments at most; what reads JSON elsewhere takes 128.
const DEPTH_MAX: usize = 100;

/// Follows one JSON object. Strict: what it lets pass is JSON, but for halves of surrogate pairs.
struct Scan {
    levels: Vec<Level>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Object,
    Array,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A key or the end of an object that is empty so far.
    KeyOrEnd,
    Key,
    Colon,
    /// A value or the end of an array that is empty so far.
    ValueOrEnd,
    Value,
    /// Behind a value.
    After,
    Text {
        key: bool,
    },
    Escape {
        key: bool,
    },
    Hex {
        key: bool,
        left: u8,
    },
    /// What is left of `true`, `false` or `null`.
    Word(&'static str),
    Number(Number),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

/// What a character is to the object itself, rather than to what is in its members.
enum Seen {
    Inside,
    /// The quote before a key.
    Key,
    /// The quote behind a key.
    KeyEnd,
    /// The first character of a value.
    Value,
    /// The last character of a value that is no number.
    ValueEnd,
    /// The object's last brace.
    End,
}

impl Scan {
    /// Behind an object's brace.
    fn new() -> Self {
        Self { levels: vec![Level::Object], state: State::KeyOrEnd }
    }

    fn fresh(&self) -> bool {
        self.levels.len() == 1 && self.state == State::KeyOrEnd
    }

    /// Reads one character; `None` if it does not belong there.
    fn feed(&mut self, c: char) -> Option<Seen> {
        let top = self.levels.len() == 1;
        let seen = |what: Seen| if top { what } else { Seen::Inside };
        self.state = match (self.state, c) {
            (
                State::KeyOrEnd | State::Key | State::Colon | State::ValueOrEnd | State::Value | State::After,
                ' ' | '\t' | '\n' | '\r',
            ) => return Some(Seen::Inside),
            (State::KeyOrEnd | State::Key, '"') => {
                self.state = State::Text { key: true };
                return Some(seen(Seen::Key));
            }
            (State::KeyOrEnd, '}') => return self.close(Level::Object),
            (State::Colon, ':') => State::Value,
            (State::ValueOrEnd, ']') => return self.close(Level::Array),
            (State::ValueOrEnd | State::Value, _) => {
                self.state = self.begin(c)?;
                return Some(seen(Seen::Value));
            }
            (State::After, ',') => match self.levels.last()? {
                Level::Object => State::Key,
                Level::Array => State::Value,
            },
            (State::After, '}') => return self.close(Level::Object),
            (State::After, ']') => return self.close(Level::Array),
            (State::Text { key: true }, '"') => {
                self.state = State::Colon;
                return Some(seen(Seen::KeyEnd));
            }
            (State::Text { key: false }, '"') => {
                self.state = State::After;
                return Some(seen(Seen::ValueEnd));
            }
            (State::Text { key }, '\\') => State::Escape { key },
            (State::Text { key }, ' '..) => State::Text { key },
            (State::Escape { key }, 'u') => State::Hex { key, left: 4 },
            (State::Escape { key }, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => State::Text { key },
            (State::Hex { key, left }, _) if c.is_ascii_hexdigit() => match left {
                1 => State::Text { key },
                _ => State::Hex { key, left: left - 1 },
            },
            (State::Word(rest), _) => match rest.strip_prefix(c)? {
                "" => {
                    self.state = State::After;
                    return Some(seen(Seen::ValueEnd));
                }
                rest => State::Word(rest),
            },
            (State::Number(number), _) => match number.feed(c) {
                Some(number) => State::Number(number),
                None if number.ends() => {
                    self.state = State::After;
                    return self.feed(c);
                }
                None => return None,
            },
            _ => return None,
        };
        Some(Seen::Inside)
    }

    fn begin(&mut self, c: char) -> Option<State> {
        Some(match c {
            '"' => State::Text { key: false },
            '{' | '[' if self.levels.len() == DEPTH_MAX => return None,
            '{' => {
                self.levels.push(Level::Object);
                State::KeyOrEnd
            }
            '[' => {
                self.levels.push(Level::Array);
                State::ValueOrEnd
            }
            't' => State::Word("rue"),
            'f' => State::Word("alse"),
            'n' => State::Word("ull"),
            '-' => State::Number(Number::Minus),
            '0' => State::Number(Number::Zero),
            '1'..='9' => State::Number(Number::Whole),
            _ => return None,
        })
    }

    fn close(&mut self, level: Level) -> Option<Seen> {
        if self.levels.pop()? != level {
            return None;
        }
        self.state = State::After;
        Some(match self.levels.len() {
            0 => Seen::End,
            1 => Seen::ValueEnd,
            _ => Seen::Inside,
        })
    }
}

impl Number {
    fn feed(self, c: char) -> Option<Self> {
        Some(match (self, c) {
            (Self::Minus, '0') => Self::Zero,
            (Self::Minus, '1'..='9') | (Self::Whole, '0'..='9') => Self::Whole,
            (Self::Zero | Self::Whole, '.') => Self::Point,
            (Self::Point | Self::Fraction, '0'..='9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, 'e' | 'E') => Self::Exponent,
            (Self::Exponent, '+' | '-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, '0'..='9') => Self::ExponentDigits,
            _ => return None,
        })
    }

    fn ends(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::ExponentDigits)
    }
}
