//! What stands around calls: tags and fences.

/// What is open around a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrap {
    /// `<tool_call>` or its like.
    Tag,
    /// Three backticks.
    Fence,
    /// `[` before several calls.
    List,
    /// A second `{`: some templates show the form of a call with its braces doubled.
    Brace,
}

/// Most marks around one call: a fence, a tag, a list, a doubled brace.
const WRAPS_MAX: usize = 4;

/// What has been opened and not closed around calls, the innermost last.
#[derive(Default)]
pub(super) struct Wraps(Vec<Wrap>);

impl Wraps {
    /// Whether one more may be opened.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < WRAPS_MAX
    }

    pub(super) fn contains(&self, wrap: Wrap) -> bool {
        self.0.contains(&wrap)
    }

    /// Whether `wrap` may be opened where no other of its kind is open.
    pub(super) fn takes(&self, wrap: Wrap) -> bool {
        self.has_room() && !self.contains(wrap)
    }

    pub(super) fn open(&mut self, wrap: Wrap) {
        self.0.push(wrap);
    }

    /// Closes the innermost `wrap` with all that is in it; false if none is open.
    pub(super) fn close(&mut self, wrap: Wrap) -> bool {
        let Some(at) = self.0.iter().rposition(|open| *open == wrap) else { return false };
        self.0.truncate(at);
        true
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// What begins with `<` or a backtick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The beginning of one that is not there yet.
    Part,
    /// A tag that opens.
    Open,
    /// A tag that closes.
    Close,
    /// `<function=`, which a name follows.
    Function,
    /// Three backticks.
    Fence,
}

/// The tags that models of the family put around calls: the one of their template, the one around
/// the declared tools in it, and what the smaller ones make of these.
const TAGS: [&str; 9] =
    ["tool_call", "tools", "tool", "function_call", "functioncall", "tool_response", "response", "json", "xml"];

const FUNCTION: &str = "<function=";
/// What begins and ends a fence.
pub(super) const FENCE: &str = "```";

/// Which mark `text` is, if it is one or the beginning of one.
pub(super) fn read(text: &str) -> Option<Mark> {
    match text {
        FUNCTION => return Some(Mark::Function),
        FENCE => return Some(Mark::Fence),
        _ if FUNCTION.starts_with(text) || FENCE.starts_with(text) => return Some(Mark::Part),
        _ => {}
    }
    let inner = text.strip_prefix('<')?;
    let (inner, whole) = match inner.strip_prefix('/') {
        Some(inner) => (inner, Mark::Close),
        None => (inner, Mark::Open),
    };
    match inner.strip_suffix('>') {
        Some(name) => TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(name)).then_some(whole),
        None => TAGS
            .iter()
            .any(|tag| tag.get(..inner.len()).is_some_and(|part| part.eq_ignore_ascii_case(inner)))
            .then_some(Mark::Part),
    }
}
