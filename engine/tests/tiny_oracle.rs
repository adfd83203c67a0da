//! Tiny models of every architecture give the oracle's figures (see `golden/README.md`).

mod common;

use common::{ModelFile, on_threads};
use qwenda_engine::{Engine, EngineOptions, Isa, LoadOptions, Model, Precision};
use qwenda_gguf::TensorType;
use qwenda_testkit::TinyModel;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

/// One token sequence and what the exact pass makes of it.
#[derive(Deserialize)]
struct Case {
    ids: Vec<u32>,
    nll: Vec<f32>,
    argmax: Vec<u32>,
    last: Vec<f32>,
}

fn models() -> Vec<(&'static str, TinyModel, &'static str)> {
    vec![
        ("qwen2 F32", TinyModel::qwen2(), include_str!("golden/tiny-qwen2-f32.json")),
        ("qwen2 Q4_K", TinyModel::qwen2().quantized(TensorType::Q4_K), include_str!("golden/tiny-qwen2-q4_k.json")),
        ("qwen3 F32", TinyModel::qwen3(), include_str!("golden/tiny-qwen3-f32.json")),
        ("qwen3 Q8_0", TinyModel::qwen3().quantized(TensorType::Q8_0), include_str!("golden/tiny-qwen3-q8_0.json")),
        ("qwen3 F32 with YaRN", TinyModel::qwen3_yarn(), include_str!("golden/tiny-qwen3-yarn-f32.json")),
        ("qwen2moe F32", TinyModel::qwen2moe(), include_str!("golden/tiny-qwen2moe-f32.json")),
        ("qwen3moe F32", TinyModel::qwen3moe(), include_str!("golden/tiny-qwen3moe-f32.json")),
        (
            "qwen3moe Q8_0",
            TinyModel::qwen3moe().quantized(TensorType::Q8_0),
            include_str!("golden/tiny-qwen3moe-q8_0.json"),
        ),
        ("qwen35 F32", TinyModel::qwen35(), include_str!("golden/tiny-qwen35-f32.json")),
        ("qwen35 Q8_0", TinyModel::qwen35().quantized(TensorType::Q8_0), include_str!("golden/tiny-qwen35-q8_0.json")),
        ("qwen35moe F32", TinyModel::qwen35moe(), include_str!("golden/tiny-qwen35moe-f32.json")),
        ("qwen3next F32", TinyModel::qwen3next(), include_str!("golden/tiny-qwen3next-f32.json")),
        (
            "qwen3next Q4_K",
            TinyModel::qwen3next().quantized(TensorType::Q4_K),
            include_str!("golden/tiny-qwen3next-q4_k.json"),
        ),
        ("qwen2 Q2_K", TinyModel::qwen2().quantized(TensorType::Q2_K), include_str!("golden/tiny-qwen2-q2_k.json")),
        ("qwen3 Q3_K", TinyModel::qwen3().quantized(TensorType::Q3_K), include_str!("golden/tiny-qwen3-q3_k.json")),
        (
            "qwen2 IQ4_NL",
            TinyModel::qwen2().quantized(TensorType::IQ4_NL),
            include_str!("golden/tiny-qwen2-iq4_nl.json"),
        ),
        (
            "qwen3 IQ4_XS",
            TinyModel::qwen3().quantized(TensorType::IQ4_XS),
            include_str!("golden/tiny-qwen3-iq4_xs.json"),
        ),
        ("qwen3 Q6_K", TinyModel::qwen3().quantized(TensorType::Q6_K), include_str!("golden/tiny-qwen3-q6_k.json")),
    ]
}

fn engine(file: &ModelFile, isa: Isa, precision: Precision, prefill_chunk_tokens: u32) -> Engine {
    let options = LoadOptions { isa: Some(isa), precision, ..on_threads(2) };
    let model = Model::load(&file.path, &options).expect("a tiny model loads");
    Engine::start(model, EngineOptions { prefill_chunk_tokens, ..EngineOptions::default() })
}

#[test]
fn with_exact_activations_every_figure_agrees_to_a_thousandth() {
    for (what, model, golden) in models() {
        let golden: Golden = serde_json::from_str(golden).unwrap();
        let file = ModelFile::tiny(&model);
        for (isa, chunk) in Isa::available().into_iter().zip([128, 7, 64]) {
            let engine = engine(&file, isa, Precision::F32, chunk);
            for case in &golden.cases {
                let what = format!("{what}, {isa}, {} tokens", case.ids.len());
                let scored = engine.score_all(&case.ids).unwrap();
                assert_near(&format!("{what}: loss"), &scored.nll, &case.nll);
                assert_near(&format!("{what}: logit"), &scored.last_logits, &case.last);
                assert_eq!(scored.argmax, case.argmax, "{what}");
            }
        }
    }
}

fn assert_near(what: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= 1e-3, "{what} {i}: {found}, but the oracle has {wanted}");
    }
}

#[test]
fn with_quantized_activations_losses_stay_near() {
    for (what, model, golden) in models() {
        let golden: Golden = serde_json::from_str(golden).unwrap();
        let file = ModelFile::tiny(&model);
        let engine = engine(&file, Isa::detect(), Precision::Int8, 128);
        let case = golden.cases.iter().max_by_key(|case| case.ids.len()).unwrap();
        let scored = engine.score_all(&case.ids).unwrap();
        let count = case.nll.len() as f32;
        let off = scored.nll.iter().zip(&case.nll).map(|(a, b)| (a - b).abs()).sum::<f32>() / count;
        // Weights drawn at random average less out than learned ones, hence twice the bound of real models. A
        // router drawn at random is seldom sure, and what was rounded before it may choose another expert.
        let most = match (model.experts, model.delta) {
            (None, _) => 0.08,
            (Some(_), None) => 0.16,
            // These have twice the layers.
            (Some(_), Some(_)) => 0.24,
        };
        assert!(off <= most, "{what}: mean |Δ nll| is {off}");
    }
}
