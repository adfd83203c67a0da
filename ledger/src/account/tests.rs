use super::*;
use crate::money::Currency;
use crate::price::{PriceList, Usage};

fn bucket(id: &str, kind: Kind, free: i64, expires_at: Option<i64>) -> Bucket {
    Bucket { id: id.to_owned(), kind, free, expires_at }
}

fn most(tokens: u64, money: i64) -> Most {
    Most { tokens, money: Nanos::new(money), money_allowed: true }
}

fn shown(parts: &[Part]) -> Vec<(&str, i64)> {
    parts.iter().map(|part| (part.bucket.as_str(), part.amount)).collect()
}

#[test]
fn quota_pays_before_packs_and_what_ends_first_before_what_stays() {
    let buckets = [
        bucket("balance", Kind::Balance, 1_000, None),
        bucket("pack late", Kind::Pack, 50, Some(300)),
        bucket("pack early", Kind::Pack, 50, Some(200)),
        bucket("quota", Kind::Quota, 10, Some(999)),
        bucket("ended", Kind::Quota, 99, Some(100)),
    ];
    let parts = cover(&buckets, Nanos::ZERO, most(70, 500), 100).expect("it is covered");
    assert_eq!(shown(&parts), [("quota", 10), ("pack early", 50), ("pack late", 10)]);
    let parts = cover(&buckets, Nanos::ZERO, most(200, 500), 100).expect("it is covered");
    assert_eq!(shown(&parts), [("quota", 10), ("pack early", 50), ("pack late", 50), ("balance", 500)]);
}

#[test]
fn a_credit_line_is_spent_to_its_end_and_not_further() {
    let buckets = [bucket("b", Kind::Balance, -30, None)];
    let credit = Nanos::new(100);
    assert_eq!(shown(&cover(&buckets, credit, most(0, 70), 0).expect("just enough")), [("b", 70)]);
    let refused = Uncovered::Money { wanted: Nanos::new(71), spendable: Nanos::new(70) };
    assert_eq!(cover(&buckets, credit, most(0, 71), 0), Err(refused));
    let nothing = Uncovered::Money { wanted: Nanos::new(1), spendable: Nanos::ZERO };
    assert_eq!(cover(&[], Nanos::ZERO, most(0, 1), 0), Err(nothing));
}

#[test]
fn who_stops_at_the_end_of_the_quota_never_pays_money() {
    let stops = Most { money_allowed: false, ..most(100, 5) };
    let balance = bucket("b", Kind::Balance, 1_000, None);
    assert_eq!(cover(std::slice::from_ref(&balance), Nanos::ZERO, stops, 0), Err(Uncovered::QuotaEnded));
    let quota = bucket("q", Kind::Quota, 1, None);
    assert_eq!(shown(&cover(&[balance, quota], Nanos::ZERO, stops, 0).expect("one token is left")), [("q", 1)]);
}

#[test]
fn tokens_that_quota_paid_are_taken_off_the_lines_in_their_order() {
    let list = PriceList::published(Currency::Cny);
    let price = list.get("qwen-plus").expect("it is listed");
    let usage = Usage { input_tokens: 1_000, output_tokens: 500, ..Usage::default() };
    let charge = price.charge(&usage).expect("small");
    let parts = [
        Part { bucket: "q".to_owned(), kind: Kind::Quota, amount: 300 },
        Part { bucket: "p".to_owned(), kind: Kind::Pack, amount: 900 },
        Part { bucket: "b".to_owned(), kind: Kind::Balance, amount: 1 << 40 },
    ];
    let settled = settle(&parts, &charge, true).expect("small");
    assert_eq!(shown(&settled.tokens), [("q", 300), ("p", 900)]);
    // 1,200 of 1,500 are covered: 300 of the output remain, at 2 CNY a million.
    assert_eq!(settled.charge.total, "0.0006".parse().expect("an amount"));
    assert_eq!(settled.charge.lines.len(), 1);

    let settled = settle(&parts[2..], &charge, true).expect("small");
    assert_eq!((settled.tokens.len(), settled.charge), (0, charge));
}

#[test]
fn what_is_covered_and_what_is_paid_are_all_tokens_whatever_is_held() {
    let list = PriceList::published(Currency::Cny);
    let price = list.get("qwen3-max").expect("it is listed");
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..20_000 {
        let input_tokens = random(40_000);
        let implicit_hit_tokens = random(input_tokens + 1);
        let usage = Usage { input_tokens, implicit_hit_tokens, output_tokens: random(9_000), ..Usage::default() };
        let charge = price.charge(&usage).expect("small");
        let part = |kind, amount| Part { bucket: format!("{kind:?}"), kind, amount };
        let parts = [part(Kind::Quota, random(30_000) as i64), part(Kind::Pack, random(30_000) as i64)];
        let settled = settle(&parts, &charge, true).expect("small");
        let covered: i64 = settled.tokens.iter().map(|part| part.amount).sum();
        let paid: u64 = settled.charge.lines.iter().map(|line| line.tokens).sum();
        assert_eq!(covered as u64 + paid, usage.input_tokens + usage.output_tokens, "{usage:?} {parts:?}");
        assert!(settled.charge.total <= charge.total);
        assert!(
            settled.tokens.iter().all(|used| parts.iter().any(|p| p.bucket == used.bucket && p.amount >= used.amount))
        );
    }
}
