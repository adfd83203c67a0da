//! A call as Qwen3-Coder writes it: `<function=NAME>`, `<parameter=KEY>`, read one character after the other.

use serde_json::{Map, Value};

use super::{Fed, Menu, Piece, argue, fits, held::Held};

const PARAMETER: &str = "<parameter=";
const PARAMETER_END: &str = "</parameter>";
const FUNCTION_END: &str = "</function>";

/// Most bytes of a tool's or a parameter's name.
const NAME_MAX: usize = 256;

/// A call of which `<function=` has been read.
pub(super) struct Function {
    state: State,
    /// Where what is being read began in what is held.
    from: usize,
    name: String,
    key: String,
    arguments: Map<String, Value>,
    /// The call is handed out parameter by parameter.
    begun: bool,
}

enum State {
    Name,
    /// Where a parameter or the end must follow.
    Gap,
    Key,
    Value,
    /// Behind what ends a value if a parameter or the end follows: the value ends at `end`, and what
    /// follows it begins at `next`.
    Ended {
        end: usize,
        next: usize,
    },
}

impl Function {
    /// What is held has `from` bytes, the last of them of `<function=`.
    pub(super) fn new(from: usize) -> Self {
        Self { state: State::Name, from, name: String::new(), key: String::new(), arguments: Map::new(), begun: false }
    }

    /// Whether the call has been handed out as far as it came.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// The name and the arguments, if they are those of a declared tool.
    pub(super) fn call(&self, menu: &Menu) -> Option<(String, String)> {
        let arguments = Value::Object(self.arguments.clone());
        menu.takes(&self.name, &arguments).then(|| (self.name.clone(), arguments.to_string()))
    }

    /// Reads the last character of `held`.
    pub(super) fn feed(&mut self, held: &Held, menu: &Menu, out: &mut Vec<Piece>) -> Fed {
        let Some(c) = held.last() else { return Fed::Refused };
        match self.state {
            State::Name | State::Key if c != '>' => return self.short(held, c),
            State::Name => {
                let name = held.get(self.from..held.len() - 1);
                if menu.find(name).is_none() {
                    return Fed::Refused;
                }
                name.clone_into(&mut self.name);
                self.gap(held.len());
                if menu.forced {
                    out.push(Piece::Call { name: self.name.clone() });
                    self.begun = true;
                }
            }
            State::Key => {
                held.get(self.from..held.len() - 1).clone_into(&mut self.key);
                self.from = held.len();
                self.state = State::Value;
            }
            State::Gap if c.is_ascii_whitespace() && self.from + 1 == held.len() => self.from = held.len(),
            State::Gap => return self.tag(held, self.from, out),
            State::Value => self.value(held),
            State::Ended { end, next } if c.is_ascii_whitespace() && next + 1 == held.len() => {
                self.state = State::Ended { end, next: held.len() };
            }
            State::Ended { end, next } => {
                let tag = held.behind(next);
                if tag == PARAMETER || tag == FUNCTION_END {
                    self.argument(held.get(self.from..end), menu, out);
                    return self.tag(held, next, out);
                }
                // A value may contain what ends values.
                if !PARAMETER.starts_with(tag) && !FUNCTION_END.starts_with(tag) {
                    self.state = State::Value;
                    self.value(held);
                }
            }
        }
        Fed::More
    }

    fn gap(&mut self, from: usize) {
        self.from = from;
        self.state = State::Gap;
    }

    /// A name that has not ended.
    fn short(&self, held: &Held, c: char) -> Fed {
        let long = held.len() - self.from > NAME_MAX || matches!(c, '\n' | '<');
        if long { Fed::Refused } else { Fed::More }
    }

    fn value(&mut self, held: &Held) {
        if held.ends_in(self.from, PARAMETER_END) {
            self.state = State::Ended { end: held.len() - PARAMETER_END.len(), next: held.len() };
        }
    }

    /// What stands at `from`, where a parameter or the end must follow.
    fn tag(&mut self, held: &Held, from: usize, out: &mut Vec<Piece>) -> Fed {
        match held.behind(from) {
            PARAMETER => {
                self.from = held.len();
                self.state = State::Key;
                Fed::More
            }
            FUNCTION_END => {
                if self.begun {
                    argue(out, if self.arguments.is_empty() { "{}" } else { "}" });
                }
                Fed::Done
            }
            tag if PARAMETER.starts_with(tag) || FUNCTION_END.starts_with(tag) => Fed::More,
            _ => Fed::Refused,
        }
    }

    fn argument(&mut self, written: &str, menu: &Menu, out: &mut Vec<Piece>) {
        // The line breaks next to the tags belong to them.
        let written = written.strip_prefix('\n').unwrap_or(written);
        let written = written.strip_suffix('\n').unwrap_or(written);
        let parameters = menu.find(&self.name).and_then(|tool| tool.parameters.as_ref());
        let schema = parameters.and_then(|schema| schema.get("properties")?.get(&self.key));
        let value = value_of(schema, written);
        if self.begun && !self.arguments.contains_key(&self.key) {
            let key = Value::from(self.key.as_str());
            argue(out, if self.arguments.is_empty() { "{" } else { ", " });
            argue(out, &format!("{key}: {value}"));
        }
        self.arguments.entry(self.key.clone()).or_insert(value);
    }
}

/// What `written` is by the schema of its parameter: a string unless the schema wants something else
/// and it can be read as that.
fn value_of(schema: Option<&Value>, written: &str) -> Value {
    let text = Value::from(written);
    let Some(schema) = schema else { return text };
    let parsed = || match written.trim() {
        // As Python has them, in which the family was taught.
        "True" => Some(Value::Bool(true)),
        "False" => Some(Value::Bool(false)),
        "None" => Some(Value::Null),
        written => serde_json::from_str(written).ok(),
    };
    match parsed() {
        Some(value) if fits(schema, &value) && (value.is_null() || !fits(schema, &text)) => value,
        _ => text,
    }
}
