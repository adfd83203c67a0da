use std::fmt;

use crate::limits::{DIMS_MAX, TENSOR_ELEMENTS_MAX};

/// How a tensor's elements are stored.
///
/// Quantised types store blocks of elements; a row always holds whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(non_camel_case_types, reason = "the names are the format's own")]
pub enum TensorType {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// The upper half of a 32-bit floating point number.
    BF16,
    /// 4 bits, one scale for 32.
    Q4_0,
    /// 4 bits, scale and minimum for 32.
    Q4_1,
    /// 5 bits, one scale for 32.
    Q5_0,
    /// 5 bits, scale and minimum for 32.
    Q5_1,
    /// 8 bits, one scale for 32.
    Q8_0,
    /// 8 bits, scale and sum for 32; activations only.
    Q8_1,
    /// 2 bits in super-blocks of 256.
    Q2_K,
    /// 3 bits in super-blocks of 256.
    Q3_K,
    /// 4 bits in super-blocks of 256.
    Q4_K,
    /// 5 bits in super-blocks of 256.
    Q5_K,
    /// 6 bits in super-blocks of 256.
    Q6_K,
    /// 8 bits in super-blocks of 256; activations only.
    Q8_K,
    /// 4 bits that choose among 16 uneven levels, one scale for 32.
    IQ4_NL,
    /// The same levels in super-blocks of 256.
    IQ4_XS,
    /// A type the format numbers and this crate only knows the size of, or not even that.
    Unsupported(u32),
}

/// Elements and bytes of one block of the types that are only listed, by number.
const OTHER_BLOCKS: [(u32, u64, u64); 16] = [
    (16, 256, 66),
    (17, 256, 74),
    (18, 256, 98),
    (19, 256, 50),
    (21, 256, 110),
    (22, 256, 82),
    (24, 1, 1),
    (25, 1, 2),
    (26, 1, 4),
    (27, 1, 8),
    (28, 1, 8),
    (29, 256, 56),
    (34, 256, 54),
    (35, 256, 66),
    (39, 32, 17),
    (40, 64, 36),
];

impl TensorType {
    /// The type with this number in a file.
    #[must_use]
    pub fn from_code(code: u32) -> Self {
        match code {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            9 => Self::Q8_1,
            10 => Self::Q2_K,
            11 => Self::Q3_K,
            12 => Self::Q4_K,
            13 => Self::Q5_K,
            14 => Self::Q6_K,
            15 => Self::Q8_K,
            20 => Self::IQ4_NL,
            23 => Self::IQ4_XS,
            30 => Self::BF16,
            other => Self::Unsupported(other),
        }
    }

    /// This type's number in a file.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::Q8_1 => 9,
            Self::Q2_K => 10,
            Self::Q3_K => 11,
            Self::Q4_K => 12,
            Self::Q5_K => 13,
            Self::Q6_K => 14,
            Self::Q8_K => 15,
            Self::IQ4_NL => 20,
            Self::IQ4_XS => 23,
            Self::BF16 => 30,
            Self::Unsupported(code) => code,
        }
    }

    /// Elements and bytes of one block; `None` for a number nobody has told us about.
    #[must_use]
    pub fn block(self) -> Option<(u64, u64)> {
        Some(match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q8_1 => (32, 36),
            Self::Q2_K => (256, 84),
            Self::Q3_K => (256, 110),
            Self::Q4_K => (256, 144),
            Self::Q5_K => (256, 176),
            Self::Q6_K => (256, 210),
            Self::Q8_K => (256, 292),
            Self::IQ4_NL => (32, 18),
            Self::IQ4_XS => (256, 136),
            Self::Unsupported(code) => {
                let &(_, elements, bytes) = OTHER_BLOCKS.iter().find(|(known, ..)| *known == code)?;
                (elements, bytes)
            }
        })
    }

    /// Bytes of a tensor of this type and shape; `Ok(None)` if the type's size is not known.
    ///
    /// # Errors
    /// What is wrong with the shape, as the reason of [`crate::Error::Shape`].
    pub fn byte_len(self, dims: &[u64]) -> Result<Option<u64>, String> {
        if dims.is_empty() || dims.len() > DIMS_MAX as usize {
            return Err(format!("there are {} of them, not 1 to {DIMS_MAX}", dims.len()));
        }
        let mut elements = 1u64;
        for &dim in dims {
            if dim == 0 {
                return Err("one of them is 0".to_owned());
            }
            elements = elements
                .checked_mul(dim)
                .filter(|&all| all <= TENSOR_ELEMENTS_MAX)
                .ok_or_else(|| format!("more than {TENSOR_ELEMENTS_MAX} elements"))?;
        }
        let Some((block_elements, block_bytes)) = self.block() else { return Ok(None) };
        if !dims[0].is_multiple_of(block_elements) {
            return Err(format!("the first is not a multiple of {self}'s block of {block_elements}"));
        }
        // At most 2^40 elements of at most 8 bytes: this cannot overflow.
        Ok(Some(elements / block_elements * block_bytes))
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(code) => write!(f, "type {code}"),
            known => write!(f, "{known:?}"),
        }
    }
}

/// One tensor of a file: its name, shape and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The tensor's name, for instance `blk.0.attn_q.weight`.
    pub name: String,
    /// Elements along each dimension, innermost first: `[columns, rows]` for a matrix.
    pub dims: Vec<u64>,
    /// How the elements are stored.
    pub kind: TensorType,
    /// First byte of the data, counted from the start of the file.
    pub offset: u64,
    /// Bytes of the data; 0 if the type's size is not known.
    pub len: u64,
}
