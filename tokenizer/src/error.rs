/// Why a vocabulary was refused. Nothing else in this crate can fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The vocabulary has no tokens at all.
    #[error("the vocabulary has no tokens")]
    NoTokens,
    /// More tokens than an id can number.
    #[error("the vocabulary has {len} tokens, at most {max} are taken")]
    TooManyTokens {
        /// Number of tokens given.
        len: usize,
        /// Most tokens taken.
        max: usize,
    },
    /// `kinds` and `tokens` are parallel lists and must be equally long.
    #[error("the vocabulary has {tokens} tokens, but {kinds} token kinds")]
    KindsLength {
        /// Length of `tokens`.
        tokens: usize,
        /// Length of `kinds`.
        kinds: usize,
    },
    /// A token without text: a hole in the vocabulary.
    #[error("token {id} is empty")]
    Hole {
        /// Where the hole is.
        id: u32,
    },
    /// A single token is longer than any real one.
    #[error("token {id} has {len} bytes, at most {max} are taken")]
    TokenTooLong {
        /// The token.
        id: u32,
        /// Its length.
        len: usize,
        /// Most bytes taken.
        max: usize,
    },
    /// Two tokens stand for the same bytes.
    #[error("tokens {first} and {second} are both `{text}`")]
    Duplicate {
        /// The earlier token.
        first: u32,
        /// The later token.
        second: u32,
        /// What both stand for.
        text: String,
    },
    /// A normal token uses a character outside the byte-level alphabet.
    #[error("token {id} holds `{}`, which is not in the byte-level alphabet", found.escape_default())]
    Alphabet {
        /// The token.
        id: u32,
        /// The character.
        found: char,
    },
    /// No token stands for this single byte, so some texts could not be encoded.
    #[error("no token stands for byte {byte:#04x}")]
    MissingByte {
        /// The byte.
        byte: u8,
    },
    /// A merge is not two parts with one space between.
    #[error("merge {index} is `{text}`, not two parts with a space between")]
    MergeForm {
        /// Place in the list of merges.
        index: usize,
        /// The merge as given.
        text: String,
    },
    /// A merge names a part or a result that is not a normal token.
    #[error("merge {index} names `{text}`, which is not a normal token")]
    MergeUnknown {
        /// Place in the list of merges.
        index: usize,
        /// The part, or the two parts joined.
        text: String,
    },
    /// The same pair is merged twice.
    #[error("merge {index} repeats merge {first}")]
    MergeTwice {
        /// The earlier merge.
        first: usize,
        /// The later one.
        index: usize,
    },
    /// A special id that lies outside the vocabulary.
    #[error("the {name} token is {id}, but the vocabulary has {len} tokens")]
    SpecialRange {
        /// `bos`, `eos` or `pad`.
        name: &'static str,
        /// The id given.
        id: u32,
        /// Number of tokens.
        len: usize,
    },
    /// The special tokens are too large to search for.
    #[error("the special tokens cannot be searched for: {reason}")]
    Specials {
        /// What the search refused.
        reason: String,
    },
}
