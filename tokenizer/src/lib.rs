//! Text to token ids and back, exactly as the model's reference does.
//!
//! Byte-level BPE with the Qwen family's rules: NFC first, then special tokens, then words
//! (`pretokenize.rs`), then merges (`bpe.rs`). It knows nothing of files: whoever reads a model
//! file fills in a [`Vocab`], and [`Tokenizer::new`] refuses one that cannot be right.
//!
//! Text that others wrote can contain the spelling of a special token, and which way it is taken
//! is the caller's choice: see [`Specials`].
//!
//! Read `vocab.rs` for what is accepted, then `bpe.rs`.

#![warn(missing_docs)]

mod alphabet;
mod bpe;
mod decode;
mod error;
mod fuzz;
mod pretokenize;
mod special;
mod vocab;

use std::{borrow::Cow, fmt, sync::Arc};

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

pub use decode::Decoder;
pub use error::Error;
#[doc(hidden)]
pub use fuzz::fuzz;
pub use vocab::{Pre, TOKEN_BYTES_MAX, TOKENS_MAX, TokenKind, Vocab};

/// What the spelling of a special token inside a text means.
///
/// A chat template writes `<|im_start|>` as text, so a rendered prompt has to be encoded with
/// special tokens. The words of a user stand in the same text: with `Parse` a user who writes
/// `<|im_end|>` ends the turn, as with the models' reference. Whoever must rule that out passes
/// everything that others wrote through [`Tokenizer::quote`], renders the template with it, and
/// encodes the prompt with `Quoted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Specials {
    /// It is the special token, as the reference has it. The leftmost wins, then the longest.
    Parse,
    /// It is the special token, except where [`Tokenizer::quote`] has marked it as text.
    Quoted,
    /// It is text like any other; no special token can come out.
    Plain,
}

/// A checked vocabulary, ready to encode and decode. Cheap to clone; shared between threads.
#[derive(Clone)]
pub struct Tokenizer {
    tables: Arc<Tables>,
}

pub(crate) struct Tables {
    tokens: vocab::Tokens,
    bpe: bpe::Bpe,
    specials: special::Specials,
    pre: Pre,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
}

impl Tokenizer {
    /// Checks `vocab` and prepares it.
    ///
    /// # Errors
    /// Whatever makes the vocabulary unusable, with the id or the merge at fault.
    pub fn new(vocab: Vocab) -> Result<Self, Error> {
        let tokens = vocab::Tokens::new(&vocab)?;
        let bpe = bpe::Bpe::new(&tokens, &vocab.merges)?;
        let specials = special::Specials::new(&tokens)?;
        let Vocab { pre, bos, eos, pad, .. } = vocab;
        Ok(Self { tables: Arc::new(Tables { tokens, bpe, specials, pre, bos, eos, pad }) })
    }

    /// The ids of `text`. The text is brought to NFC first; no beginning or end token is added.
    ///
    /// Takes time in proportion to `n log n` of the text's length, whatever it holds.
    pub fn encode(&self, text: &str, specials: Specials) -> Vec<u32> {
        let text = nfc(text);
        // About four bytes of English make a token.
        let mut ids = Vec::with_capacity(text.len() / 4 + 1);
        let mut piece = |piece: special::Piece<'_>| match piece {
            special::Piece::Plain(text) => self.encode_plain(text, &mut ids),
            special::Piece::Special(id) => ids.push(id),
        };
        match specials {
            Specials::Plain => piece(special::Piece::Plain(&text)),
            Specials::Parse => self.tables.specials.split(&text, piece),
            Specials::Quoted => self.tables.specials.split_quoted(&text, piece),
        }
        ids
    }

    /// `text` with marks that keep the spelling of control tokens from being read as such by
    /// [`Specials::Quoted`], which takes the marks out again. The mark is the noncharacter U+FDD0;
    /// where the text already has it, it is left out.
    pub fn quote<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.tables.specials.quote(&self.tables.tokens, text)
    }

    fn encode_plain(&self, text: &str, ids: &mut Vec<u32>) {
        for word in pretokenize::words(self.tables.pre, text) {
            self.tables.bpe.encode(&self.tables.tokens, word.as_bytes(), ids);
        }
    }

    /// The text that `ids` stand for, control tokens spelled out; bytes that are not UTF-8 become
    /// U+FFFD. For what a reader of an answer should see, use [`decoder`](Self::decoder).
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| self.token_bytes(*id)).copied().collect();
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    /// A fresh decoder for an answer that arrives token by token. It does not borrow from `self`.
    pub fn decoder(&self) -> Decoder {
        Decoder::new(Arc::clone(&self.tables))
    }

    /// The exact bytes of token `id`, which need not be whole characters. For a control token they
    /// are its spelling; for an id outside the vocabulary there are none.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.tables.tokens.bytes(id)
    }

    /// Number of ids, those of unused tokens included.
    #[expect(clippy::len_without_is_empty, reason = "a vocabulary is never empty")]
    pub fn len(&self) -> usize {
        self.tables.tokens.len()
    }

    /// What token `id` is for; an id outside the vocabulary is [`TokenKind::Unused`].
    pub fn kind(&self, id: u32) -> TokenKind {
        self.tables.tokens.kind(id).unwrap_or(TokenKind::Unused)
    }

    /// The special token (control or user-defined) spelled `text`.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.tables.specials.find(text)
    }

    /// The normal token that stands for exactly these bytes.
    pub fn id_of_bytes(&self, bytes: &[u8]) -> Option<u32> {
        self.tables.tokens.find(bytes)
    }

    /// The token that begins a text, if the vocabulary names one. It is not added by `encode`.
    pub fn bos(&self) -> Option<u32> {
        self.tables.bos
    }

    /// The token that ends an answer, if the vocabulary names one.
    pub fn eos(&self) -> Option<u32> {
        self.tables.eos
    }

    /// The token that fills unused places, if the vocabulary names one.
    pub fn pad(&self) -> Option<u32> {
        self.tables.pad
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// `text` in Unicode's normal form C, which is what the models were trained on.
fn nfc(text: &str) -> Cow<'_, str> {
    // Characters below U+0300 neither change nor combine with what stands before them. Leaving
    // them out can only make the quick check more careful, never less.
    let unusual = text.chars().filter(|c| *c >= '\u{300}');
    match is_nfc_quick(unusual) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}
