use super::*;

fn read(json: &str) -> Result<ModelPrice, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn tier(max: Option<u64>, above: Option<u64>) -> String {
    let bound = |name: &str, bound: Option<u64>| bound.map(|n| format!(r#""{name}":{n},"#)).unwrap_or_default();
    let (max, above) = (bound("input_tokens_max", max), bound("input_tokens_above", above));
    format!(r#"{{{above}{max}"input":"1","output":"2"}}"#)
}

#[test]
fn tiers_that_are_no_price_are_refused_with_the_tier_and_the_bound() {
    let check = |tiers: &[String], want: &str| {
        let error = read(&format!(r#"{{"tiers":[{}]}}"#, tiers.join(","))).unwrap_err();
        assert!(error.starts_with(want), "{error}\nwanted: {want}");
    };
    check(&[], "a price has at least one tier");
    check(
        &[tier(None, None), tier(Some(9), None)],
        "tier 1 has no `input_tokens_max`, which only the last of 2 may lack",
    );
    check(&[tier(Some(0), None)], "tier 1 ends at 0 input tokens, which is not above 0, where it begins");
    check(
        &[tier(Some(9), None), tier(Some(9), None)],
        "tier 2 ends at 9 input tokens, which is not above 9, where it begins",
    );
    check(&[tier(Some(9), None), tier(Some(5), None)], "tier 2 ends at 5 input tokens, which is not above 9");
    check(
        &[tier(Some(9), None), tier(Some(20), Some(10))],
        "tier 2 begins above 10 input tokens, but 9 is where the one before it ends: a gap",
    );
    check(
        &[tier(Some(9), Some(0)), tier(Some(20), Some(8))],
        "tier 2 begins above 8 input tokens, but the one before it ends at 9: an overlap",
    );
    check(
        &[tier(Some(9), Some(1))],
        "tier 1 begins above 1 input tokens, but 0 is where the one before it ends: a gap",
    );
}

#[test]
fn no_price_is_negative() {
    for (field, json) in [
        ("input", r#"{"input":"-1","output":"2"}"#),
        ("output", r#"{"input":"1","output":"-1"}"#),
        ("output_thinking", r#"{"input":"1","output":"2","output_thinking":"-1"}"#),
    ] {
        let error = read(&format!(r#"{{"tiers":[{json}]}}"#)).unwrap_err();
        let want = format!("tier 1 has `{field}` at -1; a price is not negative");
        assert!(error.starts_with(&want), "{error}");
    }
}

#[test]
fn a_cache_kind_costs_at_most_ten_times_the_input() {
    let price =
        |percent: u32| read(&format!(r#"{{"tiers":[{}],"cache":{{"explicit_write":{percent}}}}}"#, tier(None, None)));
    let cache = price(1_000).unwrap().cache();
    assert_eq!(cache, CachePercents { implicit_hit: 20, explicit_hit: 10, explicit_write: 1_000 });
    assert!(price(1_001).unwrap_err().starts_with("`cache.explicit_write` is 1001 per cent; it is 0 to 1000"));
}

#[test]
fn a_price_is_kept_as_json_and_read_back() {
    let json = format!(r#"{{"tiers":[{},{}]}}"#, tier(Some(9), Some(0)), tier(None, Some(9)));
    let price = read(&json).unwrap();
    let kept = serde_json::to_string(&price).unwrap();
    assert_eq!(
        kept,
        r#"{"tiers":[{"input_tokens_max":9,"input":"1","output":"2"},{"input":"1","output":"2"}],"cache":{"implicit_hit":20,"explicit_hit":10,"explicit_write":125}}"#
    );
    assert_eq!(read(&kept).unwrap(), price);
    assert!(read(r#"{"tiers":[],"tires":[]}"#).unwrap_err().starts_with("unknown field `tires`"));
}

#[test]
fn a_request_above_the_last_tier_has_the_last_prices() {
    let price = read(r#"{"tiers":[{"input_tokens_max":9,"input":"1","output":"2"},{"input_tokens_max":20,"input":"3","output":"4"}]}"#).unwrap();
    for (input_tokens, want) in [(0, "1"), (9, "1"), (10, "3"), (20, "3"), (21, "3"), (u64::MAX, "3")] {
        assert_eq!(price.tier_of(input_tokens).input.to_string(), want, "{input_tokens}");
    }
}
