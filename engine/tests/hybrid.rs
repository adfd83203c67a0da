//! Models with delta nets: what is theirs alone. That company, chunks, threads and lost places do
//! not show is in `determinism.rs` and `invariance.rs`, the figures in `tiny_oracle.rs`.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use common::{ModelFile, collect, collect_cached, greedy, on_threads, prompt, run, submit};
use qwenda_engine::{EngineOptions, Model, Request, ScoredAll};
use qwenda_gguf::{Array, TensorType};
use qwenda_testkit::{
    TinyModel,
    tiny_model::{Delta, Parts, Tensor},
};

fn scored(parts: Parts) -> ScoredAll {
    let engine = ModelFile::parts(parts).engine(2, EngineOptions::default());
    engine.score_all(&prompt(3, 70)).unwrap()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Puts rows of F32 matrices into one, in the order that `rows` gives as (matrix, row).
fn fuse(parts: &mut Parts, name: &str, from: &[&str], rows: &[(usize, usize)]) {
    let matrices: Vec<Tensor> = from.iter().map(|name| parts.tensor(name).clone()).collect();
    let cols = matrices[0].dims[0] as usize;
    let values: Vec<Vec<f32>> = matrices.iter().map(floats).collect();
    let fused = rows.iter().flat_map(|&(matrix, row)| values[matrix][row * cols..][..cols].to_vec());
    let bytes: Vec<u8> = fused.flat_map(f32::to_le_bytes).collect();
    from.iter().for_each(|name| parts.remove_tensor(name));
    let dims = vec![cols as u64, rows.len() as u64];
    parts.tensors.push(Tensor { name: name.to_owned(), dims, kind: TensorType::F32, bytes });
}

/// Rows of queries, keys and values, and of z, as the first files of Qwen3-Next have them.
fn by_key_head(delta: &Delta) -> Vec<(usize, usize)> {
    let dim = delta.head_dim as usize;
    let (keys, group) = (delta.key_heads as usize, (delta.value_heads / delta.key_heads) as usize);
    let head = |key: usize| {
        let values = key * group * dim..(key + 1) * group * dim;
        let mixed = [key * dim..(key + 1) * dim, (keys + key) * dim..(keys + key + 1) * dim];
        let mixed = mixed.into_iter().flatten().chain(values.clone().map(move |row| 2 * keys * dim + row));
        mixed.map(|row| (0, row)).chain(values.map(|row| (1, row))).collect::<Vec<_>>()
    };
    (0..keys).flat_map(head).collect()
}

#[test]
fn the_first_files_of_qwen3_next_say_the_same() {
    let model = TinyModel::qwen3next();
    let mut early = model.parts();
    for layer in [0, 1, 3] {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        fuse(
            &mut early,
            &name("ssm_in"),
            &[&name("attn_qkv"), &name("attn_gate")],
            &by_key_head(&model.delta.unwrap()),
        );
    }
    assert_eq!(scored(early), scored(model.parts()));
}

/// Qwen3.5 has beta and alpha apart and its value heads in another order; with as many value heads
/// as key heads there is but one order, and the two are the same model.
#[test]
fn betas_and_alphas_may_lie_together_or_apart() {
    let next = TinyModel::qwen3next();
    let delta = Delta { value_heads: 2, key_heads: 2, ..next.delta.unwrap() };
    let apart = TinyModel { delta: Some(delta), ..TinyModel::qwen35() };
    let mut together = apart.parts();
    for layer in [0, 1, 3] {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let rows = [(0, 0), (1, 0), (0, 1), (1, 1)];
        fuse(&mut together, &name("ssm_ba"), &[&name("ssm_beta"), &name("ssm_alpha")], &rows);
    }
    assert_eq!(scored(together), scored(apart.parts()));
}

#[test]
fn layers_that_attend_are_listed_or_come_at_intervals() {
    let model = TinyModel::qwen35();
    let expected = scored(model.parts());
    let mut listed = model.parts();
    listed.set("qwen35.attention.recurrent_layers", Array::Bool(vec![true, true, false, true]));
    listed.set("qwen35.full_attention_interval", 7u32);
    assert_eq!(scored(listed), expected, "a list goes before an interval");
    // Every fourth, unless the file says otherwise.
    let fourth = TinyModel { delta: model.delta.map(|delta| Delta { interval: 4, ..delta }), ..model };
    let mut silent = fourth.parts();
    silent.remove("qwen35.full_attention_interval");
    assert_eq!(scored(silent), scored(fourth.parts()));
}

#[test]
fn layers_that_draft_tokens_are_left_out() {
    let model = TinyModel::qwen35();
    let expected = scored(model.parts());
    let mut drafting = model.parts();
    drafting.set("qwen35.block_count", 5u32);
    drafting.set("qwen35.nextn_predict_layers", 1u32);
    let norm = drafting.tensor("blk.0.attn_norm.weight").clone();
    drafting.tensors.push(Tensor { name: "blk.4.nextn.enorm.weight".to_owned(), ..norm });
    assert_eq!(scored(drafting), expected);
}

#[test]
fn every_layout_runs() {
    use TensorType::{BF16, F16, Q4_0, Q4_K, Q5_0, Q5_1, Q6_K};
    for kind in [F16, BF16, Q4_0, Q5_0, Q5_1, Q4_K, Q6_K] {
        for model in [TinyModel::qwen35(), TinyModel::qwen35moe(), TinyModel::qwen3next()] {
            let name = model.architecture.name();
            let engine = ModelFile::tiny(&model.quantized(kind)).engine(1, EngineOptions::default());
            assert!(run(&engine, greedy(&prompt(1, 40), 8)).end.is_ok(), "{name} {kind}");
        }
    }
}

#[test]
fn a_prompt_said_again_or_gone_on_with_begins_where_its_last_page_ended() {
    let file = ModelFile::tiny(&TinyModel::qwen35());
    assert!(Model::load(&file.path, &on_threads(1)).unwrap().has_state());
    for prefill_chunk_tokens in [20, 128] {
        let options = EngineOptions { prefill_chunk_tokens, ..EngineOptions::default() };
        let (alone, engine) = (file.engine(1, EngineOptions::default()), file.engine(2, options));
        let request = |len| Request { logprobs: Some(2), ..greedy(&prompt(5, len), 20) };
        // Length of the prompt, and what of it is known by then.
        for (len, known) in [(150, 0), (150, 128), (151, 128), (161, 128), (161, 160), (161, 160), (129, 128), (128, 0)]
        {
            let (cached, found) = collect_cached(&submit(&engine, request(len)));
            let expected = run(&alone, Request { scope: len as u64 + 9, ..request(len) });
            assert_eq!((cached, &found), (known, &expected), "{len} tokens, chunks of {prefill_chunk_tokens}");
        }
        let twice: Vec<_> = (0..2).map(|_| submit(&engine, request(150))).collect();
        assert!(twice.iter().map(collect).all(|completion| completion == run(&alone, request(150))));
    }
}

#[test]
fn the_third_of_one_beginning_finds_where_the_second_parted_from_the_first() {
    let file = ModelFile::tiny(&TinyModel::qwen3next());
    let engine = file.engine(2, EngineOptions::default());
    let text = |own| [prompt(1, 100), prompt(own, 60)].concat();
    let mut found = Vec::new();
    for own in [2, 3, 4] {
        found.push(collect_cached(&submit(&engine, greedy(&text(own), 10))));
    }
    assert_eq!(found.iter().map(|(cached, _)| *cached).collect::<Vec<_>>(), [0, 0, 96]);
    for (own, (_, found)) in [2, 3, 4].into_iter().zip(found) {
        let alone = file.engine(1, EngineOptions::default());
        assert_eq!(run(&alone, greedy(&text(own), 10)), found);
    }
    let other = Request { scope: 7, ..greedy(&text(4), 10) };
    assert_eq!(collect_cached(&submit(&engine, other)).0, 0, "nobody else finds it");
}

#[test]
fn more_requests_than_places_take_turns_in_the_same_slots() {
    let file = ModelFile::tiny(&TinyModel::qwen35moe());
    let requests: Vec<Request> = (0..9).map(|i| greedy(&prompt(i, 10 + 9 * i as usize), 12)).collect();
    let alone = file.engine(1, EngineOptions { sequences_max: 1, ..EngineOptions::default() });
    let expected: Vec<_> = requests.iter().map(|request| run(&alone, request.clone())).collect();
    let engine = file.engine(2, EngineOptions { sequences_max: 2, ..EngineOptions::default() });
    for _ in 0..2 {
        let all: Vec<_> = requests.iter().map(|request| submit(&engine, request.clone())).collect();
        assert!(all.iter().map(collect).collect::<Vec<_>>() == expected);
    }
}
