//! Reader and writer of GGUF model files that never trusts a file.
//!
//! Every length has a named cap (see [`limits`]), nothing is allocated that the rest of the file
//! could not fill, and every error names the place, the bound and the value. Versions 2 and 3 in
//! little-endian order are read; tensors of any type are listed, and only using one needs to know it.
//!
//! This crate knows nothing of models: which keys and tensors must exist is the engine's matter.
//!
//! Read `read`, then `value` and `tensor`; `map` holds the one memory map.
//!
//! # Example
//! ```
//! use qwenda_gguf::{Gguf, TensorType, Value, write::GgufWriter};
//!
//! let mut file = GgufWriter::new();
//! file.metadata("general.architecture", Value::from("qwen2"));
//! file.tensor("output_norm.weight", &[2], TensorType::F32, vec![0; 8])?;
//! let mut bytes = Vec::new();
//! file.finish(&mut bytes)?;
//!
//! let read = Gguf::from_bytes(bytes)?;
//! assert_eq!(read.str("general.architecture")?, "qwen2");
//! assert_eq!(read.tensors()[0].dims, [2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

mod cursor;
mod error;
mod fuzz;
pub mod limits;
mod map;
mod read;
mod tensor;
mod typed;
mod value;
pub mod write;

pub use error::Error;
#[doc(hidden)]
pub use fuzz::fuzz;
pub use map::Map;
pub use read::Gguf;
pub use tensor::{TensorInfo, TensorType};
pub use value::{Array, Strings, Value, ValueType};
