//! Model files that load, that do not, and the packed weights kept beside them.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::{fs, path::Path};

use common::{Completion, ModelFile, greedy, on_threads, prompt, run};
use qwenda_engine::{Engine, EngineOptions, Error, LoadOptions, Model, Pooling, load_tokenizer};
use qwenda_gguf::TensorType;
use qwenda_testkit::{TinyModel, tiny_model::Parts};

fn load_error(parts: Parts) -> Error {
    let file = ModelFile::parts(parts);
    Model::load(&file.path, &on_threads(1)).expect_err("this file must be refused")
}

#[test]
fn what_a_file_may_not_be_is_refused_by_name() {
    // what is wrong | change | what the error says
    type Row<'a> = (&'a str, fn(&mut Parts), &'a [&'a str]);
    let table: &[Row<'_>] = &[
        (
            "another architecture",
            |p| p.set("general.architecture", "llama"),
            &["`llama`", "qwen2, qwen2moe, qwen3, qwen3moe, qwen3next, qwen35, qwen35moe"],
        ),
        ("no architecture", |p| drop(p.remove("general.architecture")), &["general.architecture"]),
        ("no layers", |p| p.set("qwen2.block_count", 0u32), &["`qwen2.block_count` is 0", "1 to"]),
        ("more layers than tensors", |p| p.set("qwen2.block_count", 3u32), &["blk.2.attn_norm.weight"]),
        ("absurdly many layers", |p| p.set("qwen2.block_count", u32::MAX), &["qwen2.block_count"]),
        ("a text for a number", |p| p.set("qwen2.block_count", "two"), &["qwen2.block_count"]),
        ("no hidden size", |p| drop(p.remove("qwen2.embedding_length")), &["qwen2.embedding_length"]),
        (
            "a hidden size that is no whole blocks",
            |p| p.set("qwen2.embedding_length", 65u32),
            &["qwen2.embedding_length", "multiple of 32"],
        ),
        (
            "another hidden size than the tensors'",
            |p| p.set("qwen2.embedding_length", 128u32),
            &["token_embd.weight", "[64, "],
        ),
        (
            "key heads that do not divide",
            |p| p.set("qwen2.attention.head_count_kv", 3u32),
            &["qwen2.attention.head_count_kv", "divisor"],
        ),
        ("no heads", |p| p.set("qwen2.attention.head_count", 0u32), &["qwen2.attention.head_count"]),
        ("no context", |p| p.set("qwen2.context_length", 0u32), &["qwen2.context_length"]),
        (
            "an endless context",
            |p| p.set("qwen2.context_length", qwenda_gguf::Value::U64(1 << 40)),
            &["qwen2.context_length"],
        ),
        ("epsilon", |p| p.set("qwen2.attention.layer_norm_rms_epsilon", f32::NAN), &["layer_norm_rms_epsilon", "NaN"]),
        ("rope base", |p| p.set("qwen2.rope.freq_base", -1.0f32), &["qwen2.rope.freq_base"]),
        ("rope scaling", |p| p.set("qwen2.rope.scaling.type", "magic"), &["qwen2.rope.scaling.type", "`magic`"]),
        ("yarn without a factor", |p| p.set("qwen2.rope.scaling.type", "yarn"), &["qwen2.rope.scaling.factor"]),
        (
            "a factor of no number",
            |p| {
                p.set("qwen2.rope.scaling.type", "yarn");
                p.set("qwen2.rope.scaling.factor", f32::NAN);
            },
            &["qwen2.rope.scaling.factor", "NaN"],
        ),
        (
            "half a pair of dimensions turned",
            |p| p.set("qwen2.rope.dimension_count", 9u32),
            &["`qwen2.rope.dimension_count` is 9", "even"],
        ),
        (
            "frequencies of its own",
            |p| {
                let mut tensor = p.tensor("output_norm.weight").clone();
                tensor.name = "rope_freqs.weight".to_owned();
                p.tensors.push(tensor);
            },
            &["`rope_freqs.weight`", "absent"],
        ),
        ("attention to what follows", |p| p.set("qwen2.attention.causal", false), &["qwen2.attention.causal", "true"]),
        (
            "means of all tokens",
            |p| p.set("qwen2.pooling_type", 1u32),
            &["`qwen2.pooling_type` is 1 (mean)", "last token"],
        ),
        ("the first token's vector", |p| p.set("qwen2.pooling_type", 2u32), &["qwen2.pooling_type", "first token"]),
        ("a pooling there is not", |p| p.set("qwen2.pooling_type", 9u32), &["`qwen2.pooling_type` is 9"]),
        ("a number for a flag", |p| p.set("tokenizer.ggml.add_eos_token", 1u32), &["tokenizer.ggml.add_eos_token"]),
        ("another tokenizer", |p| p.set("tokenizer.ggml.model", "llama"), &["tokenizer.ggml.model", "`llama`"]),
        ("another pre-tokenizer", |p| p.set("tokenizer.ggml.pre", "gpt-2"), &["tokenizer.ggml.pre", "`gpt-2`"]),
        ("no vocabulary", |p| drop(p.remove("tokenizer.ggml.tokens")), &["tokenizer.ggml.tokens"]),
        ("no kinds", |p| drop(p.remove("tokenizer.ggml.token_type")), &["tokenizer.ggml.token_type"]),
        ("an end token outside", |p| p.set("tokenizer.ggml.eos_token_id", 1_000_000u32), &["eos", "1000000"]),
        ("a missing tensor", |p| p.remove_tensor("blk.1.ffn_up.weight"), &["blk.1.ffn_up.weight"]),
        ("a missing bias", |p| p.remove_tensor("blk.0.attn_q.bias"), &["blk.0.attn_q.bias"]),
        (
            "a tensor of another shape",
            |p| p.reshape("blk.0.attn_k.weight", &[64, 64], TensorType::F32),
            &["blk.0.attn_k.weight", "[64, 64]", "[64, 32]"],
        ),
        (
            "a tensor of an unsupported type",
            |p| p.reshape("output.weight", &[256, 64], TensorType::Q2_K),
            &["output.weight"],
        ),
        (
            "a norm that is a matrix",
            |p| p.reshape("output_norm.weight", &[32, 2], TensorType::F32),
            &["output_norm.weight"],
        ),
    ];
    for (what, change, says) in table {
        let mut parts = TinyModel::qwen2().parts();
        change(&mut parts);
        let error = load_error(parts).to_string();
        for says in *says {
            assert!(error.contains(says), "{what}: {error}");
        }
    }
}

#[test]
fn an_unsupported_tensor_type_is_named_with_those_that_are_supported() {
    let mut model = TinyModel::qwen2();
    model.hidden = 256;
    model.head_dim = 64;
    let mut parts = model.parts();
    parts.reshape("blk.0.attn_q.weight", &[256, 256], TensorType::Q8_K);
    let error = load_error(parts);
    assert!(matches!(&error, Error::TensorType { name, .. } if name == "blk.0.attn_q.weight"), "{error}");
    let text = error.to_string();
    assert!(text.contains("Q8_K") && text.contains("Q4_K, Q5_K, Q6_K"), "{text}");
}

#[test]
fn every_supported_layout_runs() {
    use TensorType::{BF16, F16, F32, IQ4_NL, IQ4_XS, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
    let all = [F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS];
    for kind in all {
        for model in [TinyModel::qwen2(), TinyModel::qwen3(), TinyModel::qwen2moe(), TinyModel::qwen3moe()] {
            let file = ModelFile::tiny(&model.quantized(kind));
            let engine = file.engine(1, EngineOptions::default());
            assert!(run(&engine, greedy(&prompt(1, 40), 8)).end.is_ok(), "{kind}");
        }
    }
}

#[test]
fn the_tokenizer_loads_without_the_weights() {
    let mut parts = TinyModel::qwen2().parts();
    parts.tensors.clear();
    let file = ModelFile::parts(parts);
    let (tokenizer, info) = load_tokenizer(&file.path).unwrap();
    assert_eq!((info.architecture.as_str(), info.context_tokens_max), ("qwen2", 512));
    assert_eq!(info.vocab as usize, tokenizer.len());
    assert!(info.chat_template.is_some());
    assert_eq!(info.eos_text.as_deref(), Some("<|im_end|>"));
    let ends: Vec<&[u8]> = info.eos.iter().map(|&id| tokenizer.token_bytes(id)).collect();
    assert_eq!(ends, [b"<|endoftext|>".as_slice(), b"<|im_end|>"]);
}

#[test]
fn a_model_without_an_output_matrix_uses_its_embeddings() {
    let tied = TinyModel { output: None, ..TinyModel::qwen2() };
    let mut parts = tied.parts();
    let tied = run(&ModelFile::tiny(&tied).engine(1, EngineOptions::default()), greedy(&prompt(1, 20), 20));
    let mut output = parts.tensor("token_embd.weight").clone();
    output.name = "output.weight".to_owned();
    parts.tensors.push(output);
    let copied = run(&ModelFile::parts(parts).engine(1, EngineOptions::default()), greedy(&prompt(1, 20), 20));
    assert_eq!(tied, copied);
}

#[test]
fn a_factor_without_a_kind_of_scaling_is_linear() {
    let said = |entries: &[(&str, qwenda_gguf::Value)]| {
        let mut parts = TinyModel::qwen2().parts();
        entries.iter().for_each(|(key, value)| parts.set(&format!("qwen2.rope.{key}"), value.clone()));
        run(&ModelFile::parts(parts).engine(1, EngineOptions::default()), greedy(&prompt(1, 40), 20))
    };
    let linear = said(&[("scaling.type", "linear".into()), ("scaling.factor", 4.0f32.into())]);
    assert_eq!(said(&[("scaling.factor", 4.0f32.into())]), linear);
    assert_eq!(said(&[("scale_linear", 4.0f32.into())]), linear);
    assert_ne!(said(&[("scaling.type", "none".into()), ("scaling.factor", 4.0f32.into())]), linear);
    // The context is what the training had where the file does not say otherwise.
    let yarn: [(&str, qwenda_gguf::Value); 2] = [("scaling.type", "yarn".into()), ("scaling.factor", 4.0f32.into())];
    let whole = ("scaling.original_context_length", 512u32.into());
    assert_eq!(said(&yarn), said(&[yarn.as_slice(), &[whole]].concat()));
}

/// A reranker's file: rows of yes and no, and no output matrix.
fn reranker(labels: [&str; 2]) -> Parts {
    let mut parts = TinyModel::qwen3().parts();
    parts.set("qwen3.pooling_type", 4u32);
    parts.set("qwen3.classifier.output_labels", labels.into_iter().collect::<qwenda_gguf::Array>());
    let rows: Vec<u8> = (0..128).flat_map(|i| (if i < 64 { 0.5f32 } else { -0.25 }).to_le_bytes()).collect();
    let (name, dims) = ("cls.output.weight".to_owned(), vec![64, 2]);
    parts.tensors.push(qwenda_testkit::tiny_model::Tensor { name, dims, kind: TensorType::F32, bytes: rows });
    parts
}

#[test]
fn a_rerankers_classifier_judges_by_its_labels() {
    let load = |labels| Model::load(&ModelFile::parts(reranker(labels)).path, &on_threads(1)).unwrap();
    let hidden = [1.0; 64];
    assert_eq!(load(["yes", "no"]).judge(&hidden), Some([32.0, -16.0]));
    assert_eq!(load(["no", "yes"]).judge(&hidden), Some([-16.0, 32.0]));
    let model = load(["yes", "no"]);
    assert_eq!((model.info().pooling, model.info().generates), (Some(Pooling::Rank), false));
    assert!(load_error(reranker(["good", "bad"])).to_string().contains("qwen3.classifier.output_labels"));
    let mut wide = reranker(["yes", "no"]);
    wide.reshape("cls.output.weight", &[64, 3], TensorType::F32);
    assert!(load_error(wide).to_string().contains("cls.output.weight"));
    let plain = Model::load(&ModelFile::tiny(&TinyModel::qwen3()).path, &on_threads(1)).unwrap();
    assert_eq!((plain.judge(&hidden), plain.info().pooling, plain.info().generates), (None, None, true));
}

/// Loads with a cache and says something.
fn cached(model: &Path, cache: &Path) -> Completion {
    let options = LoadOptions { cache_dir: Some(cache.to_owned()), ..on_threads(2) };
    let engine = Engine::start(Model::load(model, &options).unwrap(), EngineOptions::default());
    run(&engine, greedy(&prompt(1, 20), 20))
}

/// The names in a folder.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The only file in a folder, and its bytes.
fn only(dir: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let names = names(dir);
    assert_eq!(names.len(), 1, "{names:?}");
    let path = dir.join(&names[0]);
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn packed_weights_are_kept_and_used_again() {
    let file = ModelFile::tiny(&TinyModel::qwen2().quantized(TensorType::Q5_0));
    let expected = run(&file.engine(1, EngineOptions::default()), greedy(&prompt(1, 20), 20));
    let cache = file.dir.path().join("cache/deep");
    assert_eq!(cached(&file.path, &cache), expected);
    let (path, _) = only(&cache);
    let made = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(cached(&file.path, &cache), expected);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made, "it was not made again");
}

#[test]
fn a_damaged_pack_is_noticed_and_made_again() {
    let file = ModelFile::tiny(&TinyModel::qwen2().quantized(TensorType::Q4_K));
    let cache = file.dir.path().join("cache");
    let expected = cached(&file.path, &cache);
    let (path, good) = only(&cache);
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        bytes
    };
    let whole = good.len();
    /// Where data begin.
    const DATA: usize = 2 << 20;
    // what is wrong | bytes
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("cut in the header", good[..20].to_vec()),
        ("cut by a byte", good[..whole - 1].to_vec()),
        ("cut in half", good[..whole / 2].to_vec()),
        ("a byte too long", [good.as_slice(), &[0]].concat()),
        ("magic", flip(0)),
        ("version", flip(8)),
        ("fingerprint", flip(17)),
        ("length", flip(34)),
        ("a hash", flip(40)),
        ("the hash of the header", flip(50)),
        ("the first weight", flip(DATA)),
        ("a weight in the middle", flip(DATA + (whole - DATA) / 2)),
        ("the last weight", flip(whole - 1)),
        ("all zeros", vec![0; whole]),
    ];
    for (what, bytes) in table {
        fs::write(&path, bytes).unwrap();
        assert_eq!(cached(&file.path, &cache), expected, "{what}");
        assert!(only(&cache).1 == good, "{what}: it was not made again");
    }
}

#[test]
fn another_model_at_the_same_place_gets_another_pack() {
    let file = ModelFile::tiny(&TinyModel::qwen2());
    let cache = file.dir.path().join("cache");
    let first = cached(&file.path, &cache);
    let (_, pack) = only(&cache);
    fs::write(&file.path, TinyModel { seed: 9, ..TinyModel::qwen2() }.bytes()).unwrap();
    let second = cached(&file.path, &cache);
    assert_ne!(first, second);
    assert!(only(&cache).1 != pack, "the old pack is replaced");
}

#[test]
fn two_that_pack_at_once_end_with_one_good_file() {
    let file = ModelFile::tiny(&TinyModel::qwen2().quantized(TensorType::Q8_0));
    let cache = file.dir.path().join("cache");
    let expected = run(&file.engine(1, EngineOptions::default()), greedy(&prompt(1, 20), 20));
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..4).map(|_| scope.spawn(|| cached(&file.path, &cache))).collect();
        for load in loads {
            assert_eq!(load.join().unwrap(), expected);
        }
    });
    only(&cache);
    assert_eq!(cached(&file.path, &cache), expected);
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let file = ModelFile::tiny(&TinyModel::qwen2());
    let expected = run(&file.engine(1, EngineOptions::default()), greedy(&prompt(1, 20), 20));
    let not_a_folder = file.dir.path().join("file");
    fs::write(&not_a_folder, "in the way").unwrap();
    assert_eq!(cached(&file.path, &not_a_folder), expected);
    assert_eq!(fs::read(&not_a_folder).unwrap(), b"in the way");
}

/// Set in a process of its own whose files cannot grow.
#[cfg(unix)]
const FULL: &str = "QWENDA_TEST_FULL_DISK";

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_is_done_without() {
    if let Some(dir) = std::env::var_os(FULL) {
        let dir = Path::new(&dir);
        cached(&dir.join("tiny.gguf"), &dir.join("cache"));
        return;
    }
    let file = ModelFile::tiny(&TinyModel::qwen2());
    // Files of that process end after 8 blocks of 512 bytes; what is beyond fails like a full disk.
    // Its own output goes to pipes, which have no such end.
    let output = std::process::Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; ulimit -f 8; exec "$0" --exact a_disk_that_fills_up_is_done_without"#])
        .arg(std::env::current_exe().unwrap())
        .env(FULL, file.dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "the model runs without a cache: {output:?}");
    assert!(names(&file.dir.path().join("cache")).is_empty(), "nothing half-written is left");
}
