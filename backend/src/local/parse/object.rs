//! A call written as a JSON object, read one character after the other. What is JSON is known to `scan`.

use std::ops::Range;

use serde_json::Value;

use super::{
    Fed, Menu, Piece, argue,
    held::Held,
    scan::{Scan, Seen},
};

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
    pub(super) fn feed(&mut self, held: &Held, menu: &Menu, out: &mut Vec<Piece>) -> Fed {
        let Some(c) = held.last() else { return Fed::Refused };
        let at = held.len() - c.len_utf8();
        let Some(seen) = self.scan.feed(c) else { return Fed::Refused };
        let inside = self.begun && self.arguments.is_none();
        let sound = match seen {
            Seen::Inside => true,
            Seen::Key => {
                self.from = at + 1;
                true
            }
            Seen::KeyEnd => self.key(held.get(self.from..at)),
            Seen::Value => {
                self.from = at;
                self.value(c, menu, out)
            }
            Seen::ValueEnd => self.value_end(held, menu),
            Seen::End => return if self.name.is_some() { Fed::Done } else { Fed::Refused },
        };
        if inside {
            argue(out, held.behind(at));
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

    fn value_end(&mut self, held: &Held, menu: &Menu) -> bool {
        match self.key {
            Some(Key::Name) => {
                self.name = serde_json::from_str(held.behind(self.from)).ok();
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
    pub(super) fn call(&self, held: &Held, menu: &Menu) -> Option<(String, String)> {
        let name = self.name.clone()?;
        let written = self.arguments.clone().map_or("{}", |range| held.get(range));
        let written = match serde_json::from_str(written).ok()? {
            Value::Null => "{}".to_owned(),
            Value::String(inner) => inner,
            _ => written.to_owned(),
        };
        let arguments = serde_json::from_str(&written).ok()?;
        menu.takes(&name, &arguments).then_some((name, written))
    }
}
