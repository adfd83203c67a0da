//! What `bench` measures and says. How fast anything is, is no matter here.

use serde_json::Value;

use crate::common::Home;

/// The rows of a table, by what they are about.
fn rows(table: &Value, name: &str) -> Vec<u64> {
    let rows = table.as_array().unwrap().iter();
    rows.map(|row| {
        assert!(row["tokens_per_s"].as_f64().unwrap() > 0.0 && row["share"].as_f64().unwrap() > 0.0, "{row}");
        row[name].as_u64().unwrap()
    })
    .collect()
}

#[test]
fn every_table_is_measured_as_often_as_asked_and_set_beside_the_machine() {
    let home = Home::new();
    let record = home.run(&["bench", "--model", "tiny.gguf", "--quick", "--rounds", "2", "--json"]).json();
    assert_eq!(record["checked"], true);
    let roofline = &record["roofline"];
    assert!(roofline["read_bytes_per_s"].as_f64().unwrap() > 0.0 && roofline["weight_bytes"].as_u64().unwrap() > 0);
    // The tiny model's context of 512 tokens has no room for the longer prompt.
    assert_eq!(rows(&record["prefill"], "tokens"), [128]);
    assert_eq!(rows(&record["decode"], "depth"), [0]);
    assert_eq!(rows(&record["batch"], "sequences"), [1, 4]);
    assert_eq!(record["batch"][1]["rounds"].as_array().unwrap().len(), 2);
    let http = &record["http"];
    assert_eq!((&http["callers"], &http["output_tokens"]), (&4.into(), &64.into()));
    assert_eq!(http["rounds"].as_array().unwrap().len(), 2);
    assert!(http["ttft_p95_ms"].as_f64() >= http["ttft_p50_ms"].as_f64(), "{http}");
    // Instructions of 150 tokens, and a question.
    let prompt = http["prompt_tokens_max"].as_u64().unwrap();
    assert!((140..350).contains(&prompt), "{prompt}");
}

#[test]
fn what_was_not_asked_for_is_not_measured() {
    let home = Home::new();
    let record = home.run(&["bench", "--model", "tiny.gguf", "--quick", "--only", "decode", "--json"]).json();
    assert!(record["http"].is_null() && record["prefill"].as_array().unwrap().is_empty(), "{record}");
    let ran = home.run(&["bench", "--model", "tiny.gguf", "--quick", "--only", "batch", "--lang", "zh"]);
    assert!(ran.ok().contains("上限") && !ran.ok().contains("HTTP"), "{ran:#?}");
    home.run(&["bench", "--model", "tiny.gguf", "--only", "speed"]).fails(2, &["speed"]);
}

#[test]
fn instructions_that_this_machine_lacks_or_nobody_knows_are_refused() {
    let home = Home::new();
    let with = |isa: &str| {
        let mut command = home.command(&["bench", "--model", "tiny.gguf", "--quick", "--only", "decode", "--json"]);
        crate::common::Ran::of(command.env("QWENDA_ISA", isa).output().unwrap())
    };
    let record = with("scalar").json();
    assert_eq!((&record["isa"], &record["roofline"]["int8_macs_per_s"]), (&"scalar".into(), &Value::Null));
    with("mmx").fails(2, &["QWENDA_ISA", "mmx"]);
}
