use std::{io, path::PathBuf};

/// Why a file was refused, or why a value of it cannot be used as asked.
///
/// Offsets count bytes from the file's start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened, mapped or written.
    #[error("cannot read `{path}`: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not begin with `GGUF`.
    #[error("not a GGUF file: it begins with {found:02x?} where `GGUF` is expected")]
    NotGguf {
        /// The first bytes, at most four.
        found: Vec<u8>,
    },
    /// The version field only makes sense in big-endian order.
    #[error("a big-endian GGUF file (version field {field:#010x}); only little-endian files are read")]
    BigEndian {
        /// The version field as a little-endian number.
        field: u32,
    },
    /// A version that is not read.
    #[error("GGUF version {found}; versions 2 and 3 are read")]
    Version {
        /// The file's version.
        found: u32,
    },
    /// The file ends inside something.
    #[error("{place} at byte {offset} wants {wanted} more bytes, but only {left} are left")]
    Truncated {
        /// What was being read.
        place: String,
        /// Where it begins.
        offset: u64,
        /// Fewest bytes it needs.
        wanted: u64,
        /// Bytes left in the file.
        left: u64,
    },
    /// A number is above its cap.
    #[error("{place} at byte {offset} is {value}, more than {bound} ({max})")]
    OverLimit {
        /// What was being read.
        place: String,
        /// Where it begins.
        offset: u64,
        /// The number in the file.
        value: u64,
        /// The cap's name in [`crate::limits`].
        bound: &'static str,
        /// The cap.
        max: u64,
    },
    /// Text is not UTF-8.
    #[error("{place} at byte {offset} is not UTF-8 from its byte {valid} on")]
    Utf8 {
        /// What was being read.
        place: String,
        /// Where the text begins.
        offset: u64,
        /// How much of it is valid.
        valid: u64,
    },
    /// A field has a value the format does not know.
    #[error("{place} at byte {offset} is {value}, which is none of {known}")]
    Unknown {
        /// What was being read.
        place: String,
        /// Where it begins.
        offset: u64,
        /// The number in the file.
        value: u64,
        /// What it may be.
        known: &'static str,
    },
    /// A metadata key or a tensor name is empty.
    #[error("{place} at byte {offset} is empty")]
    Empty {
        /// What was being read.
        place: String,
        /// Where it begins.
        offset: u64,
    },
    /// A metadata key or a tensor name occurs twice.
    #[error("{what} `{name}` occurs a second time at byte {offset}")]
    Duplicate {
        /// "metadata key" or "tensor".
        what: &'static str,
        /// The name.
        name: String,
        /// Where the second one begins.
        offset: u64,
    },
    /// The alignment is not a power of two within its cap.
    #[error("`general.alignment` is {value}; it must be a power of two of at most {max}")]
    Alignment {
        /// The file's alignment.
        value: u64,
        /// The cap.
        max: u64,
    },
    /// A tensor's shape is impossible.
    #[error("tensor `{name}` has dimensions {dims:?}: {reason}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its dimensions, innermost first.
        dims: Vec<u64>,
        /// What is wrong with them.
        reason: String,
    },
    /// A tensor's data does not begin at the file's alignment.
    #[error("tensor `{name}` begins at {offset} of the data, not a multiple of {alignment}")]
    Misaligned {
        /// The tensor.
        name: String,
        /// Its offset from the start of the data.
        offset: u64,
        /// The file's alignment.
        alignment: u64,
    },
    /// A tensor's data reaches beyond the file.
    #[error("tensor `{name}` wants bytes {start}..{end}, but the file has {len}")]
    OutOfFile {
        /// The tensor.
        name: String,
        /// First byte.
        start: u64,
        /// One past the last byte; `u64::MAX` where the sum overflows.
        end: u64,
        /// Bytes in the file.
        len: u64,
    },
    /// Two tensors share bytes.
    #[error("tensors `{first}` (bytes {first_start}..{first_end}) and `{second}` (from byte {second_start}) overlap")]
    Overlap {
        /// The tensor that begins first.
        first: String,
        /// Its first byte.
        first_start: u64,
        /// One past its last byte.
        first_end: u64,
        /// The tensor that begins inside it.
        second: String,
        /// Its first byte.
        second_start: u64,
    },
    /// A metadata key that was asked for is not there.
    #[error("metadata `{key}` is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// A metadata value is not of the type it was asked as.
    #[error("metadata `{key}` is {found}, not {wanted}")]
    WrongType {
        /// The key.
        key: String,
        /// What was asked for.
        wanted: &'static str,
        /// What the file has.
        found: String,
    },
    /// A metadata number does not fit the type it was asked as.
    #[error("metadata `{key}` is {value}, outside {min}..={max}")]
    OutOfRange {
        /// The key, with the index for an item of an array.
        key: String,
        /// The number in the file.
        value: i128,
        /// Smallest number that fits.
        min: i128,
        /// Largest number that fits.
        max: i128,
    },
    /// A tensor that was asked for is not there.
    #[error("tensor `{name}` is missing")]
    MissingTensor {
        /// The tensor.
        name: String,
    },
    /// A tensor to be written does not have the bytes its shape asks for.
    #[error("tensor `{name}` has {found} bytes, its shape asks for {wanted}")]
    TensorBytes {
        /// The tensor.
        name: String,
        /// Bytes that the shape asks for.
        wanted: u64,
        /// Bytes that were given.
        found: u64,
    },
}
