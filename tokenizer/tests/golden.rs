//! The real vocabulary gives the ids that the models' reference gives.

mod common;

use common::tokenizer;
use qwenda_tokenizer::{Specials, TokenKind};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

fn cases() -> Vec<Case> {
    [include_str!("golden/tokens.json"), include_str!("golden/more_tokens.json")]
        .into_iter()
        .flat_map(|json| serde_json::from_str::<Golden>(json).expect("golden data is JSON").cases)
        .collect()
}

#[test]
fn every_golden_text_gets_the_ids_of_the_reference() {
    let cases = cases();
    assert!(cases.len() > 200, "the golden data has {} cases", cases.len());
    for Case { text, ids } in &cases {
        assert_eq!(tokenizer().encode(text, Specials::Parse), *ids, "{text:?}");
    }
}

#[test]
fn golden_ids_decode_to_the_text_in_nfc() {
    for Case { text, ids } in &cases() {
        assert_eq!(tokenizer().decode(ids), text.nfc().collect::<String>());
    }
}

#[test]
fn golden_texts_without_special_tokens_are_the_same_in_every_mode() {
    for Case { text, ids } in &cases() {
        if ids.iter().all(|id| tokenizer().kind(*id) == TokenKind::Normal) {
            assert_eq!(tokenizer().encode(text, Specials::Plain), *ids, "{text:?}");
            // The one case with U+FDD0 in it is the one text that quoting changes.
            if !text.contains('\u{fdd0}') {
                assert_eq!(tokenizer().encode(text, Specials::Quoted), *ids, "{text:?}");
            }
        }
    }
}

#[test]
fn a_decoder_gives_whole_characters_and_all_of_them() {
    for Case { text, ids } in &cases() {
        let mut decoder = tokenizer().decoder();
        let mut shown = String::new();
        for id in ids {
            let piece = decoder.push(*id);
            assert!(!piece.contains('\u{fffd}') || text.contains('\u{fffd}'), "half a character in {piece:?}");
            shown += piece;
        }
        shown += &decoder.finish();
        let want: Vec<u32> = ids.iter().copied().filter(|id| tokenizer().kind(*id) != TokenKind::Control).collect();
        assert_eq!(shown, tokenizer().decode(&want));
    }
}

#[test]
fn the_real_vocabulary_is_what_the_models_were_trained_with() {
    let tokenizer = tokenizer();
    assert_eq!(tokenizer.len(), 151_936);
    for (text, id, kind) in [
        ("<|endoftext|>", 151_643, TokenKind::Control),
        ("<|im_start|>", 151_644, TokenKind::Control),
        ("<|im_end|>", 151_645, TokenKind::Control),
        ("<tool_call>", 151_657, TokenKind::UserDefined),
        ("</tool_call>", 151_658, TokenKind::UserDefined),
    ] {
        assert_eq!((tokenizer.id(text), tokenizer.kind(id)), (Some(id), kind), "{text}");
        assert_eq!(tokenizer.token_bytes(id), text.as_bytes());
    }
    assert_eq!(tokenizer.eos(), Some(151_645));
    assert_eq!((tokenizer.kind(151_665), tokenizer.kind(151_935)), (TokenKind::Unused, TokenKind::Unused));
    assert_eq!(tokenizer.encode("[PAD151665]", Specials::Parse).len(), 9, "padding is no special token");
    assert_eq!((tokenizer.id("hello"), tokenizer.id_of_bytes(b"hello")), (None, Some(14_990)));
    assert_eq!((tokenizer.kind(151_936), tokenizer.token_bytes(u32::MAX)), (TokenKind::Unused, &[][..]));
}

#[test]
fn every_token_that_is_a_word_is_reached_by_merging_and_so_is_its_second_time() {
    // The second time a shortcut is in use, and it must not change the answer.
    let tokenizer = tokenizer();
    for _ in 0..2 {
        let mut words = 0;
        for id in 0..tokenizer.len() as u32 {
            let bytes = tokenizer.token_bytes(id);
            let letters = bytes.strip_prefix(b" ").unwrap_or(bytes);
            if !letters.is_empty() && letters.iter().all(u8::is_ascii_lowercase) {
                let text = std::str::from_utf8(bytes).expect("ASCII");
                assert_eq!(tokenizer.encode(text, Specials::Plain), [id], "{text:?}");
                words += 1;
            }
        }
        assert!(words > 30_000, "only {words} tokens are words");
    }
}
