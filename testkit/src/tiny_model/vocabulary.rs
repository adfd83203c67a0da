//! A byte-level BPE vocabulary: 256 bytes, some merges, Qwen's special tokens, unused places.

use std::collections::BTreeMap;

use super::TinyModel;

pub(super) struct Vocabulary {
    pub tokens: Vec<String>,
    /// As `tokenizer.ggml.token_type` has them.
    pub kinds: Vec<i32>,
    pub merges: Vec<String>,
}

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// Merges to learn from [`SAMPLE`].
const MERGES: usize = 160;

/// The table is filled up to a multiple of this, as published ones are.
const ROWS_MULTIPLE: usize = 32;

/// What the merges are learned from.
const SAMPLE: &str = "The quick answer to the question is that the engine reads the prompt once and then writes \
    one token after the other. The reader sees every token when it is ready, and the engine waits for the reader \
    never. Numbers are numbers, words are words, and there is nothing in the model that is not in the file. \
    你好 世界 你好 模型 你是谁 我是模型 今天天气很好 今天我们说中文 模型回答问题";

const SPECIAL: [(&str, i32); 22] = [
    ("<|endoftext|>", CONTROL),
    ("<|im_start|>", CONTROL),
    ("<|im_end|>", CONTROL),
    ("<|object_ref_start|>", CONTROL),
    ("<|object_ref_end|>", CONTROL),
    ("<|box_start|>", CONTROL),
    ("<|box_end|>", CONTROL),
    ("<|quad_start|>", CONTROL),
    ("<|quad_end|>", CONTROL),
    ("<|vision_start|>", CONTROL),
    ("<|vision_end|>", CONTROL),
    ("<|vision_pad|>", CONTROL),
    ("<|image_pad|>", CONTROL),
    ("<|video_pad|>", CONTROL),
    ("<tool_call>", USER_DEFINED),
    ("</tool_call>", USER_DEFINED),
    ("<|fim_prefix|>", CONTROL),
    ("<|fim_middle|>", CONTROL),
    ("<|fim_suffix|>", CONTROL),
    ("<|fim_pad|>", CONTROL),
    ("<|repo_name|>", CONTROL),
    ("<|file_sep|>", CONTROL),
];

const SPECIAL_QWEN3: [(&str, i32); 4] = [
    ("<tool_response>", USER_DEFINED),
    ("</tool_response>", USER_DEFINED),
    ("<think>", USER_DEFINED),
    ("</think>", USER_DEFINED),
];

/// In place of [`SPECIAL`]; what stands for a turn is text to this vocabulary, as published files have it.
const SPECIAL_DISTILLED: [(&str, i32); 9] = [
    ("<｜end▁of▁sentence｜>", CONTROL),
    ("<｜User｜>", USER_DEFINED),
    ("<｜Assistant｜>", USER_DEFINED),
    ("<｜begin▁of▁sentence｜>", CONTROL),
    ("<|EOT|>", USER_DEFINED),
    ("<think>", USER_DEFINED),
    ("</think>", USER_DEFINED),
    ("<tool_call>", USER_DEFINED),
    ("</tool_call>", USER_DEFINED),
];

pub(super) fn vocabulary(model: &TinyModel) -> Vocabulary {
    let letters = letters();
    let mut ordered: Vec<char> = letters.to_vec();
    ordered.sort_unstable();
    let mut tokens: Vec<String> = ordered.into_iter().map(String::from).collect();
    let learned = learn(&letters);
    tokens.extend(learned.iter().map(|(left, right)| format!("{left}{right}")));
    let mut kinds = vec![NORMAL; tokens.len()];
    let more = if model.architecture.is_qwen3() { SPECIAL_QWEN3.as_slice() } else { &[] };
    let special = if model.distilled { SPECIAL_DISTILLED.as_slice() } else { &SPECIAL };
    for (text, kind) in special.iter().chain(more) {
        tokens.push((*text).to_owned());
        kinds.push(*kind);
    }
    while !tokens.len().is_multiple_of(ROWS_MULTIPLE) {
        tokens.push(format!("[PAD{}]", tokens.len()));
        kinds.push(UNUSED);
    }
    let merges = learned.into_iter().map(|(left, right)| format!("{left} {right}")).collect();
    Vocabulary { tokens, kinds, merges }
}

/// The character that stands for each byte: itself where it can be seen, else one from U+0100 on.
fn letters() -> [char; 256] {
    let mut unseen = '\u{100}'..;
    std::array::from_fn(|byte| match byte {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => char::from(byte as u8),
        _ => unseen.next().expect("there are characters enough"),
    })
}

/// The merges, in order: always the most frequent pair, of equals the first in character order.
fn learn(letters: &[char; 256]) -> Vec<(String, String)> {
    // A word keeps the space before it, as Qwen's rule has it.
    let mut words: Vec<Vec<String>> = SAMPLE
        .split(' ')
        .filter(|word| !word.is_empty())
        .flat_map(|word| {
            let (word, stop) = word.split_at(word.trim_end_matches(['.', ',']).len());
            [format!(" {word}"), stop.to_owned()]
        })
        .map(|word| word.bytes().map(|byte| letters[byte as usize].to_string()).collect())
        .collect();
    let mut merges: Vec<(String, String)> = Vec::new();
    while merges.len() < MERGES {
        let mut counts = BTreeMap::<(&str, &str), usize>::new();
        for pair in words.iter().flat_map(|word| word.windows(2)) {
            *counts.entry((&pair[0], &pair[1])).or_default() += 1;
        }
        // `max_by_key` returns the last of equals, hence the reversed order.
        let best = counts.iter().rev().max_by_key(|(_, count)| **count);
        let Some((&(left, right), _)) = best else { break };
        let merge = (left.to_owned(), right.to_owned());
        words.iter_mut().for_each(|word| apply(word, &merge));
        merges.push(merge);
    }
    merges
}

fn apply(word: &mut Vec<String>, (left, right): &(String, String)) {
    let mut i = 0;
    while i + 1 < word.len() {
        if word[i] == *left && word[i + 1] == *right {
            let tail = word.remove(i + 1);
            word[i].push_str(&tail);
        }
        i += 1;
    }
}
