use super::*;

fn price(input: &str) -> ModelPrice {
    serde_json::from_str(&format!(r#"{{"tiers":[{{"input":"{input}","output":"0"}}]}}"#)).unwrap()
}

/// An entry of model `m` from a line such as `a1 account=alice list 100..200`.
fn entry(line: &str) -> PriceEntry {
    let words: Vec<_> = line.split_whitespace().collect();
    let [id, account, origin, time] = words[..] else { panic!("four words in {line:?}") };
    let (from, until) = time.split_once("..").unwrap();
    PriceEntry {
        id: id.to_owned(),
        model: "m".to_owned(),
        account: account.strip_prefix("account=").filter(|name| *name != "-").map(str::to_owned),
        origin: if origin == "list" { Origin::List } else { Origin::Override },
        effective_from: from.parse().unwrap(),
        effective_until: (!until.is_empty()).then(|| until.parse().unwrap()),
        currency: Currency::Cny,
        price: price("1"),
        cost: None,
    }
}

/// A book of these lines, in both orders of adding.
fn check(lines: &[&str], questions: &[(&str, i64, Option<&str>)]) {
    for reversed in [false, true] {
        let mut entries: Vec<_> = lines.iter().map(|line| entry(line)).collect();
        if reversed {
            entries.reverse();
        }
        let mut book = PriceBook::new(Currency::Cny);
        entries.into_iter().for_each(|entry| book.add(entry).unwrap());
        for (account, now, want) in questions {
            let got = book.at(account, "m", *now).map(|entry| entry.id.as_str());
            assert_eq!(got, *want, "{account} at {now}, reversed: {reversed}");
        }
        assert_eq!(book.at("alice", "another", 150), None);
    }
}

#[test]
fn the_account_goes_first_then_the_override_then_the_newer() {
    check(
        &[
            "list1     account=-     list     0..",
            "list2     account=-     list     100..",
            "special   account=-     override 50..150",
            "hers      account=alice list     50..200",
            "hers-m    account=alice override 60..70",
            "hers-m2   account=alice override 65..68",
        ],
        &[
            ("bob", -1, None),
            ("bob", 0, Some("list1")),
            ("bob", 49, Some("list1")),
            ("bob", 50, Some("special")),
            ("bob", 149, Some("special")),
            ("bob", 150, Some("list2")),
            ("bob", i64::MAX, Some("list2")),
            ("alice", 49, Some("list1")),
            ("alice", 50, Some("hers")),
            ("alice", 60, Some("hers-m")),
            ("alice", 65, Some("hers-m2")),
            ("alice", 68, Some("hers-m")),
            ("alice", 70, Some("hers")),
            ("alice", 199, Some("hers")),
            ("alice", 200, Some("list2")),
        ],
    );
}

#[test]
fn a_price_that_no_longer_holds_is_still_found_by_its_id() {
    let mut book = PriceBook::new(Currency::Cny);
    book.add(entry("old account=- list 0..100")).unwrap();
    book.add(PriceEntry { price: price("2"), ..entry("new account=- list 100..") }).unwrap();
    let admitted = book.at("alice", "m", 99).unwrap().id.clone();
    assert_eq!(book.at("alice", "m", 100).unwrap().id, "new");
    assert_eq!(book.get(&admitted).unwrap().price, price("1"));
    assert_eq!(book.get("gone"), None);
    assert_eq!(book.entries().len(), 2);
}

#[test]
fn prices_that_contradict_the_book_are_refused_and_change_nothing() {
    let mut book = PriceBook::new(Currency::Cny);
    book.add(entry("one account=- list 0..")).unwrap();
    for (bad, want) in [
        (entry("x account=- list 5..5"), "price `x` holds from second 5 until 5, which is never"),
        (entry("x account=- list 5..4"), "price `x` holds from second 5 until 4, which is never"),
        (
            PriceEntry { currency: Currency::Usd, ..entry("x account=- list 5..") },
            "price `x` is in USD, but the book is in CNY",
        ),
        (
            entry("one account=bob list 5.."),
            "there is a price `one` already; prices do not change, a new one has a new id",
        ),
        (entry("x account=- list 0..9"), "prices `x` and `one` of `m` are for the same and begin at the same second 0"),
    ] {
        assert_eq!(book.add(bad).unwrap_err().to_string(), want);
        assert_eq!(book.entries().len(), 1);
    }
    // The same second is no conflict where one goes before the other.
    book.add(entry("two account=- override 0..")).unwrap();
    book.add(entry("three account=bob list 0..")).unwrap();
    book.add(entry("four account=alice list 0..")).unwrap();
    assert_eq!(book.at("bob", "m", 0).unwrap().id, "three");
}

#[test]
fn a_list_is_added_whole_or_not_at_all() {
    let list = PriceList::published(Currency::Cny);
    let terms = Terms { id: "l".to_owned(), account: None, effective_from: 0, effective_until: None };
    let mut book = PriceBook::new(Currency::Cny);
    book.add(PriceEntry { id: "l/qwen-plus".to_owned(), ..entry("x account=- list 0..") }).unwrap();
    assert_eq!(book.add_list(&list, &terms, None), Err(BookError::SameId { id: "l/qwen-plus".to_owned() }));
    assert_eq!(book.entries().len(), 1);
    book.add_list(&list, &Terms { id: "k".to_owned(), ..terms }, None).unwrap();
    assert_eq!(book.at("bob", "qwen-max", 7).unwrap().id, "k/qwen-max");
}

#[test]
fn the_margin_is_the_charge_less_what_the_upstream_takes() {
    let usage = Usage { input_tokens: 1_000_000, ..Usage::default() };
    let with = |cost| PriceEntry { price: price("1.5"), cost, ..entry("x account=- list 0..") };
    let cost = |currency, input| Some(Cost { currency, price: price(input) });
    let margin = |entry: PriceEntry| entry.margin(&usage).unwrap().map(|margin| margin.to_string());
    assert_eq!(margin(with(None)), None);
    assert_eq!(margin(with(cost(Currency::Usd, "1"))), None);
    assert_eq!(margin(with(cost(Currency::Cny, "1"))), Some("0.5".to_owned()));
    assert_eq!(margin(with(cost(Currency::Cny, "2"))), Some("-0.5".to_owned()));

    // A list of costs stands beside the list of prices, model by model.
    let (list, mut book) = (PriceList::published(Currency::Cny), PriceBook::new(Currency::Cny));
    let terms = Terms { id: "l".to_owned(), account: None, effective_from: 0, effective_until: None };
    book.add_list(&list, &terms, Some(&PriceList::published(Currency::Usd))).unwrap();
    assert_eq!(book.get("l/qwen-plus").unwrap().cost.as_ref().unwrap().currency, Currency::Usd);
    assert_eq!(book.get("l/qwen-long").unwrap().cost, None);
}
