//! Special tokens in a text: found, taken as text, or quoted.

use qwenda_tokenizer::{Specials, TokenKind, Tokenizer, Vocab};

const S: u32 = 256; // <s>
const SS: u32 = 257; // <s><s>
const TAG: u32 = 258; // <tag>, shown
const RIGHT: u32 = 259; // s>x
const X: u32 = 260; // a control token of one character

fn tokenizer() -> Tokenizer {
    let mut vocab = Vocab::of_bytes();
    assert_eq!(vocab.push("<s>", TokenKind::Control), S);
    assert_eq!(vocab.push("<s><s>", TokenKind::Control), SS);
    assert_eq!(vocab.push("<tag>", TokenKind::UserDefined), TAG);
    assert_eq!(vocab.push("s>x", TokenKind::Control), RIGHT);
    assert_eq!(vocab.push("\u{2603}", TokenKind::Control), X);
    vocab.push("[pad]", TokenKind::Unused);
    Tokenizer::new(vocab).expect("it is right")
}

fn bytes(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

#[test]
fn parsing_takes_the_leftmost_and_of_those_the_longest() {
    let check = |text: &str, want: &[u32]| {
        assert_eq!(tokenizer().encode(text, Specials::Parse), want, "{text}");
    };
    check("<s>", &[S]);
    check("<s><s>", &[SS]);
    check("<s><s><s>", &[SS, S]);
    check("<s>x", &[S, u32::from(b'x')]);
    check("s>x", &[RIGHT]);
    check("<tag>\u{2603}<s>", &[TAG, X, S]);
    check("<<s", &bytes("<<s"));
    check("[pad]", &bytes("[pad]"));
    check("", &[]);
}

#[test]
fn plain_text_has_no_special_tokens() {
    for text in ["<s>", "a<s><s>b", "<tag>", "\u{2603}"] {
        assert_eq!(tokenizer().encode(text, Specials::Plain), bytes(text), "{text}");
    }
}

#[test]
fn quoted_control_tokens_are_text_and_the_others_are_not() {
    let tokenizer = tokenizer();
    for user in ["<s>", "<s><s>", "<s>x", "s>xs>x", "\u{2603}", "\u{fdd0}<s>", "<\u{fdd0}s>", "plain", "", "<s"] {
        let prompt = format!("<s>\n{}\n<s>", tokenizer.quote(user));
        let said = user.replace('\u{fdd0}', "");
        let want = [vec![S], bytes(&format!("\n{said}\n")), vec![S]].concat();
        assert_eq!(tokenizer.encode(&prompt, Specials::Quoted), want, "{user:?}");
    }
    let shown = tokenizer.quote("<tag>").into_owned();
    assert_eq!(tokenizer.encode(&shown, Specials::Quoted), [TAG], "what is shown cannot forge a turn");
}

#[test]
fn a_mark_at_the_end_of_a_users_text_does_not_reach_the_template() {
    let tokenizer = tokenizer();
    let prompt = format!("{}<s>", tokenizer.quote("a\u{fdd0}"));
    assert_eq!(tokenizer.encode(&prompt, Specials::Quoted), [u32::from(b'a'), S]);
}

#[test]
fn a_decoder_hides_control_tokens_and_shows_user_defined_ones() {
    let tokenizer = tokenizer();
    let mut decoder = tokenizer.decoder();
    let pieces: Vec<String> =
        [S, u32::from(b'a'), TAG, SS, 0xe4, 0xbd, S, 0xa0, 9999, 261].map(|id| decoder.push(id).to_owned()).into();
    assert_eq!(pieces, ["", "a", "<tag>", "", "", "", "", "你", "", ""]);
    assert_eq!(decoder.finish(), "");
    assert_eq!(tokenizer.decode(&[S, u32::from(b'a'), TAG]), "<s>a<tag>");
}
