//! A vocabulary as a model file gives it, and the checks it must pass.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use crate::{alphabet, error::Error};

/// Most tokens a vocabulary may have; the largest real ones have a quarter of a million.
pub const TOKENS_MAX: usize = 1 << 24;

/// Most bytes of one token; the longest real ones have a few hundred.
pub const TOKEN_BYTES_MAX: usize = 1 << 16;

/// A vocabulary as it stands in a model file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocab {
    /// Text of every token by id. Normal tokens are in the byte-level alphabet (`Ġhello`), all
    /// others are plain text (`<|im_end|>`).
    pub tokens: Vec<String>,
    /// Kind of every token by id; as long as `tokens`.
    pub kinds: Vec<TokenKind>,
    /// Merges in order of precedence, each two normal tokens with one space between.
    pub merges: Vec<String>,
    /// How text is cut into words before merging.
    pub pre: Pre,
    /// Token that begins a text, if the model has one.
    pub bos: Option<u32>,
    /// Token that ends an answer.
    pub eos: Option<u32>,
    /// Token that fills unused places.
    pub pad: Option<u32>,
}

impl Vocab {
    /// The 256 single bytes in order and nothing else: every text can be encoded, badly. A ground
    /// to build small vocabularies on.
    pub fn of_bytes() -> Self {
        let tokens: Vec<_> = (0..=u8::MAX).map(|byte| alphabet::letter(byte).to_string()).collect();
        Self { kinds: vec![TokenKind::Normal; tokens.len()], tokens, ..Self::default() }
    }

    /// Adds a token and returns its id.
    pub fn push(&mut self, text: impl Into<String>, kind: TokenKind) -> u32 {
        self.tokens.push(text.into());
        self.kinds.push(kind);
        (self.tokens.len() - 1) as u32
    }

    /// Adds the merge of two normal tokens and the token they become.
    pub fn push_merge(&mut self, left: &str, right: &str) -> u32 {
        self.merges.push(format!("{left} {right}"));
        self.push(format!("{left}{right}"), TokenKind::Normal)
    }
}

/// How text is cut into words before merging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pre {
    /// The rule of Qwen, Qwen2, Qwen2.5, QwQ and Qwen3.
    #[default]
    Qwen2,
    /// The rule of Qwen3.5 and later, to which marks are letters.
    Qwen35,
}

impl Pre {
    /// The rule that a model file calls `name` in `tokenizer.ggml.pre`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "qwen2" | "deepseek-r1-qwen" => Some(Self::Qwen2),
            "qwen35" => Some(Self::Qwen35),
            _ => None,
        }
    }
}

/// What a token is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Text, found by merging.
    #[default]
    Normal,
    /// Stands for what cannot be encoded; byte-level vocabularies do not need it.
    Unknown,
    /// Steers the model (`<|im_end|>`) and is never shown.
    Control,
    /// Found whole in text like a control token, but shown (`<tool_call>`).
    UserDefined,
    /// Fills the table; never produced, never shown.
    Unused,
    /// A single byte, written in the byte-level alphabet.
    Byte,
}

impl TokenKind {
    /// The kind with this number in `tokenizer.ggml.token_type`.
    pub fn numbered(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }

    /// Whether text of this kind of token is made by merging.
    pub(crate) fn merges(self) -> bool {
        matches!(self, Self::Normal | Self::Byte)
    }

    /// Whether this kind of token is found whole in a text.
    pub(crate) fn is_special(self) -> bool {
        matches!(self, Self::Control | Self::UserDefined)
    }

    /// Whether a reader sees this kind of token.
    pub(crate) fn is_shown(self) -> bool {
        matches!(self, Self::Normal | Self::Byte | Self::UserDefined)
    }
}

/// The bytes of every token, and the way back for those that text is merged into.
pub(crate) struct Tokens {
    /// All tokens' bytes, one after the other.
    bytes: Vec<u8>,
    /// Token `id` is `bytes[starts[id]..starts[id + 1]]`.
    starts: Vec<u32>,
    kinds: Vec<TokenKind>,
    /// Ids of tokens for which [`TokenKind::merges`] holds, by their bytes.
    merging: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Tokens {
    /// Checks the tokens of `vocab` and takes them into one piece.
    pub(crate) fn new(vocab: &Vocab) -> Result<Self, Error> {
        let len = vocab.tokens.len();
        if len == 0 {
            return Err(Error::NoTokens);
        }
        if len > TOKENS_MAX {
            return Err(Error::TooManyTokens { len, max: TOKENS_MAX });
        }
        if len != vocab.kinds.len() {
            return Err(Error::KindsLength { tokens: len, kinds: vocab.kinds.len() });
        }
        for (name, id) in [("bos", vocab.bos), ("eos", vocab.eos), ("pad", vocab.pad)] {
            if let Some(id) = id.filter(|id| *id as usize >= len) {
                return Err(Error::SpecialRange { name, id, len });
            }
        }

        let mut tokens = Self {
            bytes: Vec::with_capacity(vocab.tokens.iter().map(String::len).sum()),
            starts: Vec::with_capacity(len + 1),
            kinds: vocab.kinds.clone(),
            merging: HashTable::with_capacity(len),
            hasher: DefaultHashBuilder::default(),
        };
        tokens.starts.push(0);
        for (id, (text, kind)) in (0..).zip(vocab.tokens.iter().zip(&vocab.kinds)) {
            tokens.push(id, text, *kind)?;
        }
        tokens.bytes.shrink_to_fit();
        match (0..=u8::MAX).find(|byte| tokens.find(&[*byte]).is_none()) {
            Some(byte) => Err(Error::MissingByte { byte }),
            None => Ok(tokens),
        }
    }

    fn push(&mut self, id: u32, text: &str, kind: TokenKind) -> Result<(), Error> {
        if text.is_empty() {
            return Err(Error::Hole { id });
        }
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Error::TokenTooLong { id, len: text.len(), max: TOKEN_BYTES_MAX });
        }
        let start = self.bytes.len();
        if kind.merges() {
            push_letters(&mut self.bytes, text).map_err(|found| Error::Alphabet { id, found })?;
        } else {
            self.bytes.extend_from_slice(text.as_bytes());
        }
        let end = u32::try_from(self.bytes.len())
            .map_err(|_| Error::TooManyTokens { len: id as usize + 1, max: id as usize })?;
        self.starts.push(end);
        if !kind.merges() {
            return Ok(());
        }

        let Self { bytes, starts, merging, hasher, .. } = self;
        let of = |id: u32| &bytes[starts[id as usize] as usize..starts[id as usize + 1] as usize];
        let hash = hasher.hash_one(&bytes[start..]);
        match merging.entry(hash, |other| of(*other) == &bytes[start..], |id| hasher.hash_one(of(*id))) {
            hashbrown::hash_table::Entry::Occupied(first) => {
                Err(Error::Duplicate { first: *first.get(), second: id, text: text.to_owned() })
            }
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(id);
                Ok(())
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Bytes that token `id` stands for; none for an id outside the vocabulary.
    #[inline]
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        match self.starts.get(id as usize..id as usize + 2) {
            Some(&[start, end]) => &self.bytes[start as usize..end as usize],
            _ => &[],
        }
    }

    pub(crate) fn kind(&self, id: u32) -> Option<TokenKind> {
        self.kinds.get(id as usize).copied()
    }

    /// The token that merging can produce and that stands for exactly `bytes`.
    #[inline]
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<u32> {
        self.merging.find(self.hasher.hash_one(bytes), |id| self.bytes(*id) == bytes).copied()
    }
}

/// Appends the bytes that `text` stands for, or says which character stands for none.
pub(crate) fn push_letters(bytes: &mut Vec<u8>, text: &str) -> Result<(), char> {
    for c in text.chars() {
        bytes.push(alphabet::byte(c).ok_or(c)?);
    }
    Ok(())
}
