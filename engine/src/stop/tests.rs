use qwenda_tokenizer::{TokenKind, Tokenizer, Vocab};

use super::*;

/// Byte `b` is token `b`; behind them these.
const PIECES: [&str; 8] = ["hello", " world", "ST", "OP", "ab", "ba", "\u{1f600}", "<end>"];
const END: u32 = 256 + 7;

fn tokenizer() -> Tokenizer {
    let pieces = PIECES.map(|piece| piece.bytes().map(letter).collect());
    let mut kinds = vec![TokenKind::Normal; 256 + PIECES.len()];
    kinds[END as usize] = TokenKind::Control;
    Tokenizer::new(Vocab {
        tokens: (0..=255).map(|b| letter(b).to_string()).chain(pieces).collect(),
        kinds,
        ..Vocab::default()
    })
    .unwrap()
}

/// The byte-level alphabet: printable Latin-1 stands for itself, the rest follows from U+0100.
fn letter(byte: u8) -> char {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&b| !printable(b)).count();
    char::from_u32(0x100 + before as u32).unwrap()
}

/// Ids of `text`, in the largest pieces.
fn ids(mut text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    while !text.is_empty() {
        match PIECES.iter().position(|piece| text.starts_with(piece)) {
            Some(at) => {
                ids.push(256 + at as u32);
                text = &text[PIECES[at].len()..];
            }
            None => {
                let end = text.chars().next().unwrap().len_utf8();
                ids.extend(text.as_bytes()[..end].iter().map(|&b| u32::from(b)));
                text = &text[end..];
            }
        }
    }
    ids
}

fn watch(strings: &[&str], tokens: &[&[u32]]) -> Watch {
    let stop = Stop {
        strings: strings.iter().map(|&s| s.to_owned()).collect(),
        tokens: tokens.iter().map(|&t| t.to_vec()).collect(),
    };
    Watch::new(stop, [END].into(), tokenizer().decoder())
}

/// Feeds `ids` until the completion ends; pieces of text, all released ids, and whether it ended.
fn run(mut watch: Watch, ids: &[u32]) -> (Vec<String>, Vec<u32>, bool) {
    let (mut pieces, mut released) = (Vec::new(), Vec::new());
    let mut ended = false;
    let mut take = |out: Released| {
        if !out.text.is_empty() {
            pieces.push(out.text);
        }
        released.extend(out.ids);
    };
    for &id in ids {
        let mut out = Released::default();
        ended = watch.push(id, None, &mut out);
        take(out);
        if ended {
            break;
        }
    }
    if !ended {
        let mut out = Released::default();
        ended = watch.finish(&mut out);
        take(out);
    }
    (pieces, released, ended)
}

#[test]
fn text_ends_exactly_before_a_stop_string() {
    // text | stop strings | what leaves | stopped
    let table: &[(&str, &[&str], &str, bool)] = &[
        ("hello world", &[], "hello world", false),
        ("hello world", &["zzz"], "hello world", false),
        ("hello world", &["world"], "hello ", true),
        ("hello world", &["hello"], "", true),
        ("aSTOPb", &["STOP"], "a", true),
        ("aSTb", &["STOP"], "aSTb", false),
        ("aST", &["STOP"], "aST", false),
        ("xSTOP", &["TO", "STOP"], "x", true),
        ("xSTOP", &["TOP", "TO"], "xS", true),
        ("aaab", &["aab"], "a", true),
        ("你好", &["好"], "你", true),
        ("a\u{1f600}b", &["\u{1f600}"], "a", true),
        ("a<end>b", &["zzz"], "a", true),
        ("aST<end>b", &["STOP"], "aST", true),
    ];
    for &(text, strings, left, ended) in table {
        let (pieces, _, stopped) = run(watch(strings, &[]), &ids(text));
        assert_eq!((pieces.concat().as_str(), stopped), (left, ended), "{text:?} with {strings:?}");
    }
}

#[test]
fn text_that_may_become_a_stop_string_waits() {
    let mut watch = watch(&["STOP"], &[]);
    let mut push = |id: u32| {
        let mut out = Released::default();
        let ended = watch.push(id, None, &mut out);
        (out.text, out.ids, ended)
    };
    let [st, op] = [256 + 2, 256 + 3];
    assert_eq!(push(b'a'.into()), ("a".into(), vec![97], false));
    assert_eq!(push(st), (String::new(), vec![], false));
    assert_eq!(push(st), ("ST".into(), vec![st], false));
    assert_eq!(push(op), (String::new(), vec![], true));
}

#[test]
fn a_character_leaves_whole_with_all_its_tokens() {
    let mut watch = watch(&[], &[]);
    let bytes = "好".as_bytes();
    let mut released = Vec::new();
    for &byte in bytes {
        let mut out = Released::default();
        watch.push(byte.into(), None, &mut out);
        released.push((out.text, out.ids));
    }
    let all: Vec<u32> = bytes.iter().map(|&b| b.into()).collect();
    assert_eq!(released, [(String::new(), vec![]), (String::new(), vec![]), ("好".to_owned(), all)]);
}

#[test]
fn an_unfinished_character_is_dropped_at_the_end() {
    let bytes = "a好".as_bytes();
    let ids: Vec<u32> = bytes[..3].iter().map(|&b| b.into()).collect();
    let (pieces, _, _) = run(watch(&[], &[]), &ids);
    assert_eq!(pieces, ["a"]);
}

#[test]
fn token_sequences_stop_and_do_not_show() {
    let [st, op, a] = [256 + 2, 256 + 3, u32::from(b'a')];
    // tokens | stop sequences | text | ids | stopped
    type Row<'a> = (&'a [u32], &'a [&'a [u32]], &'a str, &'a [u32], bool);
    let table: &[Row<'_>] = &[
        (&[a, st, op, a], &[&[op]], "aST", &[a, st], true),
        (&[a, st, op, a], &[&[st, op]], "a", &[a], true),
        (&[a, st, a, st], &[&[st, op]], "aSTaST", &[a, st, a, st], false),
        (&[a, st, st, op], &[&[st, op]], "aST", &[a, st], true),
        (&[a, st, op], &[&[op], &[st, op]], "a", &[a], true),
        (&[a, a, a, op], &[&[a, a, op]], "a", &[a], true),
    ];
    for &(tokens, sequences, text, ids, ended) in table {
        let (pieces, released, stopped) = run(watch(&[], sequences), tokens);
        assert_eq!(
            (pieces.concat().as_str(), released.as_slice(), stopped),
            (text, ids, ended),
            "{tokens:?} with {sequences:?}"
        );
    }
}

#[test]
fn a_token_cut_by_a_stop_string_counts_if_it_began_before() {
    let (pieces, released, ended) = run(watch(&["lo w"], &[]), &ids("hello world"));
    assert_eq!((pieces.concat().as_str(), released, ended), ("hel", vec![256], true));
    let (pieces, released, _) = run(watch(&["OP"], &[]), &ids("STOP"));
    assert_eq!((pieces.concat().as_str(), released), ("ST", vec![258]));
}

/// Whatever the tokens, what leaves is the text before the first stop string, and at every moment
/// a beginning of it.
#[test]
fn any_stream_leaves_what_a_search_of_the_whole_text_leaves() {
    let mut seed = 7u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let choices = [u32::from(b'a'), u32::from(b'b'), 260, 261, 258, 259, 0xe4, 0xbd, 0xa0];
    let strings = ["ab", "aab", "bbb", "STOP", "abaSTa", "你", "b你"];
    let tokenizer = tokenizer();
    for round in 0..3000 {
        let tokens: Vec<u32> = (0..1 + random(20)).map(|_| choices[random(9) as usize]).collect();
        let stops: Vec<&str> = (0..random(3)).map(|_| strings[random(7) as usize]).collect();
        // The definition: decode all, one token more at a time, and search.
        let mut expected = String::new();
        let mut stopped = false;
        let mut decoder = tokenizer.decoder();
        for &id in &tokens {
            expected.push_str(decoder.push(id));
            if let Some(at) = stops.iter().filter_map(|stop| expected.find(stop)).min() {
                expected.truncate(at);
                stopped = true;
                break;
            }
        }
        let mut watch = watch(&stops, &[]);
        let mut text = String::new();
        let mut ended = false;
        for &id in &tokens {
            let mut out = Released::default();
            ended = watch.push(id, None, &mut out);
            text.push_str(&out.text);
            assert!(expected.starts_with(&text), "round {round}: {text:?} left, but it is {expected:?}");
            if ended {
                break;
            }
        }
        if !ended {
            let mut out = Released::default();
            ended = watch.finish(&mut out);
            text.push_str(&out.text);
        }
        assert_eq!((text, ended), (expected, stopped), "round {round}: {tokens:?} with {stops:?}");
    }
}
