use super::*;

const HEAD: &str = "id = \"house\"\ncurrency = \"CNY\"\nseen = \"2026-03-01\"\n";

fn list(models: &str) -> Result<PriceList, String> {
    PriceList::parse(&format!("{HEAD}{models}")).map_err(|error| error.to_string())
}

#[test]
fn both_published_lists_are_read() {
    for (currency, id, names) in [(Currency::Cny, "2026-02-cny", 74), (Currency::Usd, "2026-02-usd", 58)] {
        let list = PriceList::published(currency);
        assert_eq!((list.id(), list.currency()), (id, currency));
        assert_eq!(list.models().count(), names);
    }
    let list = PriceList::published(Currency::Usd);
    assert_eq!(list.seen("qwen-plus"), Some("2026-02"));
    assert_eq!(list.seen("qwen3.8-max"), Some("2026-09"));
    assert_eq!((list.get("gpt-4"), list.seen("gpt-4")), (None, None));
}

#[test]
fn every_name_of_an_entry_has_its_price() {
    let list = list(
        r#"
        [[model]]
        names = ["a", "a-latest"]
        seen = "2026-04"
        tiers = [{ input_tokens_max = 1_000, input = "1", output = "2" }, { input = "3", output = "4" }]
        cache = { implicit_hit = 40 }
        [[model]]
        names = ["b"]
        tiers = [{ input = "0", output = "0" }]
        "#,
    )
    .unwrap();
    assert_eq!(list.models().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "a-latest", "b"]);
    let price = list.get("a-latest").unwrap();
    assert_eq!(list.get("a"), Some(price));
    assert_eq!(price.tiers()[1].output.to_string(), "4");
    assert_eq!(price.cache(), CachePercents { implicit_hit: 40, explicit_hit: 10, explicit_write: 125 });
    assert_eq!((list.seen("a"), list.seen("b")), (Some("2026-04"), Some("2026-03-01")));
}

#[test]
fn what_is_wrong_is_said_with_the_model_and_the_tier() {
    let model = |rest: &str| list(&format!("[[model]]\nnames = [\"qwen-x\"]\n{rest}")).unwrap_err();
    let tier =
        |tier: &str| model(&format!("tiers = [{{ input_tokens_max = 9, input = \"1\", output = \"2\" }}, {tier}]"));
    let starts = |error: String, want: &str| assert!(error.starts_with(want), "{error}\nwanted: {want}");

    starts(
        tier(r#"{ input = 2.5, output = "1" }"#),
        "price of `qwen-x`, tier 2: invalid type: floating point `2.5`, expected an amount as a string of decimals",
    );
    starts(
        tier(r#"{ input = "2,5", output = "1" }"#),
        "price of `qwen-x`, tier 2: an amount has digits and one point only, not ','",
    );
    starts(
        tier(r#"{ input = "1", output = "-1" }"#),
        "price of `qwen-x`: tier 2 has `output` at -1; a price is not negative",
    );
    starts(tier(r#"{ input = "1" }"#), "price of `qwen-x`, tier 2: missing field `output`");
    starts(
        tier(r#"{ input = "1", output = "1", thinking = "1" }"#),
        "price of `qwen-x`, tier 2: unknown field `thinking`",
    );
    starts(
        tier(r#"{ input_tokens_max = -1, input = "1", output = "1" }"#),
        "price of `qwen-x`, tier 2: invalid value: integer `-1`, expected u64",
    );
    starts(
        tier(r#"{ input_tokens_max = 9, input = "1", output = "1" }"#),
        "price of `qwen-x`: tier 2 ends at 9 input tokens",
    );
    starts(
        tier(r#"{ input_tokens_above = 10, input = "1", output = "1" }"#),
        "price of `qwen-x`: tier 2 begins above 10 input tokens",
    );
    starts(model("tiers = []"), "price of `qwen-x`: a price has at least one tier");
    starts(model("price = []"), "price of `qwen-x`: unknown field `price`");
    starts(model("tiers = []\ncache = { hit = 1 }"), "price of `qwen-x`: unknown field `hit`");
}

#[test]
fn lists_without_a_model_or_with_one_twice_are_refused() {
    assert_eq!(list("").unwrap_err(), "price list `house` has no model");
    let entry = |names: &str| format!("[[model]]\nnames = {names}\ntiers = [{{ input = \"1\", output = \"1\" }}]\n");
    let twice = "`a` has two prices in price list `house`";
    assert_eq!(list(&(entry(r#"["a"]"#) + &entry(r#"["b", "a"]"#))).unwrap_err(), twice);
    assert_eq!(list(&entry(r#"["a", "a"]"#)).unwrap_err(), twice);
    for names in ["[]", r#"[""]"#, r#"["a "]"#] {
        let error = list(&entry(names)).unwrap_err();
        assert!(error.contains("`names` has at least one name"), "{names}: {error}");
    }
    let error = list("[[model]]\nname = \"a\"").unwrap_err();
    assert!(error.starts_with("price of `model 1 of the list`: unknown field `name`"), "{error}");
}

#[test]
fn what_stands_above_the_models_is_checked_with_its_line() {
    let check = |text: &str, want: &str| {
        let error = PriceList::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}\nwanted: {want}");
    };
    check(
        "id = \"a\"\ncurrency = \"EUR\"\nseen = \"x\"",
        "line 2 of the price list: unknown variant `EUR`, expected `CNY` or `USD`",
    );
    check("id = \"a\"\nseen = \"x\"\nvat = 1\ncurrency = \"CNY\"", "line 3 of the price list: unknown field `vat`");
    check("id = \"a\"\n\nid = \"b\"", "line 3 of the price list: duplicate key");
    check("id = \"a\"", "line 1 of the price list: missing field `currency`");
    check("\u{0}", "line 1 of the price list: ");
}
