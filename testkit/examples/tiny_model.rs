//! Writes a tiny model file: `cargo run -p qwenda-testkit --example tiny_model -- tiny.gguf qwen3 f32`.

use std::{env, path::Path, process::ExitCode};

use qwenda_gguf::TensorType;
use qwenda_testkit::TinyModel;

const KINDS: [(&str, TensorType); 15] = [
    ("f32", TensorType::F32),
    ("f16", TensorType::F16),
    ("bf16", TensorType::BF16),
    ("q8_0", TensorType::Q8_0),
    ("q4_0", TensorType::Q4_0),
    ("q4_1", TensorType::Q4_1),
    ("q5_0", TensorType::Q5_0),
    ("q5_1", TensorType::Q5_1),
    ("q2_k", TensorType::Q2_K),
    ("q3_k", TensorType::Q3_K),
    ("q4_k", TensorType::Q4_K),
    ("q5_k", TensorType::Q5_K),
    ("q6_k", TensorType::Q6_K),
    ("iq4_nl", TensorType::IQ4_NL),
    ("iq4_xs", TensorType::IQ4_XS),
];

const MODELS: &str = "qwen2, qwen2moe, qwen3, qwen3moe, qwen3-yarn, qwen3next, qwen35, qwen35moe";

#[expect(clippy::print_stderr, reason = "this is a command")]
fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let (path, architecture, kind) = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [path] => (path, "qwen2", "q8_0"),
        [path, architecture] => (path, architecture, "q8_0"),
        [path, architecture, kind] => (path, architecture, kind),
        _ => {
            let kinds = KINDS.map(|(name, _)| name).join("|");
            eprintln!("usage: tiny_model FILE [MODEL [{kinds}]], MODEL being one of {MODELS}");
            return ExitCode::from(2);
        }
    };
    let model = match architecture {
        "qwen2" => TinyModel::qwen2(),
        "qwen2moe" => TinyModel::qwen2moe(),
        "qwen3" => TinyModel::qwen3(),
        "qwen3moe" => TinyModel::qwen3moe(),
        "qwen3-yarn" => TinyModel::qwen3_yarn(),
        "qwen3next" => TinyModel::qwen3next(),
        "qwen35" => TinyModel::qwen35(),
        "qwen35moe" => TinyModel::qwen35moe(),
        other => {
            eprintln!("`{other}` is none of {MODELS}");
            return ExitCode::from(2);
        }
    };
    let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        eprintln!("no layout `{kind}`");
        return ExitCode::from(2);
    };
    match model.quantized(*kind).write(Path::new(path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write `{path}`: {error}");
            ExitCode::FAILURE
        }
    }
}
