//! Text as HTML.

use std::fmt::Write as _;

/// The text with every character that HTML would read replaced.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A line in which `code` may stand between backticks.
pub(super) fn inline(text: &str) -> String {
    let mut out = String::new();
    for (place, piece) in text.split('`').enumerate() {
        let piece = escape(piece);
        if place % 2 == 1 {
            let _ = write!(out, "<code>{piece}</code>");
        } else {
            out.push_str(&piece);
        }
    }
    out
}

/// Paragraphs, with blank lines between them.
pub(super) fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(|one| format!("<p>{}</p>\n", inline(one))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_becomes_markup_but_what_stands_between_backticks() {
        assert_eq!(inline("a < b, `x<y>` & \"c\""), "a &lt; b, <code>x&lt;y&gt;</code> &amp; &quot;c&quot;");
        assert_eq!(paragraphs("one\n\n`two`"), "<p>one</p>\n<p><code>two</code></p>\n");
    }
}
