//! Cuts text into the words that merges never cross.
//!
//! The rule is the regular expression that Qwen, Qwen2, Qwen2.5 and Qwen3 were trained with:
//!
//! ```text
//! (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N}
//!     |  ?[^\s\p{L}\p{N}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S) | \s+
//! ```
//!
//! Qwen3.5 takes marks for letters: there `[\p{L}\p{M}]+` stands for `\p{L}+`, and `\p{M}` is left
//! out of the fourth part.
//!
//! It is written out by hand because a backtracking engine is quadratic on a long run of
//! whitespace. Here every character is looked at a bounded number of times.

use std::sync::OnceLock;

use regex_syntax::hir::{Class as HirClass, HirKind};

use crate::Pre;

/// What the rule can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Neither of the others: punctuation, symbols, controls; marks, where they are no letters.
    Other = 0,
    /// `\p{L}`, or `[\p{L}\p{M}]`
    Letter = 1,
    /// `\p{N}`
    Number = 2,
    /// `\s`
    Space = 3,
}

/// Two bits for every Unicode scalar value.
struct Classes(Vec<u8>);

impl Classes {
    fn get(pre: Pre) -> &'static Self {
        static QWEN2: OnceLock<Classes> = OnceLock::new();
        static QWEN35: OnceLock<Classes> = OnceLock::new();
        match pre {
            Pre::Qwen2 => QWEN2.get_or_init(|| Self::build(r"\p{L}")),
            Pre::Qwen35 => QWEN35.get_or_init(|| Self::build(r"[\p{L}\p{M}]")),
        }
    }

    /// The tables come from the library that the reference's own regular expressions use, so that
    /// both know the same letters.
    fn build(letters: &str) -> Self {
        let mut bits = vec![0u8; 0x11_0000 / 4];
        for (class, pattern) in [(Class::Letter, letters), (Class::Number, r"\p{N}"), (Class::Space, r"\s")] {
            let hir = regex_syntax::parse(pattern).expect("the patterns are constants");
            let HirKind::Class(HirClass::Unicode(ranges)) = hir.kind() else {
                unreachable!("each pattern is one class of characters")
            };
            for range in ranges.ranges() {
                for c in range.start() as usize..=range.end() as usize {
                    bits[c / 4] |= (class as u8) << (c % 4 * 2);
                }
            }
        }
        Self(bits)
    }

    #[inline]
    fn of(&self, c: char) -> Class {
        let c = c as usize;
        match self.0[c / 4] >> (c % 4 * 2) & 3 {
            1 => Class::Letter,
            2 => Class::Number,
            3 => Class::Space,
            _ => Class::Other,
        }
    }
}

/// The words of `text`, in order; together they are all of it.
pub(crate) fn words(pre: Pre, text: &str) -> impl Iterator<Item = &str> {
    let classes = Classes::get(pre);
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (word, after) = rest.split_at(word_len(classes, rest));
        rest = after;
        Some(word)
    })
}

/// Bytes of the first word of `text`, which must not be empty. Never 0.
fn word_len(classes: &Classes, text: &str) -> usize {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return 0 };
    let after_first = first.len_utf8();

    if first == '\''
        && let Some(len) = contraction(text)
    {
        return len;
    }
    let class = classes.of(first);
    if class == Class::Letter {
        return run(classes, text, after_first, Class::Letter);
    }
    if class == Class::Number {
        return after_first;
    }
    let second = chars.next().map(|c| classes.of(c));
    if second == Some(Class::Letter) && !is_newline(first) {
        return run(classes, text, after_first, Class::Letter);
    }
    if class == Class::Other || (first == ' ' && second == Some(Class::Other)) {
        let end = run(classes, text, after_first, Class::Other);
        let newlines = text.as_bytes()[end..].iter().take_while(|b| matches!(b, b'\r' | b'\n'));
        return end + newlines.count();
    }
    whitespace(classes, text)
}

/// `\s*[\r\n]+ | \s+(?!\S) | \s+` for a text that starts with whitespace.
fn whitespace(classes: &Classes, text: &str) -> usize {
    let end = run(classes, text, 0, Class::Space);
    let spaces = &text[..end];
    if let Some(last) = spaces.rfind(['\r', '\n']) {
        return last + 1;
    }
    // The last whitespace before a word belongs to that word, if it is not the only one.
    match spaces.char_indices().next_back() {
        Some((start_of_last, _)) if end < text.len() && start_of_last > 0 => start_of_last,
        _ => end,
    }
}

/// The end of the run of `class` that reaches at least to `start`.
fn run(classes: &Classes, text: &str, start: usize, class: Class) -> usize {
    text[start..].char_indices().find(|(_, c)| classes.of(*c) != class).map_or(text.len(), |(offset, _)| start + offset)
}

/// Bytes of the English contraction at the start of `text`, which begins with an apostrophe.
fn contraction(text: &str) -> Option<usize> {
    let mut chars = text[1..].chars();
    let first = chars.next()?;
    match first {
        // Unicode case folding makes the long s an s.
        's' | 'S' | 'ſ' | 't' | 'T' | 'm' | 'M' | 'd' | 'D' => Some(1 + first.len_utf8()),
        'r' | 'R' | 'v' | 'V' => matches!(chars.next()?, 'e' | 'E').then_some(3),
        'l' | 'L' => matches!(chars.next()?, 'l' | 'L').then_some(3),
        _ => None,
    }
}

fn is_newline(c: char) -> bool {
    matches!(c, '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        assert_eq!(words(Pre::Qwen2, text).collect::<Vec<_>>(), want, "{text:?}");
    }

    #[test]
    fn marks_are_letters_only_to_qwen35() {
        #[track_caller]
        fn check_both(text: &str, qwen2: &[&str], qwen35: &[&str]) {
            check(text, qwen2);
            assert_eq!(words(Pre::Qwen35, text).collect::<Vec<_>>(), qwen35, "{text:?}");
        }
        // Devanagari writes its vowels as marks.
        check_both("नमस्ते x", &["नमस", "्त", "े", " x"], &["नमस्ते", " x"]);
        check_both("\u{301}\u{301}", &["\u{301}\u{301}"], &["\u{301}\u{301}"]);
        check_both("!\u{301}a!", &["!\u{301}", "a", "!"], &["!\u{301}a", "!"]);
        check_both("!!\u{301}a", &["!!\u{301}", "a"], &["!!", "\u{301}a"]);
        check_both(" \u{301}1", &[" \u{301}", "1"], &[" \u{301}", "1"]);
        check_both("\n\u{301}", &["\n", "\u{301}"], &["\n", "\u{301}"]);
        check_both("I'm 42!\n", &["I", "'m", " ", "4", "2", "!\n"], &["I", "'m", " ", "4", "2", "!\n"]);
    }

    #[test]
    fn words_keep_one_leading_space_and_numbers_stand_alone() {
        check("", &[]);
        check("a bc  12", &["a", " bc", " ", " ", "1", "2"]);
        check("x=1;", &["x", "=", "1", ";"]);
        check(" a", &[" a"]);
        check("a ", &["a", " "]);
        check("价格是½元", &["价格是", "½", "元"]);
        check("\u{3000}你", &["\u{3000}你"]);
    }

    #[test]
    fn contractions_are_words_in_any_case() {
        check("I'm WE'VE", &["I", "'m", " WE", "'VE"]);
        check("it'll's'dx", &["it", "'ll", "'s", "'d", "x"]);
        check("'ſa", &["'ſ", "a"]);
        check("'l'r'", &["'l", "'r", "'"]);
        check("'a 're", &["'a", " '", "re"]);
    }

    #[test]
    fn punctuation_takes_the_newlines_after_it() {
        check("a!!\n\r\nb", &["a", "!!\n\r\n", "b"]);
        check(" ...\n x", &[" ...\n", " x"]);
        check("!a", &["!a"]);
        check("!!a", &["!!", "a"]);
        check("\u{301}\u{301}", &["\u{301}\u{301}"]);
    }

    #[test]
    fn whitespace_ends_at_its_last_newline_or_before_its_last_space() {
        check("\n\n\n", &["\n\n\n"]);
        check(" \n \n  a", &[" \n \n", " ", " a"]);
        check("a   b", &["a", "  ", " b"]);
        check("a\t\tb", &["a", "\t", "\tb"]);
        check("a  \t1", &["a", "  ", "\t", "1"]);
        check("   ", &["   "]);
        check("\nab", &["\n", "ab"]);
        check("\u{2003}\u{2003}!", &["\u{2003}", "\u{2003}", "!"]);
    }
}
