//! What holds for any vocabulary and any text.

use qwenda_testkit::{mutate, rng::Rng};
use qwenda_tokenizer::{Specials, TokenKind, Tokenizer, Vocab, fuzz};
use unicode_normalization::UnicodeNormalization;

/// A vocabulary of random merges over the lower-case letters, the space and the bytes of `你好`.
fn random_vocab(rng: &mut Rng) -> Vocab {
    let mut vocab = Vocab::of_bytes();
    let letters: Vec<usize> = "abcdef 你好".bytes().map(usize::from).collect();
    let mut parts = letters.clone();
    for _ in 0..rng.below(60) {
        let (left, right) = (*rng.pick(&parts), *rng.pick(&parts));
        let (left, right) = (vocab.tokens[left].clone(), vocab.tokens[right].clone());
        if left.len() + right.len() < 24 && !vocab.tokens.contains(&format!("{left}{right}")) {
            parts.push(vocab.push_merge(&left, &right) as usize);
        }
    }
    vocab.push("<|end|>", TokenKind::Control);
    vocab
}

/// Merging as it is defined: again and again the earliest merge that applies, at its leftmost place.
fn by_definition(vocab: &Vocab, word: &str) -> Vec<u32> {
    let mut parts: Vec<String> = word.bytes().map(|b| vocab.tokens[usize::from(b)].clone()).collect();
    loop {
        let found = vocab.merges.iter().find_map(|merge| {
            let (left, right) = merge.split_once(' ')?;
            let at = parts.windows(2).position(|pair| pair[0] == left && pair[1] == right)?;
            Some((at, format!("{left}{right}")))
        });
        let Some((at, joined)) = found else { break };
        parts.splice(at..at + 2, [joined]);
    }
    let id = |part: &String| vocab.tokens.iter().position(|token| token == part).map(|id| id as u32);
    parts.iter().map(|part| id(part).expect("every part is a token")).collect()
}

#[test]
fn short_and_long_words_are_merged_as_the_definition_says() {
    for round in 0..60 {
        let mut rng = Rng::round(20, round);
        let vocab = random_vocab(&mut rng);
        let tokenizer = Tokenizer::new(vocab.clone()).expect("it is right");
        for len in [1, 2, 3, 5, 8, 13, 30, 47, 48, 49, 50, 64, 150] {
            let alphabet = rng.below(6) + 1;
            let word: String = (0..len).map(|_| char::from(b'a' + rng.below(alphabet) as u8)).collect();
            let want = by_definition(&vocab, &word);
            for _ in 0..2 {
                assert_eq!(tokenizer.encode(&word, Specials::Plain), want, "round {round}, {word}");
            }
        }
    }
}

/// Any character at all, with those more often that composition and splitting care about.
fn random_char(rng: &mut Rng) -> char {
    let (start, end) = *rng.pick(&[
        (0x00, 0x7f),
        (0x20, 0x7f),
        (0xa0, 0x24f),
        (0x300, 0x36f),
        (0x590, 0x6ff),
        (0x900, 0xdff),
        (0x1100, 0x11ff),
        (0x1e00, 0x206f),
        (0x3000, 0x30ff),
        (0x4e00, 0x9fff),
        (0xac00, 0xd7a3),
        (0xf900, 0xffff),
        (0x1_0000, 0x10_ffff),
        (0x1_f300, 0x1_faff),
    ]);
    char::from_u32(start + rng.below((end - start + 1) as usize) as u32).unwrap_or(' ')
}

#[test]
fn decoding_undoes_encoding_of_any_text() {
    for round in 0..2000 {
        let mut rng = Rng::round(21, round);
        let vocab = random_vocab(&mut rng);
        let tokenizer = Tokenizer::new(vocab).expect("it is right");
        let mut text: String = (0..rng.below(80)).map(|_| random_char(&mut rng)).collect();
        if rng.below(3) == 0 {
            text += "<|end|>";
        }
        let nfc: String = text.nfc().collect();
        for specials in [Specials::Parse, Specials::Plain] {
            assert_eq!(tokenizer.decode(&tokenizer.encode(&text, specials)), nfc, "round {round}, {text:?}");
        }
    }
}

#[test]
fn a_decoder_gives_what_the_whole_bytes_give_wherever_they_are_cut() {
    // Tokens of one to three bytes, so that characters are cut everywhere; random bytes, so that
    // most are not characters.
    for round in 0..3000 {
        let mut rng = Rng::round(22, round);
        let tokenizer = Tokenizer::new(random_vocab(&mut rng)).expect("it is right");
        let mut bytes: Vec<u8> = (0..rng.below(30)).map(|_| random_char(&mut rng)).collect::<String>().into();
        for _ in 0..rng.below(4) {
            if !bytes.is_empty() {
                let at = rng.below(bytes.len());
                match rng.below(3) {
                    0 => bytes[at] = *rng.pick(&[0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xf5, 0xff]),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.truncate(at),
                }
            }
        }
        let mut decoder = tokenizer.decoder();
        let mut text = String::new();
        for byte in &bytes {
            let piece = decoder.push(u32::from(*byte));
            text += piece;
            assert!(decoder.held_bytes() <= 3);
        }
        text += &decoder.finish();
        let whole = String::from_utf8_lossy(&bytes);
        assert_eq!(text, whole, "round {round}, {bytes:02x?}");
        let ids: Vec<u32> = bytes.iter().copied().map(u32::from).collect();
        assert_eq!(tokenizer.decode(&ids), whole);
    }
}

#[test]
fn a_megabyte_of_anything_is_encoded() {
    // Each of these took an engine with backtracking, or merging by scanning, time in proportion to
    // the square of its length: hours. There is nothing to assert but that it ends, and is right.
    let mut rng = Rng::new(23);
    let mut vocab = random_vocab(&mut rng);
    for (left, right) in [("Ġ", "Ġ"), ("ĠĠ", "ĠĠ"), ("ĠĠĠĠ", "ĠĠĠĠ"), ("Ċ", "Ċ"), ("!", "!")] {
        if !vocab.tokens.contains(&format!("{left}{right}")) {
            vocab.push_merge(left, right);
        }
    }
    let tokenizer = Tokenizer::new(vocab).expect("it is right");
    for pattern in [
        "a",
        "ab",
        "abcdef",
        " ",
        "\n",
        " \n",
        "\n ",
        "\t",
        "!",
        "'",
        "'l",
        "1",
        "<|end",
        "<|end|>",
        "你",
        "e\u{301}",
        "\u{301}\u{316}",
        "\u{1100}\u{1161}\u{11a8}",
        "\u{200d}",
        "\u{3000}",
    ] {
        let text = pattern.repeat((1 << 20) / pattern.len());
        for text in [text.clone(), text + "x"] {
            let ids = tokenizer.encode(&text, Specials::Parse);
            assert!(tokenizer.decode(&ids) == text.nfc().collect::<String>(), "{pattern:?} came back otherwise");
        }
    }
}

#[test]
fn no_bytes_make_the_fuzz_target_panic() {
    let samples: [&[u8]; 6] = [
        b"ja b\njab c\nj\xc4\xa0 a\nc<|im_end|>\nu<tool>\n\nabc ab a  <|im_end|><tool>\n caf\xc3\xa9 e\xcc\x81",
        b"jh e\njl l\njhe ll\njhell o\nc<|a|>\nc|>\ne257\n\nhello hell <|a|><|a<|a|>|>",
        "ja a\njaa aa\njaaaa aaaa\n\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".as_bytes(),
        "jä ½\nj½ ł\nt你\nc\u{301}\nuĠ\np[pad]\n\n你好ä½ł é".as_bytes(),
        b"d77\nx3\nk9\ne300\nma b\nmx\nm a\n\ntext",
        b"",
    ];
    mutate::rounds(24, 1500, &samples, fuzz);
}
