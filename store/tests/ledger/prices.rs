//! Prices are added, never changed, and of those for the same none begin at the same second.

use qwenda_ledger::{
    money::{Currency, Nanos},
    price::{CachePercents, ModelPrice, Origin, PriceEntry, Tier},
};
use qwenda_store::prices::Made;

use crate::database::Database;

on_both! {
    a_price_is_added_once_and_stays
    of_many_who_begin_at_the_same_second_one_is_first
}

fn entry(id: &str, input: i64) -> PriceEntry {
    let tier = Tier { input_tokens_max: None, input: Nanos::new(input), output: Nanos::ZERO, output_thinking: None };
    PriceEntry {
        id: id.to_owned(),
        model: "m".to_owned(),
        account: None,
        origin: Origin::Override,
        effective_from: 1_000,
        effective_until: None,
        currency: Currency::Cny,
        price: ModelPrice::new(vec![tier], CachePercents::default()).unwrap(),
        cost: None,
    }
}

async fn a_price_is_added_once_and_stays(database: &Database) {
    let store = database.open().await;
    let first = entry("a", 1);
    assert_eq!(store.price_create(&first, 900).await.unwrap(), Made::New);
    assert_eq!(store.price_create(&entry("a", 2), 900).await.unwrap(), Made::SameId);
    assert_eq!(store.price_create(&entry("b", 2), 900).await.unwrap(), Made::SameStart);
    let others = [
        PriceEntry { id: "c".into(), effective_from: 1_001, ..entry("c", 3) },
        PriceEntry { account: Some("acc".into()), ..entry("d", 4) },
        PriceEntry { currency: Currency::Usd, ..entry("e", 5) },
        PriceEntry { model: "n".into(), ..entry("f", 6) },
    ];
    for other in &others {
        assert_eq!(store.price_create(other, 900).await.unwrap(), Made::New, "{other:?}");
    }
    let [later, account, currency, model] = others;
    assert_eq!(store.price_list().await.unwrap(), [first, account, currency, model, later]);
    store.close().await;
}

async fn of_many_who_begin_at_the_same_second_one_is_first(database: &Database) {
    let stores = [database.open().await, database.open().await];
    let tasks = (0..16).map(|i| {
        let store = stores[i % 2].clone();
        tokio::spawn(async move { store.price_create(&entry(&format!("p{i}"), 1), 900).await.unwrap() })
    });
    let mut made = 0;
    for task in tasks.collect::<Vec<_>>() {
        made += usize::from(task.await.unwrap() == Made::New);
    }
    assert_eq!((made, stores[0].price_list().await.unwrap().len()), (1, 1));
    for store in stores {
        store.close().await;
    }
}
