//! The real vocabulary, read once per test program.

use std::sync::OnceLock;

use qwenda_gguf::Gguf;
use qwenda_tokenizer::{Pre, TokenKind, Tokenizer, Vocab};

pub(crate) fn vocab() -> Vocab {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let file = Gguf::open(&path).expect("the model file opens");
    let strings = |key| file.strings(key).expect(key).iter().map(str::to_owned).collect();
    let kinds = file.i32s("tokenizer.ggml.token_type").expect("token kinds");
    Vocab {
        tokens: strings("tokenizer.ggml.tokens"),
        kinds: kinds.iter().map(|kind| TokenKind::numbered((*kind).into()).expect("a known kind")).collect(),
        merges: strings("tokenizer.ggml.merges"),
        pre: Pre::named(file.str("tokenizer.ggml.pre").expect("a rule for words")).expect("a known rule"),
        eos: Some(file.u32("tokenizer.ggml.eos_token_id").expect("an end token")),
        ..Vocab::default()
    }
}

pub(crate) fn tokenizer() -> &'static Tokenizer {
    static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| Tokenizer::new(vocab()).expect("the real vocabulary is right"))
}
