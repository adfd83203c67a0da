//! The fuzz targets, run briefly under the seeded mutator. (The tokenizer's runs in its own crate.)

use qwenda_gguf::{Array, TensorType, Value, write::GgufWriter};
use qwenda_testkit::{TinyModel, entry, mutate};

/// A file with every kind of value and two tensors, small enough that most mutations hit a field.
fn small_file() -> Vec<u8> {
    let mut file = GgufWriter::new();
    for (key, value) in [
        ("general.architecture", Value::from("qwen2")),
        ("general.alignment", Value::U32(32)),
        ("a", Value::U8(1)),
        ("b", Value::I64(-1)),
        ("c", Value::Bool(true)),
        ("d", Value::F64(0.5)),
        ("tokens", ["a", "", "Ġb", "你"].into_iter().collect::<Array>().into()),
        ("nested", Array::Arrays(vec![Array::U16(vec![1, 2]), Array::Bool(vec![true])]).into()),
    ] {
        file.metadata(key, value);
    }
    file.tensor("t.weight", &[32, 2], TensorType::Q8_0, vec![1; 68]).expect("a possible tensor");
    file.tensor("t.bias", &[3], TensorType::F32, vec![2; 12]).expect("a possible tensor");
    let mut bytes = Vec::new();
    file.finish(&mut bytes).expect("memory takes everything");
    bytes
}

#[test]
fn no_bytes_make_the_gguf_reader_panic() {
    mutate::rounds(1, 20_000, &[&small_file()], qwenda_gguf::fuzz);
    mutate::rounds(2, 60, &[&TinyModel::qwen3().quantized(TensorType::Q8_0).bytes()], qwenda_gguf::fuzz);
}

#[test]
fn no_request_makes_the_parser_the_checks_or_the_templates_panic() {
    let samples: [&[u8]; 4] = [
        br#"{"model":"qwen","messages":[{"role":"user","content":"hi"}],"stream":true,"temperature":0.5,"stop":["a"]}"#,
        br#"{"model":"qwen","messages":[{"role":"system","content":[{"type":"text","text":"a"}]},
            {"role":"user","content":"b"}],"logit_bias":{"5":-1.5},"top_k":null,"seed":7,"n":2,"x_other":{"a":[1,2.5]}}"#,
        br#"{"model":"q","messages":[{"role":"user","content":"w"},{"role":"assistant","content":null,"tool_calls":
            [{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"3"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#,
        br#"{"model":"q","messages":[{"role":"assistant","content":"be","partial":true}],"stop":[[1,2],[3]],
            "max_tokens":10,"logprobs":true,"top_logprobs":3,"stream_options":{"include_usage":true}}"#,
    ];
    mutate::rounds(3, 3_000, &samples, entry::request);
}

#[test]
fn no_template_and_no_messages_make_the_renderer_panic_or_run_away() {
    let messages = r#"[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"",
        "tool_calls":[{"function":{"name":"f","arguments":{"a":[1,null,"x"]}}}]},{"role":"tool","content":"r"}]"#;
    let sources = [TinyModel::qwen2(), TinyModel::qwen3()].map(|model| {
        let file = qwenda_gguf::Gguf::from_bytes(model.bytes()).expect("a tiny model is a model file");
        file.str("tokenizer.chat_template").expect("it has a template").to_owned()
    });
    let loops = "{% for a in messages %}{% for b in messages %}{% set c = a ~ b %}{{ c * 9 }}{% endfor %}{% endfor %}\
        {%- macro m(x) %}{{ m(x + 1) }}{% endmacro %}{{ range(9999)|list }}{{ messages[-1:0:2] }}{{ 'a'.split('') }}";
    let samples: Vec<String> = sources
        .iter()
        .map(String::as_str)
        .chain([loops])
        .map(|source| format!("{source}{}{messages}", entry::SEPARATOR))
        .collect();
    let samples: Vec<&[u8]> = samples.iter().map(String::as_bytes).collect();
    mutate::rounds(4, 1_500, &samples, entry::template);
}
