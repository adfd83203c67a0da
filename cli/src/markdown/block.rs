//! What a line is, by its beginning.

use unicode_width::UnicodeWidthStr;

use super::style::{CYAN, Style};

/// Longest beginning that is waited for.
const HEAD_BYTES_MAX: usize = 64;

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    Blank,
    Fence,
    Rule,
    Table,
    /// Text from byte `rest` on.
    Text {
        head: Head,
        style: Style,
        rest: usize,
    },
}

/// What stands before the text of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// On its first row.
    pub first: String,
    /// On the rows it is broken into.
    pub next: String,
}

impl Head {
    /// The marks as they are.
    pub fn as_written(line: &str, rest: usize) -> Self {
        Self { first: line[..rest].to_owned(), next: " ".repeat(line[..rest].width()) }
    }
}

/// What the line is; `None` while it can still become several things.
pub fn decide(line: &str, whole: bool) -> Option<Block> {
    let mut head = Head { first: String::new(), next: String::new() };
    let mut rest = 0;
    let waits = !whole && line.len() < HEAD_BYTES_MAX;
    loop {
        let text = &line[rest..];
        let inner = text.trim_start_matches([' ', '\t']);
        if inner.is_empty() {
            return match (whole, rest) {
                (true, 0) => Some(Block::Blank),
                (true, _) => Some(Block::Text { head, style: Style::PLAIN, rest: line.len() }),
                (false, _) => None,
            };
        }
        let indent = text[..text.len() - inner.len()].replace('\t', "    ");
        if rest == 0 && (inner.starts_with("```") || inner.starts_with("~~~")) {
            return whole.then_some(Block::Fence);
        }
        if rest == 0 && inner.starts_with('|') {
            return Some(Block::Table);
        }
        if waits && ["```", "~~~"].iter().any(|fence| fence.starts_with(inner)) {
            return None;
        }
        if let Some(rule) = rule(inner) {
            // `**` may begin bold text, `--` a list of nothing.
            if whole && rule {
                return Some(Block::Rule);
            }
            if waits {
                return None;
            }
        }
        let start = rest + (text.len() - inner.len());
        if let Some(quoted) = inner.strip_prefix('>') {
            let space = quoted.starts_with(' ');
            if quoted.is_empty() && waits {
                return None;
            }
            head.first += &format!("{indent}│ ");
            head.next += &format!("{indent}│ ");
            rest = start + 1 + usize::from(space);
            continue;
        }
        let level = inner.bytes().take_while(|byte| *byte == b'#').count();
        if (1..=6).contains(&level) {
            if inner.len() == level && waits {
                return None;
            }
            if inner[level..].starts_with(' ') {
                let style = Style { bold: true, underline: level == 1, color: Some(CYAN), ..Style::PLAIN };
                return Some(Block::Text { head, style, rest: start + level + 1 });
            }
        }
        if let Some((mark, length)) = mark(inner) {
            if inner.len() == length && waits {
                // `1.` may be `1.5`, `-` may be `--`.
                return None;
            }
            if inner[length..].starts_with(' ') {
                let boxed = &inner[length + 1..];
                let (mark, length) = match boxed.get(..4) {
                    Some("[ ] ") => (format!("{mark} ☐"), length + 4),
                    Some("[x] " | "[X] ") => (format!("{mark} ☑"), length + 4),
                    _ if waits && boxed.len() < 4 && "[ ] ".starts_with(boxed.get(..1).unwrap_or("[")) => return None,
                    _ => (mark, length),
                };
                head.first += &format!("{indent}{mark} ");
                head.next += &format!("{indent}{} ", " ".repeat(mark.width()));
                return Some(Block::Text { head, style: Style::PLAIN, rest: start + length + 1 });
            }
        } else if waits && inner.len() < 10 && inner.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        head.first += &indent;
        head.next += &indent;
        return Some(Block::Text { head, style: Style::PLAIN, rest: start });
    }
}

/// The mark of a list's item as it is shown, and how long it is as it is written.
fn mark(text: &str) -> Option<(String, usize)> {
    if text.starts_with(['-', '*', '+']) {
        return Some(("•".to_owned(), 1));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let ends = text[digits..].starts_with(['.', ')']);
    ((1..10).contains(&digits) && ends).then(|| (text[..=digits].to_owned(), digits + 1))
}

/// Whether the text is a rule; `None` if it cannot become one.
fn rule(text: &str) -> Option<bool> {
    let first = text.chars().next().filter(|c| matches!(c, '-' | '*' | '_'))?;
    let marks = text.chars().filter(|c| *c == first).count();
    text.chars().all(|c| c == first || c == ' ').then_some(marks >= 3)
}
