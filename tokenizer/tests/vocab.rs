//! A vocabulary that cannot be right is refused, and the error names the place.

use qwenda_tokenizer::{Error, Pre, TOKEN_BYTES_MAX, TokenKind, Tokenizer, Vocab};

#[track_caller]
fn refused(change: impl FnOnce(&mut Vocab)) -> (Error, String) {
    let mut vocab = Vocab::of_bytes();
    vocab.push_merge("a", "b"); // 256
    vocab.push("<|end|>", TokenKind::Control); // 257
    change(&mut vocab);
    let error = Tokenizer::new(vocab).expect_err("a broken vocabulary is refused");
    let said = error.to_string();
    (error, said)
}

#[test]
fn a_vocabulary_of_the_256_bytes_is_enough() {
    let tokenizer = Tokenizer::new(Vocab::of_bytes()).expect("it is right");
    assert_eq!(tokenizer.len(), 256);
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.pad()), (None, None, None));
}

#[test]
fn every_fault_is_named_with_its_place() {
    type Change = fn(&mut Vocab);
    let table: [(Change, &str); 19] = [
        (|v| *v = Vocab::default(), "the vocabulary has no tokens"),
        (|v| v.kinds.truncate(9), "the vocabulary has 258 tokens, but 9 token kinds"),
        (|v| v.kinds.push(TokenKind::Unused), "the vocabulary has 258 tokens, but 259 token kinds"),
        (|v| v.tokens[77].clear(), "token 77 is empty"),
        (|v| v.tokens[257].clear(), "token 257 is empty"),
        (|v| v.tokens[97] = "b".into(), "tokens 97 and 98 are both `b`"),
        (|v| _ = v.push("<|end|>", TokenKind::UserDefined), "tokens 257 and 258 are both `<|end|>`"),
        (|v| _ = v.push("a b", TokenKind::Normal), "token 258 holds ` `, which is not in the byte-level alphabet"),
        (|v| _ = v.push("\n", TokenKind::Byte), "token 258 holds `\\n`, which is not in the byte-level alphabet"),
        (|v| v.kinds[32] = TokenKind::Unused, "no token stands for byte 0x20"),
        (|v| v.kinds[255] = TokenKind::Control, "no token stands for byte 0xff"),
        (|v| v.merges.push("ab".into()), "merge 1 is `ab`, not two parts with a space between"),
        (|v| v.merges.push("a b c".into()), "merge 1 is `a b c`, not two parts with a space between"),
        (|v| v.merges.push(" b".into()), "merge 1 is ` b`, not two parts with a space between"),
        (|v| v.merges.push("b ab".into()), "merge 1 names `bab`, which is not a normal token"),
        (|v| v.merges.push("xyz a".into()), "merge 1 names `xyz`, which is not a normal token"),
        (|v| v.merges.push("a <|end|>".into()), "merge 1 names `<|end|>`, which is not a normal token"),
        (|v| v.merges.push("a b".into()), "merge 1 repeats merge 0"),
        (|v| v.eos = Some(258), "the eos token is 258, but the vocabulary has 258 tokens"),
    ];
    for (change, want) in table {
        assert_eq!(refused(change).1, want);
    }
}

#[test]
fn a_token_longer_than_the_cap_is_refused() {
    let (error, _) = refused(|v| _ = v.push("x".repeat(TOKEN_BYTES_MAX + 1), TokenKind::Control));
    assert_eq!(error, Error::TokenTooLong { id: 258, len: TOKEN_BYTES_MAX + 1, max: TOKEN_BYTES_MAX });
}

#[test]
fn kinds_and_rules_have_the_numbers_and_names_of_model_files() {
    let kinds = [1, 2, 3, 4, 5, 6].map(TokenKind::numbered);
    use TokenKind::*;
    assert_eq!(kinds, [Normal, Unknown, Control, UserDefined, Unused, Byte].map(Some));
    assert_eq!([0, 7, -1, i64::MAX].map(TokenKind::numbered), [None; 4]);
    assert_eq!((Pre::named("qwen2"), Pre::named("llama-bpe"), Pre::named("")), (Some(Pre::Qwen2), None, None));
}
