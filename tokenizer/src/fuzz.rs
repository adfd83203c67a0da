//! Entry point for fuzzing: no vocabulary and no text may make this crate panic, and whatever a
//! vocabulary accepts has to keep the promises of `lib.rs`.

use unicode_normalization::UnicodeNormalization;

use crate::{Specials, TokenKind, Tokenizer, Vocab};

/// Reads `data` as changes to a small vocabulary, one a line up to an empty line, and then as a
/// text; makes a tokenizer of the one and gives it the other.
///
/// A line is a letter and its operand: `t` a normal token, `m` a merge as it stands, `j` two parts
/// to join, `c` a control token, `u` a user-defined one, `p` an unused one, `d` a token (by its
/// number) to be emptied, `x` one to be removed, `k` one whose kind is removed, `e` the end token.
///
/// # Panics
/// If a promise is broken.
pub fn fuzz(data: &[u8]) {
    let data = String::from_utf8_lossy(data);
    let (lines, text) = data.split_once("\n\n").unwrap_or((&data, ""));
    let mut vocab = Vocab::of_bytes();
    for line in lines.lines() {
        change(&mut vocab, line);
    }
    if let Ok(tokenizer) = Tokenizer::new(vocab) {
        check(&tokenizer, text);
    }
}

fn change(vocab: &mut Vocab, line: &str) {
    let mut chars = line.chars();
    let letter = chars.next();
    let operand = chars.as_str();
    let number = operand.parse().unwrap_or(0);
    let index = number as usize % (vocab.tokens.len() + 1);
    match letter {
        Some('t') => _ = vocab.push(operand, TokenKind::Normal),
        Some('m') => vocab.merges.push(operand.to_owned()),
        Some('j') => {
            if let Some((left, right)) = operand.split_once(' ') {
                vocab.push_merge(left, right);
            }
        }
        Some('c') => _ = vocab.push(operand, TokenKind::Control),
        Some('u') => _ = vocab.push(operand, TokenKind::UserDefined),
        Some('p') => _ = vocab.push(operand, TokenKind::Unused),
        Some('d') => vocab.tokens.get_mut(index).into_iter().for_each(String::clear),
        Some('x') if index < vocab.tokens.len() => drop(vocab.tokens.remove(index)),
        Some('k') if index < vocab.kinds.len() => _ = vocab.kinds.remove(index),
        Some('e') => vocab.eos = Some(number),
        _ => {}
    }
}

fn check(tokenizer: &Tokenizer, text: &str) {
    let nfc: String = text.nfc().collect();
    let plain = tokenizer.encode(text, Specials::Plain);
    assert!(plain.iter().all(|id| tokenizer.kind(*id).merges()), "plain text holds no special token");
    assert_eq!(tokenizer.decode(&plain), nfc, "decoding undoes encoding");

    let parsed = tokenizer.encode(text, Specials::Parse);
    assert!(parsed.iter().all(|id| (*id as usize) < tokenizer.len()));
    assert_eq!(tokenizer.decode(&parsed), nfc, "decoding undoes encoding with special tokens");

    let quoted = tokenizer.encode(&tokenizer.quote(text), Specials::Quoted);
    assert!(quoted.iter().all(|id| tokenizer.kind(*id) != TokenKind::Control), "quoted text holds no control token");

    let mut decoder = tokenizer.decoder();
    let mut pieces: String = parsed.iter().map(|id| decoder.push(*id).to_owned()).collect();
    pieces += &decoder.finish();
    let shown: Vec<u32> = parsed.iter().copied().filter(|id| tokenizer.kind(*id).is_shown()).collect();
    assert_eq!(pieces, tokenizer.decode(&shown), "a decoder gives what is shown");
}
