//! Code blocks, highlighted in the terminal's own colours.

use std::sync::OnceLock;

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::style::{BLUE, Brush, CYAN, GREEN, MAGENTA, RED, Style, YELLOW};

/// A longer line is shown without colours: highlighting is not linear in every language.
const LINE_BYTES_MAX: usize = 4096;

/// Read when the first code with a known language comes: that takes some milliseconds.
static SYNTAXES: OnceLock<SyntaxSet> = OnceLock::new();

/// Names that models write and the set of syntaxes does not know.
const ALIASES: [(&str, &str); 12] = [
    ("typescript", "js"),
    ("ts", "js"),
    ("tsx", "js"),
    ("jsx", "js"),
    ("shell", "sh"),
    ("console", "sh"),
    ("zsh", "sh"),
    ("golang", "go"),
    ("c++", "cpp"),
    ("csharp", "cs"),
    ("jsonc", "json"),
    ("python3", "py"),
];

/// A code block.
pub struct Code {
    /// The character and the number of its fence.
    fence: (char, usize),
    parser: Option<(ParseState, ScopeStack)>,
    ended: bool,
}

impl Code {
    /// The block that this line opens.
    pub fn begin(line: &str) -> Self {
        let text = line.trim_start();
        let mark = text.chars().next().unwrap_or('`');
        let count = text.chars().take_while(|c| *c == mark).count();
        let language = text.trim_start_matches(mark).trim();
        let language = language.split([' ', ',', '{', ':']).next().unwrap_or_default().to_lowercase();
        let parser = syntax(&language).map(|syntax| (ParseState::new(syntax), ScopeStack::new()));
        Self { fence: (mark, count), parser, ended: false }
    }

    /// Whether the last line closed it.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// A line of it, or the one that closes it.
    pub fn line(&mut self, line: &str, color: bool) -> String {
        let (mark, count) = self.fence;
        let text = line.trim();
        self.ended = text.chars().count() >= count && text.chars().all(|c| c == mark);
        if self.ended {
            return format!("{}\n", Style::DIM.paint(line, color));
        }
        let line = line.replace('\t', "    ");
        match &mut self.parser {
            Some(parser) if color && line.len() <= LINE_BYTES_MAX => highlighted(parser, &line),
            _ => format!("{line}\n"),
        }
    }
}

fn syntax(language: &str) -> Option<&'static SyntaxReference> {
    if language.is_empty() || language == "text" {
        return None;
    }
    let syntaxes = SYNTAXES.get_or_init(SyntaxSet::load_defaults_newlines);
    let alias = ALIASES.iter().find(|(name, _)| *name == language).map_or(language, |(_, known)| known);
    syntaxes.find_syntax_by_token(alias)
}

fn highlighted((state, stack): &mut (ParseState, ScopeStack), line: &str) -> String {
    let whole = format!("{line}\n");
    let syntaxes = SYNTAXES.get_or_init(SyntaxSet::load_defaults_newlines);
    let Ok(changes) = state.parse_line(&whole, syntaxes) else { return whole };
    let (mut brush, mut place) = (Brush::new(true), 0);
    for (at, change) in changes {
        let at = at.min(line.len());
        brush.paint(style_of(stack), &line[place..at]);
        place = at;
        if stack.apply(&change).is_err() {
            break;
        }
    }
    brush.paint(style_of(stack), &line[place..]);
    brush.take() + "\n"
}

/// The innermost scope that has a look decides.
fn style_of(stack: &ScopeStack) -> Style {
    stack.as_slice().iter().rev().find_map(|scope| look(*scope)).unwrap_or(Style::PLAIN)
}

fn look(scope: Scope) -> Option<Style> {
    let name = scope.build_string();
    let begins = |part: &str| name.starts_with(part);
    Some(if begins("comment") {
        Style::DIM
    } else if begins("string") {
        Style::color(GREEN)
    } else if begins("constant.character.escape") || begins("constant") {
        Style::color(CYAN)
    } else if begins("entity.name.function") || begins("support.function") || begins("variable.function") {
        Style::color(BLUE)
    } else if begins("keyword.operator") || begins("punctuation") {
        return if begins("punctuation.definition") { None } else { Some(Style::PLAIN) };
    } else if begins("keyword") || begins("storage") {
        Style::color(MAGENTA)
    } else if begins("entity.name.tag") || begins("markup.deleted") || begins("invalid") {
        Style::color(RED)
    } else if begins("entity") || begins("support") {
        Style::color(YELLOW)
    } else if begins("markup.inserted") {
        Style::color(GREEN)
    } else {
        return None;
    })
}
