//! The vocabulary in a model file, handed to the tokenizer.

use std::{ops::Range, path::Path};

use qwenda_gguf::Gguf;
use qwenda_tokenizer::{Pre, TokenKind, Tokenizer, Vocab};

use crate::Error;

/// Control tokens that end an answer in every model that has them, besides the one the file names.
const END_TOKENS: [&str; 2] = ["<|im_end|>", "<|endoftext|>"];

/// Reads and checks the vocabulary.
pub(crate) fn read(file: &Gguf, path: &Path) -> Result<Tokenizer, Error> {
    let in_file = |source| Error::File { path: path.to_owned(), source };
    let model = file.str("tokenizer.ggml.model").map_err(in_file)?;
    if model != "gpt2" {
        return Err(wrong("tokenizer.ggml.model", format_args!("`{model}`"), "`gpt2` (byte-level BPE)"));
    }
    // Early files leave the rule out; their architecture decides it.
    let pre = match file.opt_str("tokenizer.ggml.pre").map_err(in_file)? {
        None => Pre::Qwen2,
        Some(name) => Pre::named(name).ok_or_else(|| {
            wrong("tokenizer.ggml.pre", format_args!("`{name}`"), "a rule of the Qwen family, such as `qwen2`")
        })?,
    };
    let tokens = strings(file, "tokenizer.ggml.tokens").map_err(in_file)?;
    let merges = strings(file, "tokenizer.ggml.merges").map_err(in_file)?;
    let kinds = kinds(file, path)?;
    let id = |key: &str| file.opt_u32(key).map_err(in_file);
    let vocab = Vocab {
        tokens,
        kinds,
        merges,
        pre,
        bos: id("tokenizer.ggml.bos_token_id")?,
        eos: id("tokenizer.ggml.eos_token_id")?,
        pad: id("tokenizer.ggml.padding_token_id")?,
    };
    Tokenizer::new(vocab).map_err(|source| Error::Vocab { path: path.to_owned(), source })
}

/// Tokens that end an answer, ascending.
pub(crate) fn end_tokens(tokenizer: &Tokenizer) -> Vec<u32> {
    let mut ends: Vec<u32> = END_TOKENS
        .into_iter()
        .filter_map(|text| tokenizer.id(text))
        .filter(|&id| tokenizer.kind(id) == TokenKind::Control)
        .chain(tokenizer.eos())
        .collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Rows of the output matrix that are no tokens and must never be sampled.
pub(crate) fn unused(tokenizer: &Tokenizer) -> Vec<Range<u32>> {
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for id in 0..u32::try_from(tokenizer.len()).expect("ids are 32 bits wide") {
        if tokenizer.kind(id) != TokenKind::Unused {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == id => last.end = id + 1,
            _ => ranges.push(id..id + 1),
        }
    }
    ranges
}

fn kinds(file: &Gguf, path: &Path) -> Result<Vec<TokenKind>, Error> {
    const KEY: &str = "tokenizer.ggml.token_type";
    let numbers = file.i32s(KEY).map_err(|source| Error::File { path: path.to_owned(), source })?;
    numbers
        .into_iter()
        .enumerate()
        .map(|(id, number)| {
            TokenKind::numbered(number.into())
                .ok_or_else(|| wrong(KEY, format_args!("{number} for token {id}"), "1 to 6"))
        })
        .collect()
}

fn strings(file: &Gguf, key: &str) -> Result<Vec<String>, qwenda_gguf::Error> {
    Ok(file.strings(key)?.iter().map(str::to_owned).collect())
}

fn wrong(key: &str, found: std::fmt::Arguments<'_>, expected: &str) -> Error {
    Error::Config { key: key.to_owned(), found: found.to_string(), expected: expected.to_owned() }
}
