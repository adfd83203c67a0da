//! A model's tokens in the form that grammars need them.

use std::sync::Arc;

use llguidance::{
    ParserFactory,
    api::ParserLimits,
    toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenizerEnv},
};
use qwenda_tokenizer::{Specials, TokenKind, Tokenizer};

/// Longest token that the trie takes, in bytes; real ones have a few hundred.
const TOKEN_BYTES_MAX: usize = 1000;

/// The vocabulary as a trie, with what all grammars over it share. Made once for a model, when the
/// first grammar is compiled.
pub(crate) struct Vocabulary {
    pub(super) factory: ParserFactory,
}

impl Vocabulary {
    /// `eos` are the tokens that end an answer; at least one.
    pub(super) fn new(tokenizer: &Arc<Tokenizer>, eos: &[u32]) -> Result<Self, String> {
        let words: Vec<Vec<u8>> =
            (0..u32::try_from(tokenizer.len()).expect("ids are 32 bits wide")).map(|id| word(tokenizer, id)).collect();
        let vocab = u32::try_from(words.len()).expect("ids are 32 bits wide");
        let &first = eos.first().ok_or("the model has no token that ends an answer")?;
        let trie = TokTrie::from(&TokRxInfo::new(vocab, first), &words).with_eos_tokens(eos);
        drop(words);
        let env: TokEnv = Arc::new(Env { tokenizer: Arc::clone(tokenizer), trie });
        let slices = SLICES.map(str::to_owned);
        let mut factory =
            ParserFactory::new(&env, InferenceCapabilities::default(), &slices).map_err(|error| error.to_string())?;
        factory.quiet();
        *factory.limits_mut() = LIMITS;
        Ok(Self { factory })
    }
}

/// Texts inside of JSON strings: where a grammar allows all of them, the mask of all their tokens is
/// known beforehand. More of these are hardly faster, and each takes 9 MiB with the vocabulary of
/// Qwen2.5, 35 MiB in all.
const SLICES: [&str; 2] = [r#"[^"\\\x00-\x1F\x7F]{1,16}"#, r#"[^"\\\x00-\x1F\x7F]+"#];

/// What one grammar may take, in the library's units.
const LIMITS: ParserLimits = ParserLimits {
    // More than the properties and branches that `limits` lets through.
    max_items_in_row: 20_000,
    // About 20 ms of building expressions.
    initial_lexer_fuel: 1_000_000,
    // About 15 ms for one mask at worst.
    step_lexer_fuel: 200_000,
    step_max_items: 50_000,
    // 130 bytes each.
    max_lexer_states: 250_000,
    max_grammar_size: 200_000,
    precompute_large_lexemes: false,
    // Errors go to callers, who neither want nor should see the parser's insides.
    verbose_errors: false,
};

/// The bytes by which the trie knows a token; none for what must never be generated.
fn word(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    let bytes = tokenizer.token_bytes(id);
    match tokenizer.kind(id) {
        _ if bytes.len() > TOKEN_BYTES_MAX => Vec::new(),
        // The marker is a byte that no UTF-8 text has, so that no text allows a special token: it
        // must be asked for by its name.
        TokenKind::Control | TokenKind::UserDefined => [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes].concat(),
        TokenKind::Normal | TokenKind::Byte => match bytes {
            [TokTrie::SPECIAL_TOKEN_MARKER, _, ..] => Vec::new(),
            _ => bytes.to_vec(),
        },
        TokenKind::Unknown | TokenKind::Unused => Vec::new(),
    }
}

struct Env {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
}

impl TokenizerEnv for Env {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        let encode = |text: &str| {
            let ids = self.tokenizer.encode(text, Specials::Plain);
            // A text that is not in normal form C has no canonical tokens.
            let same = ids.iter().flat_map(|&id| self.tokenizer.token_bytes(id)).eq(text.as_bytes());
            if same { ids } else { self.trie.greedy_tokenize(text.as_bytes()) }
        };
        self.trie.tokenize_with_greedy_fallback(bytes, encode)
    }
}
