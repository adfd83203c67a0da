use super::*;
use crate::money::Currency;
use crate::price::{CachePercents, PriceList, Usage};

/// Numbers from a seed: splitmix64.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `max`, both of them and small numbers often.
    fn upto(&mut self, max: u64) -> u64 {
        match self.next() % 6 {
            0 => max,
            1 => 0,
            2 => (self.next() % 8).min(max),
            _ => self.next() % (max + 1),
        }
    }

    fn flip(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    /// Prices that round and prices that do not, tiers that get dearer and cheaper.
    fn price(&mut self) -> ModelPrice {
        let nanos = |seeded: &mut Self| {
            let max = [3, 1_000_000, 1_000_000_000, 200_000_000_000][(seeded.next() % 4) as usize];
            Nanos::new(seeded.upto(max) as i64)
        };
        let mut end = 0;
        let count = 1 + self.next() % 4;
        let tiers = (1..=count).map(|number| {
            end += 1 + self.upto(60);
            Tier {
                input_tokens_max: (number < count || self.flip()).then_some(end),
                input: nanos(self),
                output: nanos(self),
                output_thinking: self.flip().then(|| nanos(self)),
            }
        });
        let tiers = tiers.collect();
        let cache = match self.next() % 3 {
            0 => CachePercents::default(),
            1 => CachePercents { implicit_hit: 100, explicit_hit: 100, explicit_write: 100 },
            _ => CachePercents {
                implicit_hit: self.upto(1_000) as u32,
                explicit_hit: self.upto(1_000) as u32,
                explicit_write: self.upto(1_000) as u32,
            },
        };
        ModelPrice::new(tiers, cache).unwrap()
    }

    fn bounds(&mut self) -> Bounds {
        Bounds {
            input_tokens: self.upto(300),
            output_tokens_max: self.upto(50),
            thinking: self.flip(),
            explicit_cache: self.flip(),
            mode: if self.flip() { Mode::RealTime } else { Mode::Batch },
        }
    }

    fn usage(&mut self, bounds: &Bounds) -> Usage {
        let input_tokens = self.upto(bounds.input_tokens);
        let explicit = if bounds.explicit_cache { input_tokens } else { 0 };
        let explicit_write_tokens = self.upto(explicit);
        let explicit_hit_tokens = self.upto(explicit - explicit_write_tokens);
        let output_tokens = self.upto(bounds.output_tokens_max);
        Usage {
            input_tokens,
            explicit_write_tokens,
            explicit_hit_tokens,
            implicit_hit_tokens: self.upto(input_tokens - explicit_write_tokens - explicit_hit_tokens),
            output_tokens,
            reasoning_tokens: self.upto(output_tokens),
            thinking: bounds.thinking && self.flip(),
            mode: bounds.mode,
        }
    }
}

#[test]
fn no_charge_is_above_the_most_for_its_bounds() {
    for seed in 0..4_000 {
        let mut seeded = Seeded(seed);
        let (price, bounds) = (seeded.price(), seeded.bounds());
        let most = price.most_of(&bounds).unwrap();
        let most_of_all = price.most(bounds.input_tokens, bounds.output_tokens_max, bounds.thinking).unwrap();
        assert!(most <= most_of_all, "seed {seed}: {most} within some bounds, {most_of_all} within all");
        for _ in 0..40 {
            let usage = seeded.usage(&bounds);
            let charge = price.charge(&usage).unwrap();
            assert!(charge.total <= most, "seed {seed}: {usage:?} of {price:?} costs {} > {most}", charge.total);
            assert!(charge.lines.iter().all(|line| !line.amount.is_negative()), "seed {seed}: {charge:?}");
        }
    }
}

#[test]
fn the_most_is_what_the_dearest_request_pays_in_the_published_lists() {
    for currency in Currency::ALL {
        let list = PriceList::published(currency);
        for (model, price) in list.models() {
            for (input_tokens, thinking, mode) in [
                (1, false, Mode::RealTime),
                (32_768, true, Mode::RealTime),
                (200_000, false, Mode::RealTime),
                (999_999, true, Mode::Batch),
            ] {
                let output_tokens = 1_000;
                let usage =
                    Usage { input_tokens, output_tokens, reasoning_tokens: 500, thinking, mode, ..Usage::default() };
                let output_tokens_max = output_tokens;
                let bounds = Bounds { input_tokens, output_tokens_max, thinking, explicit_cache: false, mode };
                let (most, charge) = (price.most_of(&bounds).unwrap(), price.charge(&usage).unwrap().total);
                assert_eq!(most, charge, "{model}, {input_tokens} tokens, {mode:?}");
            }
        }
    }
}

#[test]
fn a_smaller_request_of_a_dearer_tier_below_is_covered() {
    let price: ModelPrice = serde_json::from_str(
        r#"{"tiers":[{"input_tokens_max":100,"input":"50","output":"1"},{"input":"1","output":"2"}]}"#,
    )
    .unwrap();
    // 100 tokens of the first tier cost more than 101 of the second.
    let bounds = Bounds {
        input_tokens: 101,
        output_tokens_max: 0,
        thinking: false,
        explicit_cache: false,
        mode: Mode::RealTime,
    };
    assert_eq!(price.most_of(&bounds).unwrap().to_string(), "0.005");
    assert_eq!(price.most_of(&Bounds { input_tokens: 0, ..bounds }).unwrap(), Nanos::ZERO);
}

#[test]
fn the_thinking_price_may_be_the_lower_one() {
    let price: ModelPrice =
        serde_json::from_str(r#"{"tiers":[{"input":"0","output":"8","output_thinking":"2"}]}"#).unwrap();
    assert_eq!(price.most(0, 1_000_000, true).unwrap().to_string(), "8");
}

#[test]
fn bounds_beyond_any_amount_are_refused() {
    let list = PriceList::published(Currency::Cny);
    let price = list.get("qwen-plus").unwrap();
    assert!(matches!(price.most(u64::MAX, 0, false), Err(ChargeError::Overflow { .. })));
    assert!(matches!(price.most(0, u64::MAX, false), Err(ChargeError::Overflow { .. })));
}
