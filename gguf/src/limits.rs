//! The caps a file is held to. Published Qwen files stay below a tenth of each.

/// Bytes of everything before the tensor data: header, metadata and tensor infos.
pub const HEADER_BYTES_MAX: u64 = 256 << 20;

/// Metadata entries.
pub const METADATA_COUNT_MAX: u64 = 1 << 14;

/// Bytes of one metadata key; the format's own bound.
pub const KEY_BYTES_MAX: u64 = (1 << 16) - 1;

/// Bytes of one metadata string. Chat templates reach some tens of KiB.
pub const STRING_BYTES_MAX: u64 = 16 << 20;

/// Items of one metadata array. Vocabularies have about 150 thousand tokens.
pub const ARRAY_ITEMS_MAX: u64 = 1 << 23;

/// Arrays inside arrays; a plain array has depth 1.
pub const ARRAY_DEPTH_MAX: u32 = 4;

/// Arrays that are items of arrays, in one file.
pub const NESTED_ARRAYS_MAX: u64 = 1 << 16;

/// Tensors in one file.
pub const TENSORS_MAX: u64 = 1 << 16;

/// Bytes of one tensor name. The format says 64; some writers go beyond it.
pub const TENSOR_NAME_BYTES_MAX: u64 = 256;

/// Dimensions of one tensor; the format's own bound.
pub const DIMS_MAX: u32 = 4;

/// Elements of one tensor.
pub const TENSOR_ELEMENTS_MAX: u64 = 1 << 40;

/// Largest `general.alignment`.
pub const ALIGNMENT_MAX: u64 = 1 << 20;

/// The alignment of files that name none.
pub const ALIGNMENT_DEFAULT: u64 = 32;
