//! Bills that were computed apart from this code, by `bills.py` beside it.

use qwenda_ledger::money::{Currency, Nanos};
use qwenda_ledger::price::{Bounds, Mode, PriceList, Usage};

const BILLS: &str = include_str!("bills.csv");
const COLUMNS: &str =
    "list,model,input,implicit_hit,explicit_hit,explicit_write,output,reasoning,thinking,mode,lines,total,note";

struct Bill {
    list: &'static str,
    model: &'static str,
    usage: Usage,
    lines: &'static str,
    total: &'static str,
    note: &'static str,
}

fn bills() -> Vec<Bill> {
    let mut rows = BILLS.lines();
    assert_eq!(rows.next(), Some(COLUMNS));
    rows.map(bill).collect()
}

fn bill(row: &'static str) -> Bill {
    let columns: Vec<_> = row.split(',').collect();
    let [list, model, rest @ .., thinking, mode, lines, total, note] = &columns[..] else { panic!("{row}") };
    let counts: Vec<u64> = rest.iter().map(|count| count.parse().expect("a count")).collect();
    let [
        input_tokens,
        implicit_hit_tokens,
        explicit_hit_tokens,
        explicit_write_tokens,
        output_tokens,
        reasoning_tokens,
    ] = counts[..]
    else {
        panic!("{row}")
    };
    let usage = Usage {
        input_tokens,
        implicit_hit_tokens,
        explicit_hit_tokens,
        explicit_write_tokens,
        output_tokens,
        reasoning_tokens,
        thinking: *thinking == "yes",
        mode: if *mode == "batch" { Mode::Batch } else { Mode::RealTime },
    };
    Bill { list, model, usage, lines, total, note }
}

/// The lists of the bills: both published ones, and one of odd prices.
struct Lists([PriceList; 3]);

impl Lists {
    fn read() -> Self {
        let house = PriceList::parse(include_str!("house.toml")).expect("a price list");
        Self([PriceList::published(Currency::Cny), PriceList::published(Currency::Usd), house])
    }

    fn of(&self, bill: &Bill) -> &PriceList {
        let id = if bill.list == "house" { "house".to_owned() } else { format!("2026-02-{}", bill.list) };
        self.0.iter().find(|list| list.id() == id).expect("a list of that name")
    }
}

#[test]
fn every_bill_is_the_auditors_to_the_nano() {
    let (lists, bills) = (Lists::read(), bills());
    assert!(bills.len() >= 120, "only {} bills", bills.len());
    for bill in bills {
        let price = lists.of(&bill).get(bill.model).unwrap();
        let charge = price.charge(&bill.usage).unwrap();
        let lines: Vec<_> = charge.lines.iter().map(|line| format!("{}={}", line.kind.as_str(), line.amount)).collect();
        let what = format!("{} in {}, {}: {:?}", bill.model, bill.list, bill.note, bill.usage);
        assert_eq!(lines.join(" "), bill.lines, "{what}");
        assert_eq!(charge.total.to_string(), bill.total, "{what}");
    }
}

#[test]
fn every_bill_is_within_what_was_held_for_it() {
    let lists = Lists::read();
    for bill in bills() {
        let price = lists.of(&bill).get(bill.model).unwrap();
        let Usage { input_tokens, output_tokens, thinking, mode, .. } = bill.usage;
        let explicit_cache = bill.usage.explicit_hit_tokens + bill.usage.explicit_write_tokens > 0;
        let output_tokens_max = output_tokens;
        let bounds = Bounds { input_tokens, output_tokens_max, thinking, explicit_cache, mode };
        let (most, total) = (price.most_of(&bounds).unwrap(), bill.total.parse::<Nanos>().unwrap());
        assert!(total <= most, "{}, {}: {total} > {most}", bill.model, bill.note);
    }
}

#[test]
fn the_worked_bills_of_the_public_pages_are_among_them() {
    let worked = ["0.082", "0.528", "0.02", "0.00227", "0.041", "0.0000135"];
    for (number, (total, bill)) in (1..).zip(worked.into_iter().zip(bills())) {
        assert_eq!((bill.total, bill.note), (total, format!("worked {number}").as_str()));
    }
}
