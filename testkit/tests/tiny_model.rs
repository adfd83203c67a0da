//! Tiny models are whole, small, and the same wherever they are made.

use qwenda_gguf::{Gguf, TensorType};
use qwenda_testkit::TinyModel;

const KINDS: [TensorType; 15] = [
    TensorType::F32,
    TensorType::F16,
    TensorType::BF16,
    TensorType::Q8_0,
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Q5_0,
    TensorType::Q5_1,
    TensorType::Q2_K,
    TensorType::Q3_K,
    TensorType::Q4_K,
    TensorType::Q5_K,
    TensorType::Q6_K,
    TensorType::IQ4_NL,
    TensorType::IQ4_XS,
];

#[test]
fn every_architecture_is_written_in_every_layout() {
    for model in [TinyModel::qwen2(), TinyModel::qwen2moe(), TinyModel::qwen3(), TinyModel::qwen3moe()] {
        for kind in KINDS {
            let bytes = model.clone().quantized(kind).bytes();
            let most = if model.experts.is_some() { 8 << 20 } else { 1 << 20 };
            assert!(bytes.len() < most, "{kind}: {} bytes", bytes.len());
            let file = Gguf::from_bytes(bytes).unwrap();
            let name = model.architecture.name();
            assert_eq!(file.str("general.architecture").unwrap(), name);
            let down = if model.experts.is_some() { "blk.1.ffn_down_exps.weight" } else { "blk.1.ffn_down.weight" };
            assert_eq!(file.need_tensor(down).unwrap().kind, kind);
            assert_eq!(file.tensor("output.weight").is_some(), model.output.is_some());
            assert_eq!(file.tensor("blk.0.attn_q.bias").is_some(), name.starts_with("qwen2"));
            assert_eq!(file.tensor("blk.0.attn_q_norm.weight").is_some(), name.starts_with("qwen3"));
        }
    }
}

#[test]
fn the_vocabulary_has_every_byte_and_every_merge_has_its_token() {
    let file = Gguf::from_bytes(TinyModel::qwen3().bytes()).unwrap();
    let tokens: Vec<_> = file.strings("tokenizer.ggml.tokens").unwrap().iter().collect();
    let kinds = file.i32s("tokenizer.ggml.token_type").unwrap();
    assert_eq!(kinds.len(), tokens.len());
    assert_eq!(tokens.iter().filter(|token| token.chars().count() == 1).count(), 256);
    let merges = file.strings("tokenizer.ggml.merges").unwrap();
    assert!(merges.len() > 100);
    for merge in merges.iter() {
        let (left, right) = merge.split_once(' ').unwrap();
        for part in [left.to_owned(), right.to_owned(), format!("{left}{right}")] {
            assert!(tokens.contains(&part.as_str()), "`{part}` of merge `{merge}`");
        }
    }
    let eos = file.u32("tokenizer.ggml.eos_token_id").unwrap();
    assert_eq!(tokens[eos as usize], "<|im_end|>");
}

#[test]
fn the_same_settings_make_the_same_bytes_and_another_seed_does_not() {
    let model = TinyModel::qwen2();
    assert!(model.bytes() == model.bytes());
    let other = TinyModel { seed: 99, ..TinyModel::qwen2() };
    assert!(model.bytes() != other.bytes());
}
