//! The model file's own chat template: messages and tools become the text of a prompt.
//!
//! Templates are written for Python's jinja2 as Hugging Face sets it up; this sets up minijinja to
//! give the same text, byte for byte. A template comes from a model file and is not trusted: it
//! can read what it is given and nothing else, and every rendering has a budget, so that one that
//! loops or grows without end is an error. It has limits of time and stack besides (`bounded.rs`).
//!
//! It does not know tokens: `qwenda_tokenizer` encodes what comes out.

mod bounded;
mod fuzz;
mod json;
mod message;
mod python;

use std::collections::BTreeMap;

use minijinja::{Environment, Error, ErrorKind, syntax::SyntaxConfig};
use serde_json::{Map, Value};

#[doc(hidden)]
pub use fuzz::fuzz;
pub use message::{message_value, message_values};

/// Most bytes of a template's source; real ones have up to 20,000.
pub const SOURCE_BYTES_MAX: usize = 1 << 17;

/// Name of the only template in the environment.
const NAME: &str = "chat_template";

/// Steps that every rendering may take. A step is an instruction or about 64 bytes of text made,
/// so this also bounds memory.
const STEPS: u64 = 100_000;

/// More steps for each message, tool, or value inside of one.
const STEPS_PER_VALUE: u64 = 200;

/// Most steps of any rendering: a conversation of 10,000 messages or of 10 MB stays below.
const STEPS_MAX: u64 = 4_000_000;

/// One more step for this many bytes of text in messages and tools: a template may copy its whole
/// input about sixteen times.
const BYTES_PER_STEP: u64 = 4;

/// Deepest nesting of values a template may write out; messages and tools from JSON stay below.
const DEPTH_MAX: usize = 200;

/// A compiled chat template. Shared between threads.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    thinking: bool,
    unasked: bool,
}

impl ChatTemplate {
    /// Compiles `source`; `bos` and `eos` are the spelling of the tokens that templates know as
    /// `bos_token` and `eos_token`, empty if the model has none.
    ///
    /// # Errors
    /// The source is too long or not a template.
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Self, TemplateError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(TemplateError::TooLong { bytes: source.len(), max: SOURCE_BYTES_MAX });
        }
        // jinja2 reads every line end as a newline.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let thinking = source.contains("enable_thinking");
        // DeepSeek's distillates. The templates of other models that cut reasoning out of a history say
        // nothing of whether there will be more.
        let unasked = source.contains("</think>") && source.contains("<｜Assistant｜>");
        let environment = bounded::run(|| environment(source).map_err(TemplateError::of))?;
        Ok(Self { environment, bos: bos.to_owned(), eos: eos.to_owned(), thinking, unasked })
    }

    /// Whether the template asks for `enable_thinking`, so that a caller may turn thinking off.
    pub fn thinking(&self) -> bool {
        self.thinking
    }

    /// Whether it is the template of a model that reasons of its own accord.
    pub(crate) fn reasons_unasked(&self) -> bool {
        self.unasked
    }

    /// The text of the prompt.
    ///
    /// `messages` are as templates expect them: see [`message_values`]. `tools` is what the request
    /// says, `None` if it says nothing. With `add_generation_prompt` the text ends where the
    /// model's answer begins. `extra` holds further variables, such as `enable_thinking`; they
    /// cannot replace those named here.
    ///
    /// Special tokens are spelled in the text, those of the template and those that a message
    /// contains alike, and encoding it with `Specials::Parse` makes both special. That is what the
    /// models' reference does. To keep a message's words from being special, pass the message
    /// through `Tokenizer::quote` first and encode with `Specials::Quoted`.
    ///
    /// # Errors
    /// The template refuses the conversation, fails on it, or exceeds its budget.
    pub fn render(
        &self,
        messages: &[Value],
        tools: Option<&[Value]>,
        add_generation_prompt: bool,
        extra: &Map<String, Value>,
    ) -> Result<String, TemplateError> {
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(budget(messages, tools.unwrap_or_default(), extra)));
        let list = |items: &[Value]| items.iter().map(json::value).collect::<minijinja::Value>();
        let mut variables: BTreeMap<&str, minijinja::Value> =
            extra.iter().map(|(name, value)| (name.as_str(), json::value(value))).collect();
        variables.extend([
            ("messages", list(messages)),
            ("tools", tools.map_or(().into(), list)),
            ("add_generation_prompt", add_generation_prompt.into()),
            ("bos_token", self.bos.as_str().into()),
            ("eos_token", self.eos.as_str().into()),
        ]);
        let variables = minijinja::Value::from_pairs(variables);
        bounded::run(move || {
            let template = environment.get_template(NAME).map_err(TemplateError::of)?;
            template.render(variables).map_err(TemplateError::of)
        })
    }
}

/// An environment like Hugging Face's, with `source` as its only template.
fn environment(source: String) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(bounded::method);
    environment.set_formatter(python::format);
    environment.add_filter("string", python::string);
    environment.add_filter("tojson", json::tojson);
    environment.add_test("iterable", python::is_iterable);
    environment.add_test("sequence", python::is_sequence);
    environment.add_function("raise_exception", raise_exception);
    environment.add_template_owned(NAME, source)?;
    Ok(environment)
}

/// Why a conversation could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The source is longer than any real template.
    #[error("the chat template has {bytes} bytes, at most {max} are taken")]
    TooLong {
        /// Length of the source.
        bytes: usize,
        /// Most bytes taken.
        max: usize,
    },
    /// The source is not a template.
    #[error("chat template, line {line}: {message}")]
    Syntax {
        /// Line in the source, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The template itself says that this conversation is not one it takes.
    #[error("the chat template refuses the conversation: {message}")]
    Refused {
        /// The template's words.
        message: String,
    },
    /// The template did more work than any conversation of this size needs.
    #[error("chat template, line {line}: more work or text than a conversation of this size needs")]
    Exhausted {
        /// Line at which the budget ended, from 1; 0 if it was the time that ended.
        line: usize,
    },
    /// The template does not know what to do with this conversation.
    #[error("chat template, line {line}: {message}")]
    Failed {
        /// Line in the source, from 1; 0 if no line is to blame.
        line: usize,
        /// What failed.
        message: String,
    },
}

impl TemplateError {
    fn of(error: Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        let mut line = 0;
        while let Some(at) = cause {
            if let Some(Raised(message)) = at.downcast_ref() {
                return Self::Refused { message: message.clone() };
            }
            if let Some(inner) = at.downcast_ref::<Error>() {
                line = inner.line().unwrap_or(line);
                if inner.kind() == ErrorKind::OutOfFuel {
                    return Self::Exhausted { line };
                }
            }
            cause = at.source();
        }
        let message = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        match error.kind() {
            ErrorKind::SyntaxError => Self::Syntax { line, message },
            _ => Self::Failed { line, message },
        }
    }
}

/// What `raise_exception` was called with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn raise_exception(message: String) -> Result<String, Error> {
    let error = Error::new(ErrorKind::InvalidOperation, message.clone());
    Err(error.with_source(Raised(message)))
}

/// Steps that a template may take for this input.
fn budget(messages: &[Value], tools: &[Value], extra: &Map<String, Value>) -> u64 {
    let (mut values, mut bytes) = (0, 0);
    for value in messages.iter().chain(tools).chain(extra.values()) {
        size(value, &mut values, &mut bytes);
    }
    STEPS_MAX.min(STEPS + values * STEPS_PER_VALUE + bytes / BYTES_PER_STEP)
}

/// Adds the number of values in `value` and the bytes of their text.
fn size(value: &Value, values: &mut u64, bytes: &mut u64) {
    *values += 1;
    match value {
        Value::String(text) => *bytes += text.len() as u64,
        Value::Array(items) => items.iter().for_each(|item| size(item, values, bytes)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            *bytes += name.len() as u64;
            size(field, values, bytes);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
