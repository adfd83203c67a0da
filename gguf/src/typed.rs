//! Metadata asked for by key and type.

use crate::{Array, Error, Gguf, Strings, TensorInfo, Value};

/// Defines `name(key)`, which wants the key, and `opt_name(key)`, which does without it.
macro_rules! typed {
    ($(#[$doc:meta])* $name:ident, $opt:ident, $type:ty, $from:expr) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// The key is missing, or its value is of another type or out of range.
        pub fn $name(&self, key: &str) -> Result<$type, Error> {
            self.$opt(key)?.ok_or_else(|| missing(key))
        }

        $(#[$doc])*
        /// `None` if the key is missing.
        ///
        /// # Errors
        /// The value is of another type or out of range.
        pub fn $opt(&self, key: &str) -> Result<Option<$type>, Error> {
            self.get(key).map(|value| $from(key, value)).transpose()
        }
    };
}

impl Gguf {
    typed!(
        /// An integer of any width that fits 32 bits without a sign.
        u32, opt_u32, u32, |key, value| integer(key, value, 0, u32::MAX.into()).map(|v| v as u32)
    );
    typed!(
        /// An integer of any width that fits 64 bits without a sign.
        u64, opt_u64, u64, |key, value| integer(key, value, 0, u64::MAX.into()).map(|v| v as u64)
    );
    typed!(
        /// A floating point number of either width, not necessarily finite.
        f32, opt_f32, f32, |key, value: &Value| match value {
            Value::F32(number) => Ok(*number),
            Value::F64(number) => Ok(*number as f32),
            other => Err(wrong(key, "a floating point number", other)),
        }
    );
    typed!(
        /// A truth value.
        bool, opt_bool, bool, |key, value: &Value| match value {
            Value::Bool(truth) => Ok(*truth),
            other => Err(wrong(key, "a bool", other)),
        }
    );
    typed!(
        /// Text.
        str, opt_str, &str, text_of
    );
    typed!(
        /// An array of any item type.
        array, opt_array, &Array, array_of
    );
    typed!(
        /// An array of texts.
        strings, opt_strings, &Strings, texts_of
    );
    typed!(
        /// An array of integers of any width, each fitting 32 bits with a sign.
        i32s, opt_i32s, Vec<i32>, |key, value| integers(key, value, i32::MIN.into(), i32::MAX.into(), |v| v as i32)
    );
    typed!(
        /// An array of integers of any width, each fitting 32 bits without a sign.
        u32s, opt_u32s, Vec<u32>, |key, value| integers(key, value, 0, u32::MAX.into(), |v| v as u32)
    );
    typed!(
        /// An array of 32-bit floating point numbers, not necessarily finite.
        f32s, opt_f32s, &[f32], f32s_of
    );

    /// The tensor of that name.
    ///
    /// # Errors
    /// It is missing.
    pub fn need_tensor(&self, name: &str) -> Result<&TensorInfo, Error> {
        self.tensor(name).ok_or_else(|| Error::MissingTensor { name: name.to_owned() })
    }
}

fn missing(key: &str) -> Error {
    Error::Missing { key: key.to_owned() }
}

fn wrong(key: &str, wanted: &'static str, found: &Value) -> Error {
    Error::WrongType { key: key.to_owned(), wanted, found: found.described() }
}

fn text_of<'a>(key: &str, value: &'a Value) -> Result<&'a str, Error> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong(key, "a string", other)),
    }
}

fn texts_of<'a>(key: &str, value: &'a Value) -> Result<&'a Strings, Error> {
    match array_of(key, value)? {
        Array::Strings(texts) => Ok(texts),
        _ => Err(wrong(key, "an array of strings", value)),
    }
}

fn f32s_of<'a>(key: &str, value: &'a Value) -> Result<&'a [f32], Error> {
    match array_of(key, value)? {
        Array::F32(numbers) => Ok(numbers),
        _ => Err(wrong(key, "an array of f32", value)),
    }
}

fn array_of<'a>(key: &str, value: &'a Value) -> Result<&'a Array, Error> {
    match value {
        Value::Array(array) => Ok(array),
        other => Err(wrong(key, "an array", other)),
    }
}

fn integer(key: &str, value: &Value, min: i128, max: i128) -> Result<i128, Error> {
    let found = value.integer().ok_or_else(|| wrong(key, "an integer", value))?;
    in_range(found, min, max).ok_or_else(|| Error::OutOfRange { key: key.to_owned(), value: found, min, max })
}

fn integers<T>(key: &str, value: &Value, min: i128, max: i128, cast: fn(i128) -> T) -> Result<Vec<T>, Error> {
    let array = array_of(key, value)?;
    let item = |index| {
        let found = array.integer(index).ok_or_else(|| wrong(key, "an array of integers", value))?;
        let out_of_range = || Error::OutOfRange { key: format!("{key}[{index}]"), value: found, min, max };
        in_range(found, min, max).map(cast).ok_or_else(out_of_range)
    };
    (0..array.len()).map(item).collect()
}

fn in_range(value: i128, min: i128, max: i128) -> Option<i128> {
    (min..=max).contains(&value).then_some(value)
}
