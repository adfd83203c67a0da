//! Tells text from tool calls in an answer while it comes, one character after the other.
//!
//! A model is shown one way to write calls and writes others too: Hermes' `<tool_call>` around a JSON
//! object, Qwen3-Coder's XML, the object in a fence, in another tag, in a list, or bare. All of them
//! are read, whichever was asked for, for whoever names a declared tool with arguments that fit its
//! schema means a call. What does not is text and comes out exactly as written.
//!
//! What may still become a call is held back; each character is looked at once, so that an answer takes
//! time in proportion to its length. `parser` knows where calls may begin and what is held, `marks` what
//! stands around them; `object` (with `scan`, which knows JSON) and `xml` read a call itself. What a
//! request's tools mean is not decided here but by whoever makes the [`Menu`].

mod held;
mod marks;
mod object;
mod parser;
mod scan;
mod state;
mod xml;

#[cfg(test)]
mod tests;

use serde_json::Value;

use self::{held::Held, object::CallObject, xml::Function};
use super::fits::fits;

pub(crate) use parser::Parser;

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

/// Who reads a call.
enum Reader {
    Json(CallObject),
    Xml(Function),
}

impl Reader {
    /// Reads the last character of `held`.
    fn feed(&mut self, held: &Held, menu: &Menu, out: &mut Vec<Piece>) -> Fed {
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
    fn call(&self, held: &Held, menu: &Menu) -> Option<(String, String)> {
        match self {
            Self::Json(object) => object.call(held, menu),
            Self::Xml(function) => function.call(menu),
        }
    }
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
