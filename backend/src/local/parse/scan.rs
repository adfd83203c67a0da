//! JSON, one character after the other: whether an object is one so far, and where its members are.

/// Levels of a call's arguments at most; what reads JSON elsewhere takes 128.
const DEPTH_MAX: usize = 100;

/// Follows one JSON object. Strict: what it lets pass is JSON, but for halves of surrogate pairs.
pub(super) struct Scan {
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
pub(super) enum Seen {
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
    pub(super) fn new() -> Self {
        Self { levels: vec![Level::Object], state: State::KeyOrEnd }
    }

    /// Whether nothing but blanks has followed the brace.
    pub(super) fn fresh(&self) -> bool {
        self.levels.len() == 1 && self.state == State::KeyOrEnd
    }

    /// Reads one character; `None` if it does not belong there.
    pub(super) fn feed(&mut self, c: char) -> Option<Seen> {
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
