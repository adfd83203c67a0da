use super::*;
use crate::money::Currency;
use crate::price::{CachePercents, PriceList, Tier};

fn flat(input: &str, output: &str, output_thinking: Option<&str>) -> ModelPrice {
    let output_thinking = output_thinking.map(|price| price.parse().unwrap());
    let (input, output) = (input.parse().unwrap(), output.parse().unwrap());
    ModelPrice::new(vec![Tier { input_tokens_max: None, input, output, output_thinking }], CachePercents::default())
        .unwrap()
}

/// `kind tokens×price×percent=amount` of each line, then the total.
fn shown(charge: &Charge) -> String {
    let line = |line: &Line| {
        let Line { kind, tokens, price_nanos_per_mtok, percent, amount } = line;
        format!("{} {tokens}×{price_nanos_per_mtok}×{percent}%={amount}", kind.as_str())
    };
    let lines: Vec<_> = charge.lines.iter().map(line).collect();
    format!("{} = {}", lines.join(" + "), charge.total)
}

#[test]
fn each_kind_of_token_has_its_own_line() {
    let usage = Usage {
        input_tokens: 10_000,
        implicit_hit_tokens: 1_000,
        explicit_hit_tokens: 2_000,
        explicit_write_tokens: 3_000,
        output_tokens: 500,
        ..Usage::default()
    };
    assert_eq!(
        shown(&flat("2.5", "10", None).charge(&usage).unwrap()),
        "input 4000×2.5×100%=0.01 + implicit_hit 1000×2.5×20%=0.0005 + explicit_hit 2000×2.5×10%=0.0005 \
         + explicit_write 3000×2.5×125%=0.009375 + output 500×10×100%=0.005 = 0.025375"
    );
}

#[test]
fn a_batch_is_half_price_and_knows_no_cache() {
    let usage = Usage {
        input_tokens: 10_000,
        explicit_write_tokens: 9_000,
        implicit_hit_tokens: 1_000,
        output_tokens: 500,
        mode: Mode::Batch,
        ..Usage::default()
    };
    assert_eq!(
        shown(&flat("2.5", "10", None).charge(&usage).unwrap()),
        "batch_input 10000×2.5×50%=0.0125 + batch_output 500×10×50%=0.0025 = 0.015"
    );
    let thinking = Usage { thinking: true, reasoning_tokens: 1, ..usage };
    assert_eq!(
        shown(&flat("2.5", "10", Some("40")).charge(&thinking).unwrap()),
        "batch_input 10000×2.5×50%=0.0125 + batch_output_thinking 500×40×50%=0.01 = 0.0225"
    );
}

#[test]
fn the_thinking_price_wants_both_the_mode_and_reasoning() {
    let price = flat("1", "2", Some("8"));
    for (thinking, reasoning_tokens, want) in [
        (true, 1, "output_thinking 100×8×100%=0.0008 = 0.0008"),
        (true, 100, "output_thinking 100×8×100%=0.0008 = 0.0008"),
        (true, 0, "output 100×2×100%=0.0002 = 0.0002"),
        (false, 1, "output 100×2×100%=0.0002 = 0.0002"),
        (false, 0, "output 100×2×100%=0.0002 = 0.0002"),
    ] {
        let usage = Usage { thinking, reasoning_tokens, output_tokens: 100, ..Usage::default() };
        assert_eq!(shown(&price.charge(&usage).unwrap()), want, "thinking={thinking} reasoning={reasoning_tokens}");
    }
}

#[test]
fn the_whole_request_has_the_prices_of_its_tier() {
    let list = PriceList::published(Currency::Cny);
    let price = list.get("qwen3-max").unwrap();
    for (input_tokens, want) in [
        (0, " = 0"),
        (1, "input 1×2.5×100%=0.0000025 = 0.0000025"),
        (32_768, "input 32768×2.5×100%=0.08192 = 0.08192"),
        (32_769, "input 32769×4×100%=0.131076 = 0.131076"),
        (258_048, "input 258048×7×100%=1.806336 = 1.806336"),
        (258_049, "input 258049×7×100%=1.806343 = 1.806343"),
        (1_000_000_000, "input 1000000000×7×100%=7000 = 7000"),
    ] {
        let usage = Usage { input_tokens, ..Usage::default() };
        assert_eq!(shown(&price.charge(&usage).unwrap()), want, "{input_tokens}");
    }
    // Cached tokens count for the tier like any others.
    let cached = Usage { input_tokens: 32_769, explicit_hit_tokens: 32_769, ..Usage::default() };
    assert_eq!(shown(&price.charge(&cached).unwrap()), "explicit_hit 32769×4×10%=0.0131076 = 0.0131076");
}

#[test]
fn lines_are_rounded_once_each_and_their_sum_is_exact() {
    // A token at 0.0005 a million is half a nano.
    let usage = Usage { input_tokens: 3, implicit_hit_tokens: 1, output_tokens: 1, ..Usage::default() };
    assert_eq!(
        shown(&flat("0.0005", "0.0005", None).charge(&usage).unwrap()),
        "input 2×0.0005×100%=0.000000001 + implicit_hit 1×0.0005×20%=0 + output 1×0.0005×100%=0.000000001 \
         = 0.000000002"
    );
}

#[test]
fn counts_that_contradict_each_other_are_refused() {
    let price = flat("1", "1", None);
    let check = |usage: Usage, want: &str| {
        let error = price.charge(&usage).unwrap_err().to_string();
        assert_eq!(error, want);
        // In a batch they change no amount, and are still wrong.
        assert_eq!(price.charge(&Usage { mode: Mode::Batch, ..usage }).unwrap_err().to_string(), want);
    };
    let usage = Usage { input_tokens: 10, output_tokens: 10, ..Usage::default() };
    let cached = "11 input tokens were read from or written to a cache, but there are only 10";
    check(Usage { implicit_hit_tokens: 11, ..usage }, cached);
    check(Usage { implicit_hit_tokens: 4, explicit_hit_tokens: 4, explicit_write_tokens: 3, ..usage }, cached);
    check(Usage { reasoning_tokens: 11, ..usage }, "11 output tokens are reasoning, but there are only 10");
    let endless = Usage { implicit_hit_tokens: u64::MAX, explicit_hit_tokens: u64::MAX, ..usage };
    assert!(matches!(price.charge(&endless), Err(ChargeError::CachedOverInput { cached: u64::MAX, input: 10 })));
}

#[test]
fn what_no_amount_can_hold_is_refused() {
    let price = flat("9223372036.854775807", "0", None);
    let charge = |input_tokens| price.charge(&Usage { input_tokens, ..Usage::default() });
    assert_eq!(charge(1_000_000).unwrap().total, Nanos::MAX);
    let error = charge(1_000_001).unwrap_err().to_string();
    assert_eq!(error, "1000001 tokens at 9223372036.854775807 a million come to more than an amount can hold");
    assert!(charge(u64::MAX).is_err());
    // Each line fits, their sum does not.
    let usage = Usage { input_tokens: 1_000_000, output_tokens: 1, ..Usage::default() };
    assert!(matches!(
        flat("9223372036.854775807", "1", None).charge(&usage),
        Err(ChargeError::Overflow { tokens: 1_000_001, .. })
    ));
}

#[test]
fn a_charge_is_kept_as_json_and_read_back() {
    let usage = Usage { input_tokens: 27, ..Usage::default() };
    let charge = flat("0.5", "0", None).charge(&usage).unwrap();
    let json = serde_json::to_string(&charge).unwrap();
    assert_eq!(
        json,
        r#"{"lines":[{"kind":"input","tokens":27,"price_nanos_per_mtok":"0.5","percent":100,"amount":"0.0000135"}],"total":"0.0000135"}"#
    );
    assert_eq!(serde_json::from_str::<Charge>(&json).unwrap(), charge);
    let json = serde_json::to_string(&usage).unwrap();
    assert_eq!(serde_json::from_str::<Usage>(&json).unwrap(), usage);
}
