//! Model files made to harm: an error that names the place, or a model that runs; never a panic.
//!
//! What single settings may not be is in `loading.rs`; this file breaks vocabularies, numbers in
//! the weights, and everything at once.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{ModelFile, on_threads};
use qwenda_engine::{Engine, EngineOptions, Error, Model, load_tokenizer};
use qwenda_gguf::{Array, TensorType, Value};
use qwenda_testkit::{TinyModel, mutate, tiny_model::Parts};

const TOKENS: &str = "tokenizer.ggml.tokens";
const KINDS: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";

fn set_strings(parts: &mut Parts, key: &str, change: impl FnOnce(&mut Vec<String>)) {
    let mut texts = parts.strings(key);
    change(&mut texts);
    parts.set(key, texts.iter().collect::<Array>());
}

fn set_kinds(parts: &mut Parts, change: impl FnOnce(&mut Vec<i32>)) {
    let Value::Array(Array::I32(mut kinds)) = parts.remove(KINDS) else { panic!("kinds are an array of i32") };
    change(&mut kinds);
    parts.set(KINDS, Array::I32(kinds));
}

#[test]
fn a_broken_vocabulary_is_refused_and_the_place_named() {
    // what is wrong | change | what the error says
    type Row<'a> = (&'a str, fn(&mut Parts), &'a [&'a str]);
    let table: &[Row<'_>] = &[
        ("a hole", |p| set_strings(p, TOKENS, |t| t[300].clear()), &["token 300 is empty"]),
        ("a byte that no token has", |p| set_strings(p, TOKENS, |t| t[65].push('x')), &["no token stands for byte"]),
        ("a token twice", |p| set_strings(p, TOKENS, |t| t[301] = t[300].clone()), &["tokens 300 and 301"]),
        ("a letter outside the alphabet", |p| set_strings(p, TOKENS, |t| t[300] = "你".to_owned()), &["token 300"]),
        ("a token too long", |p| set_strings(p, TOKENS, |t| t[300] = "a".repeat(1 << 17)), &["token 300", "131072"]),
        ("fewer tokens than kinds", |p| set_strings(p, TOKENS, |t| drop(t.pop())), &["447 tokens", "448 token kinds"]),
        ("fewer kinds than tokens", |p| set_kinds(p, |k| k.truncate(447)), &["448 tokens", "447 token kinds"]),
        ("a kind there is not", |p| set_kinds(p, |k| k[7] = 99), &[KINDS, "99 for token 7"]),
        ("a kind below zero", |p| set_kinds(p, |k| k[7] = -1), &[KINDS, "-1 for token 7"]),
        ("kinds that are texts", |p| p.set(KINDS, ["1"].into_iter().collect::<Array>()), &[KINDS, "a string"]),
        ("tokens that are numbers", |p| p.set(TOKENS, Array::I32(vec![1, 2])), &[TOKENS, "an i32"]),
        ("tokens that are one text", |p| p.set(TOKENS, "abc"), &[TOKENS, "a string"]),
        ("no tokens", |p| p.set(TOKENS, Array::Strings([""; 0].into_iter().collect())), &["no tokens"]),
        ("no merges", |p| drop(p.remove(MERGES)), &[MERGES]),
        (
            "a merge of an unknown part",
            |p| set_strings(p, MERGES, |m| m[3] = "Ġt xyz".to_owned()),
            &["merge 3", "`xyz`"],
        ),
        (
            "a merge into an unknown token",
            |p| set_strings(p, MERGES, |m| m[3] = "! !".to_owned()),
            &["merge 3", "`!!`"],
        ),
        ("a merge of one part", |p| set_strings(p, MERGES, |m| m[3] = "abc".to_owned()), &["merge 3", "`abc`"]),
        ("a merge of three parts", |p| set_strings(p, MERGES, |m| m[3] = "a b c".to_owned()), &["merge 3"]),
        ("an empty merge", |p| set_strings(p, MERGES, |m| m[3].clear()), &["merge 3"]),
        ("a merge twice", |p| set_strings(p, MERGES, |m| m[9] = m[2].clone()), &["merge 9 repeats merge 2"]),
        ("an end token below zero", |p| p.set("tokenizer.ggml.eos_token_id", Value::I32(-1)), &["eos_token_id", "-1"]),
        ("an end token that is a text", |p| p.set("tokenizer.ggml.eos_token_id", "x"), &["eos_token_id", "a string"]),
        ("a template that is a number", |p| p.set("tokenizer.chat_template", 5u32), &["chat_template", "a u32"]),
    ];
    for (what, change, says) in table {
        let mut parts = TinyModel::qwen2().parts();
        change(&mut parts);
        let file = ModelFile::parts(parts);
        let loaded = Model::load(&file.path, &on_threads(1)).map(drop);
        for error in [load_tokenizer(&file.path).map(drop), loaded].map(|result| result.expect_err(what).to_string()) {
            for says in *says {
                assert!(error.contains(says), "{what}: {error}");
            }
        }
    }
}

#[test]
fn qwen3_needs_its_head_norms_in_their_shape() {
    // what is wrong | change | what the error says
    type Row<'a> = (&'a str, fn(&mut Parts), &'a [&'a str]);
    let table: &[Row<'_>] = &[
        ("no query norm", |p| p.remove_tensor("blk.1.attn_q_norm.weight"), &["blk.1.attn_q_norm.weight"]),
        ("no key norm", |p| p.remove_tensor("blk.0.attn_k_norm.weight"), &["blk.0.attn_k_norm.weight"]),
        ("a norm of all heads", |p| p.reshape("blk.0.attn_q_norm.weight", &[128], TensorType::F32), &["[128]", "[32]"]),
        ("heads of no width", |p| p.set("qwen3.attention.key_length", 0u32), &["qwen3.attention.key_length"]),
        ("heads of odd width", |p| p.set("qwen3.attention.key_length", 33u32), &["qwen3.attention.key_length"]),
        ("values wider than keys", |p| p.set("qwen3.attention.value_length", 64u32), &["qwen3.attention.value_length"]),
        (
            "heads that differ by layer",
            |p| p.set("qwen3.attention.head_count", Array::U32(vec![4, 4])),
            &["head_count"],
        ),
    ];
    for (what, change, says) in table {
        let mut parts = TinyModel::qwen3().parts();
        change(&mut parts);
        let error = Model::load(&ModelFile::parts(parts).path, &on_threads(1)).map(drop).expect_err(what).to_string();
        for says in *says {
            assert!(error.contains(says), "{what}: {error}");
        }
    }
}

#[test]
fn experts_that_contradict_themselves_are_refused_by_name() {
    // what is wrong | change | what the error says
    type Row<'a> = (&'a str, fn(&mut Parts), &'a [&'a str]);
    let table: &[Row<'_>] = &[
        ("no number of experts", |p| drop(p.remove("qwen2moe.expert_count")), &["qwen2moe.expert_count"]),
        ("no experts", |p| p.set("qwen2moe.expert_count", 0u32), &["`qwen2moe.expert_count` is 0", "1 to 1024"]),
        ("absurdly many", |p| p.set("qwen2moe.expert_count", u32::MAX), &["qwen2moe.expert_count", "1 to 1024"]),
        ("none used", |p| p.set("qwen2moe.expert_used_count", 0u32), &["`qwen2moe.expert_used_count` is 0"]),
        (
            "more used than there are",
            |p| p.set("qwen2moe.expert_used_count", 9u32),
            &["`qwen2moe.expert_used_count` is 9", "at most the 8 experts"],
        ),
        (
            "fewer than in the tensors",
            |p| p.set("qwen2moe.expert_count", 7u32),
            &["blk.0.ffn_gate_inp.weight", "[64, 7]"],
        ),
        (
            "experts of no whole blocks",
            |p| p.set("qwen2moe.expert_feed_forward_length", 33u32),
            &["qwen2moe.expert_feed_forward_length", "multiple of 32"],
        ),
        (
            "experts wider than in the tensors",
            |p| p.set("qwen2moe.expert_feed_forward_length", 64u32),
            &["blk.0.ffn_gate_exps.weight", "[64, 32, 8]", "[64, 64, 8]"],
        ),
        (
            "a shared expert wider than in the tensors",
            |p| p.set("qwen2moe.expert_shared_feed_forward_length", 128u32),
            &["blk.0.ffn_gate_shexp.weight", "[64, 96]", "[64, 128]"],
        ),
        ("sigmoid for softmax", |p| p.set("qwen2moe.expert_gating_func", 2u32), &["expert_gating_func", "softmax"]),
        ("a number for a flag", |p| p.set("qwen2moe.expert_weights_norm", 1u32), &["qwen2moe.expert_weights_norm"]),
        ("no router", |p| p.remove_tensor("blk.1.ffn_gate_inp.weight"), &["blk.1.ffn_gate_inp.weight"]),
        ("no experts' tensor", |p| p.remove_tensor("blk.1.ffn_down_exps.weight"), &["blk.1.ffn_down_exps.weight"]),
        (
            "no shared gate",
            |p| p.remove_tensor("blk.0.ffn_gate_inp_shexp.weight"),
            &["blk.0.ffn_gate_inp_shexp.weight"],
        ),
        (
            "an expert too few in one tensor",
            |p| p.reshape("blk.0.ffn_up_exps.weight", &[64, 32, 7], TensorType::F32),
            &["blk.0.ffn_up_exps.weight", "[64, 32, 7]", "[64, 32, 8]"],
        ),
        (
            "experts side by side in two dimensions",
            |p| p.reshape("blk.0.ffn_up_exps.weight", &[64, 256], TensorType::F32),
            &["blk.0.ffn_up_exps.weight", "[64, 256]", "[64, 32, 8]"],
        ),
    ];
    for (what, change, says) in table {
        let mut parts = TinyModel::qwen2moe().parts();
        change(&mut parts);
        let error = Model::load(&ModelFile::parts(parts).path, &on_threads(1)).map(drop).expect_err(what).to_string();
        for says in *says {
            assert!(error.contains(says), "{what}: {error}");
        }
    }
}

#[test]
fn delta_nets_that_contradict_themselves_are_refused_by_name() {
    // what is wrong | change | what the error says
    type Row<'a> = (&'a str, fn(&mut Parts), &'a [&'a str]);
    let table: &[Row<'_>] = &[
        ("no shape", |p| drop(p.remove("qwen35.ssm.state_size")), &["qwen35.ssm.state_size"]),
        ("no heads", |p| p.set("qwen35.ssm.group_count", 0u32), &["`qwen35.ssm.group_count` is 0", "1 to 1024"]),
        (
            "value heads that do not share evenly",
            |p| p.set("qwen35.ssm.time_step_rank", 3u32),
            &["`qwen35.ssm.time_step_rank` is 3", "multiple of the 2 key heads"],
        ),
        ("heads of no whole vectors", |p| p.set("qwen35.ssm.state_size", 24u32), &["qwen35.ssm.state_size", "16"]),
        ("a width that is not the heads'", |p| p.set("qwen35.ssm.inner_size", 64u32), &["inner_size", "4 heads of 32"]),
        ("another convolution", |p| p.set("qwen35.ssm.conv_kernel", 3u32), &["`qwen35.ssm.conv_kernel` is 3"]),
        ("an interval of nothing", |p| p.set("qwen35.full_attention_interval", 0u32), &["full_attention_interval"]),
        ("a layer that has other tensors", |p| p.set("qwen35.full_attention_interval", 2u32), &["blk.1.attn_q.weight"]),
        (
            "a list too short",
            |p| p.set("qwen35.attention.recurrent_layers", Array::Bool(vec![true; 3])),
            &["qwen35.attention.recurrent_layers", "4 booleans"],
        ),
        (
            "a list of numbers",
            |p| p.set("qwen35.attention.recurrent_layers", Array::I32(vec![1; 4])),
            &["qwen35.attention.recurrent_layers", "4 booleans"],
        ),
        ("no list", |p| p.set("qwen35.attention.recurrent_layers", true), &["recurrent_layers", "4 booleans"]),
        ("nothing but drafts", |p| p.set("qwen35.nextn_predict_layers", 4u32), &["nextn_predict_layers", "less than"]),
        ("a turn of odd width", |p| p.set("qwen35.rope.dimension_count", 15u32), &["rope.dimension_count", "even"]),
        ("a turn wider than a head", |p| p.set("qwen35.rope.dimension_count", 34u32), &["rope.dimension_count", "32"]),
        (
            "sections of other pairs",
            |p| p.set("qwen35.rope.dimension_sections", Array::I32(vec![3, 3, 3, 0])),
            &["rope.dimension_sections", "[3, 3, 3, 0]", "8 pairs"],
        ),
        (
            "sections below zero",
            |p| p.set("qwen35.rope.dimension_sections", Array::I32(vec![9, -1, 0, 0])),
            &["rope.dimension_sections"],
        ),
        (
            "sections that are texts",
            |p| p.set("qwen35.rope.dimension_sections", ["8"].into_iter().collect::<Array>()),
            &["rope.dimension_sections", "string"],
        ),
        ("no inputs", |p| p.remove_tensor("blk.0.attn_qkv.weight"), &["blk.0.attn_qkv.weight"]),
        ("no output gate", |p| p.remove_tensor("blk.0.attn_gate.weight"), &["blk.0.attn_gate.weight"]),
        ("no alpha", |p| p.remove_tensor("blk.1.ssm_alpha.weight"), &["blk.1.ssm_alpha.weight"]),
        ("no decay", |p| p.remove_tensor("blk.1.ssm_a"), &["blk.1.ssm_a"]),
        ("no norm", |p| p.remove_tensor("blk.3.post_attention_norm.weight"), &["blk.3.post_attention_norm.weight"]),
        (
            "a convolution of another width",
            |p| p.reshape("blk.0.ssm_conv1d.weight", &[4, 128], TensorType::F32),
            &["blk.0.ssm_conv1d.weight", "[4, 128]", "[4, 256]"],
        ),
        (
            "queries without gates",
            |p| p.reshape("blk.2.attn_q.weight", &[64, 128], TensorType::F32),
            &["blk.2.attn_q.weight", "[64, 128]", "[64, 256]"],
        ),
        (
            "betas and alphas together, but too few",
            |p| {
                p.tensor("blk.0.ssm_beta.weight").name = "blk.0.ssm_ba.weight".to_owned();
            },
            &["blk.0.ssm_ba.weight", "[64, 4]", "[64, 8]"],
        ),
    ];
    for (what, change, says) in table {
        let mut parts = TinyModel::qwen35().parts();
        change(&mut parts);
        let error = Model::load(&ModelFile::parts(parts).path, &on_threads(1)).map(drop).expect_err(what).to_string();
        for says in *says {
            assert!(error.contains(says), "{what}: {error}");
        }
    }
}

/// Loads and, if that works, computes a little. True if the model ran.
fn load_and_run(bytes: &[u8]) -> bool {
    let file = ModelFile::bytes(bytes);
    let Ok(model) = Model::load(&file.path, &on_threads(1)) else { return false };
    let rows = model.info().vocab;
    let engine = Engine::start(model, EngineOptions { kv_tokens_max: Some(64), ..EngineOptions::default() });
    let ids: Vec<u32> = (0..40).map(|i| i * 7 % rows).collect();
    match engine.score(&ids) {
        Ok(_) => true,
        // Weights that are not finite, or a context too short for the prompt.
        Err(Error::Failed(_) | Error::Submit(qwenda_engine::SubmitError::TooLong { .. })) => false,
        Err(other) => panic!("a model that loads computes or says why not: {other}"),
    }
}

#[test]
fn any_change_to_a_model_file_is_refused_or_runs() {
    let models = [
        TinyModel { layers: 1, ..TinyModel::qwen2() }.quantized(TensorType::Q4_0).bytes(),
        TinyModel { layers: 1, ..TinyModel::qwen3() }.quantized(TensorType::Q8_0).bytes(),
        TinyModel { layers: 1, ..TinyModel::qwen2moe() }.quantized(TensorType::Q4_0).bytes(),
        TinyModel { layers: 3, ..TinyModel::qwen35() }.quantized(TensorType::Q4_0).bytes(),
    ];
    let samples: Vec<&[u8]> = models.iter().map(Vec::as_slice).collect();
    let mut ran = 0;
    mutate::rounds(11, 60, &samples, |bytes| ran += u32::from(load_and_run(bytes)));
    assert!(ran > 20, "only {ran} of 244 files ran: the mutations do not get past the reader");
}

#[test]
fn every_number_of_the_metadata_may_be_wrong() {
    for model in [TinyModel::qwen3(), TinyModel::qwen2moe()] {
        every_number_may_be_wrong(&TinyModel { layers: 1, ..model }.quantized(TensorType::Q8_0));
    }
    every_number_may_be_wrong(&TinyModel { layers: 3, ..TinyModel::qwen35() }.quantized(TensorType::Q8_0));
}

fn every_number_may_be_wrong(model: &TinyModel) {
    let keys: Vec<String> = model.parts().metadata.into_iter().map(|(key, _)| key).collect();
    let values = [
        Value::U32(0),
        Value::U32(1),
        Value::U32(u32::MAX),
        Value::U64(1 << 63),
        Value::I32(-1),
        Value::F32(f32::NAN),
        Value::F32(f32::INFINITY),
        Value::F32(0.0),
        Value::F32(-1e30),
        Value::from(""),
        Value::Bool(true),
        Value::Array(Array::U32(vec![])),
    ];
    for key in &keys {
        for value in &values {
            let mut parts = model.parts();
            parts.set(key, value.clone());
            let done = catch_unwind(AssertUnwindSafe(|| load_and_run(&parts.bytes())));
            assert!(done.is_ok(), "`{key}` as {value:?}");
        }
    }
}

#[test]
fn weights_that_are_not_numbers_fail_the_request_and_not_the_engine() {
    for (name, bits) in [("blk.0.attn_norm.weight", f32::NAN), ("output_norm.weight", f32::INFINITY)] {
        let mut parts = TinyModel::qwen2().parts();
        parts.tensor(name).bytes[..4].copy_from_slice(&bits.to_le_bytes());
        let file = ModelFile::parts(parts);
        let Ok(model) = Model::load(&file.path, &on_threads(1)) else { continue };
        let engine = Engine::start(model, EngineOptions::default());
        for _ in 0..2 {
            let error = engine.score(&[1, 2, 3]).expect_err(name);
            assert!(matches!(error, Error::Failed(_)), "{name}: {error}");
        }
    }
}
