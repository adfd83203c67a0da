use super::*;

fn nanos(text: &str) -> Nanos {
    text.parse().unwrap()
}

#[test]
fn amounts_read_exactly_and_print_as_the_shortest_decimal() {
    for (text, want, shortest) in [
        ("0", 0, "0"),
        ("-0", 0, "0"),
        ("0.0", 0, "0"),
        ("0.082", 82_000_000, "0.082"),
        ("0.000000001", 1, "0.000000001"),
        ("-0.000000001", -1, "-0.000000001"),
        ("2.50", 2_500_000_000, "2.5"),
        ("007.100000000", 7_100_000_000, "7.1"),
        ("10", 10_000_000_000, "10"),
        ("100.000000010", 100_000_000_010, "100.00000001"),
        ("9223372036.854775807", i64::MAX, "9223372036.854775807"),
        ("-9223372036.854775808", i64::MIN, "-9223372036.854775808"),
    ] {
        assert_eq!(nanos(text), Nanos::new(want), "{text}");
        assert_eq!(nanos(text).to_string(), shortest, "{text}");
    }
}

#[test]
fn texts_that_are_no_amounts_are_refused_with_the_reason() {
    let character = |character| MoneyError::Character { character };
    for (text, want) in [
        ("", MoneyError::Digits),
        ("-", MoneyError::Digits),
        (".", MoneyError::Digits),
        (".5", MoneyError::Digits),
        ("5.", MoneyError::Digits),
        ("+1", character('+')),
        ("--1", character('-')),
        ("1-", character('-')),
        (" 1", character(' ')),
        ("1e3", character('e')),
        ("1_000", character('_')),
        ("1,5", character(',')),
        ("1.2.3", character('.')),
        ("１", character('１')),
        ("NaN", character('N')),
        ("0.0000000001", MoneyError::Decimals { decimals: 10 }),
        ("0.1000000000", MoneyError::Decimals { decimals: 10 }),
        ("9223372036.854775808", MoneyError::Overflow),
        ("-9223372036.854775809", MoneyError::Overflow),
        ("99999999999999999999999999999999999999999999999", MoneyError::Overflow),
    ] {
        assert_eq!(text.parse::<Nanos>(), Err(want), "{text:?}");
    }
    assert_eq!(Nanos::parse_unsigned("-1"), Err(MoneyError::Negative));
    assert_eq!(Nanos::parse_unsigned("0.5"), Ok(Nanos::new(500_000_000)));
}

#[test]
fn errors_name_the_bound_and_the_value() {
    let say = |text: &str| text.parse::<Nanos>().unwrap_err().to_string();
    assert_eq!(say("0.1234567890"), "an amount has at most 9 digits behind its point, this one has 10");
    assert_eq!(say("9999999999"), "an amount lies between -9223372036.854775808 and 9223372036.854775807");
    assert_eq!(say("1 000"), "an amount has digits and one point only, not ' '");
}

#[test]
fn every_amount_reads_back_as_itself() {
    let mut state = 1_u64;
    for _ in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Amounts of every length, both signs.
        let amount = Nanos::new((state as i64) >> (state % 63));
        assert_eq!(nanos(&amount.to_string()), amount);
    }
}

#[test]
fn rounding_is_to_the_nearest_nano_and_ties_go_away_from_zero() {
    for (amount, numerator, denominator, want) in [
        (1, 1, 2, 1),
        (-1, 1, 2, -1),
        (1, 1, 3, 0),
        (-1, 1, 3, 0),
        (2, 1, 3, 1),
        (3, 1, 2, 2),
        (5, 1, 2, 3),
        (-5, 1, 2, -3),
        (1, 499_999, 1_000_000, 0),
        (1, 500_000, 1_000_000, 1),
        (i64::MAX, 1, 1, i64::MAX),
        (i64::MIN, 1, 1, i64::MIN),
        (i64::MAX, u64::MAX, u64::MAX, i64::MAX),
        (i64::MIN, u64::MAX, u64::MAX, i64::MIN),
        (7, 0, 9, 0),
    ] {
        let got = Nanos::new(amount).scaled(numerator, denominator);
        assert_eq!(got, Some(Nanos::new(want)), "{amount} × {numerator} ÷ {denominator}");
    }
    assert_eq!(Nanos::MAX.scaled(2, 1), None);
    assert_eq!(Nanos::MIN.scaled(u64::MAX, 1), None);
}

#[test]
fn arithmetic_stops_at_the_bounds() {
    let one = Nanos::new(1);
    assert_eq!(Nanos::MAX.checked_add(one), None);
    assert_eq!(Nanos::MIN.checked_sub(one), None);
    assert_eq!(Nanos::MIN.checked_neg(), None);
    assert_eq!(Nanos::from_units(2), Some(nanos("2")));
    assert_eq!(Nanos::from_units(9_223_372_037), None);
    assert_eq!(Nanos::checked_sum([Nanos::MAX, one, Nanos::new(-2)]), Some(Nanos::new(i64::MAX - 1)));
    assert_eq!(Nanos::checked_sum([Nanos::MAX, one]), None);
}

#[test]
fn json_has_amounts_as_strings_and_refuses_numbers() {
    assert_eq!(serde_json::to_string(&nanos("-0.50")).unwrap(), r#""-0.5""#);
    assert_eq!(serde_json::from_str::<Nanos>(r#""0.082""#).unwrap(), nanos("0.082"));
    let error = serde_json::from_str::<Nanos>("0.082").unwrap_err().to_string();
    assert!(error.contains("expected an amount as a string of decimals"), "{error}");
    let error = serde_json::from_str::<Nanos>(r#""0,5""#).unwrap_err().to_string();
    assert!(error.contains("digits and one point only"), "{error}");
}

#[test]
fn currencies_go_by_their_codes() {
    for currency in Currency::ALL {
        assert_eq!(currency.to_string().parse(), Ok(currency));
        assert_eq!(serde_json::to_string(&currency).unwrap(), format!("{:?}", currency.as_str()));
    }
    assert_eq!("cny".parse::<Currency>().unwrap_err().to_string(), "`cny` is no known currency; there are CNY and USD");
}
