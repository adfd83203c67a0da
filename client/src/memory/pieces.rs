//! What is said in pieces that can be found for themselves.

use qwenda_types::chat::{Message, Role};

use crate::estimate;

/// Tokens of a piece, about.
const PIECE_TOKENS_MAX: u64 = 96;
/// Pieces of one message; what is longer is a file, and belongs into a knowledge base.
const PIECES_MAX: usize = 256;
/// An answer of the person that is as short says little without its question.
const SHORT_TOKENS: u64 = 12;
const QUESTION_CHARS_MAX: usize = 160;

/// A piece of what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) turn: usize,
    /// Of the message in the history.
    pub(crate) place: usize,
    pub(crate) role: Role,
    pub(crate) text: String,
}

/// The pieces of a message. `before` is the message before it.
pub(crate) fn pieces(turn: usize, place: usize, message: &Message, before: Option<&Message>) -> Vec<Piece> {
    let text = message.plain_text();
    let mut texts = split(&text);
    texts.truncate(PIECES_MAX);
    if let (Role::User, [only]) = (message.role, texts.as_mut_slice())
        && estimate::tokens(only) <= SHORT_TOKENS
        && let Some(question) =
            before.filter(|before| before.role == Role::Assistant).and_then(|one| question(&one.plain_text()))
    {
        *only = format!("{question} {only}");
    }
    texts.into_iter().map(|text| Piece { turn, place, role: message.role, text }).collect()
}

/// The question that a text ends with.
fn question(text: &str) -> Option<String> {
    let text = text.trim_end();
    if !text.ends_with(['?', '？']) {
        return None;
    }
    let last = sentences(text).last().map(|sentence| sentence.trim().to_owned())?;
    let skipped = last.chars().count().saturating_sub(QUESTION_CHARS_MAX);
    Some(last.chars().skip(skipped).collect())
}

fn split(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let (mut piece, mut size) = (String::new(), 0);
    for sentence in sentences(text) {
        let tokens = estimate::tokens(sentence);
        if size + tokens > PIECE_TOKENS_MAX {
            pieces.push(std::mem::take(&mut piece));
            size = 0;
        }
        piece.push_str(sentence);
        size += tokens;
    }
    pieces.push(piece);
    pieces.iter().map(|piece| piece.trim().to_owned()).filter(|piece| !piece.is_empty()).collect()
}

/// The sentences and lines of a text, which make it up together; none has more tokens than a piece.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (mut end, mut size) = (0, 0.0_f32);
        let mut before = ' ';
        for (place, character) in rest.char_indices() {
            let ends = before == '\n' || (character.is_whitespace() && matches!(before, '.' | '!' | '?' | ';'));
            let ends = ends || (matches!(before, '。' | '！' | '？' | '；') && !matches!(character, '”' | '」' | '）'));
            // A character has at most so many tokens.
            size += if character.is_ascii() { 0.25 } else { character.len_utf8() as f32 / 2.9 };
            if place > 0 && (ends || size > PIECE_TOKENS_MAX as f32 - 2.0) {
                break;
            }
            end = place + character.len_utf8();
            before = character;
        }
        let (sentence, others) = rest.split_at(end);
        rest = others;
        (!sentence.is_empty()).then_some(sentence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_small_whole_and_together_the_text() {
        let long = "word ".repeat(2_000);
        let han = "今天天气很好。我们去了西湖！".repeat(100);
        for text in ["", " \n ", "One. Two! Three?", &long, &han, "no end", &"x".repeat(5_000), "a\n\nb\r\nc"] {
            let texts = split(text);
            let squeezed = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(squeezed(&texts.concat()), squeezed(text));
            for text in texts {
                let tokens = estimate::tokens(&text);
                assert!(tokens <= PIECE_TOKENS_MAX, "{tokens}");
            }
        }
    }

    #[test]
    fn a_short_answer_is_kept_with_its_question() {
        let asked = Message::assistant("I can help. What is your order number?");
        let texts = |message: &Message, before: Option<&Message>| -> Vec<String> {
            pieces(3, 7, message, before).into_iter().map(|piece| piece.text).collect()
        };
        assert_eq!(texts(&Message::user("8123"), Some(&asked)), ["What is your order number? 8123"]);
        assert_eq!(texts(&Message::user("8123"), Some(&Message::assistant("Hello."))), ["8123"]);
        assert_eq!(texts(&Message::user("8123"), None), ["8123"]);
        assert_eq!(texts(&Message::assistant("8123"), Some(&asked)), ["8123"]);
        let han = Message::assistant("好的。您的订单号是多少？");
        assert_eq!(texts(&Message::user("8123"), Some(&han)), ["您的订单号是多少？ 8123"]);
    }
}
