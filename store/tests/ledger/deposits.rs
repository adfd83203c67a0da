//! What comes in, and goes back.

use qwenda_ledger::money::{Currency, Nanos};
use qwenda_store::{accounts::AccountRow, ledger::Deposit};

use crate::{
    books::{account, ask, at_once, funded, has, hold, money, said, tokens},
    database::Database,
};

on_both! {
    a_deposit_of_one_id_is_made_once
    a_refund_never_takes_what_is_held
    money_of_two_currencies_does_not_meet
    an_account_of_a_name_is_made_once
    an_account_changed_meanwhile_is_not_overwritten
}

async fn a_deposit_of_one_id_is_made_once(database: &Database) {
    let store = funded(database, 0).await;
    let made = at_once((0..10).map(|_| store.deposit(money("m", 30)))).await;
    assert_eq!(made.into_iter().filter(|made| *made.as_ref().unwrap() == Ok(true)).count(), 1);
    assert_eq!(store.deposit(tokens("q", true, 5, None)).await.unwrap(), Ok(true));
    assert_eq!(store.deposit(tokens("q", true, 5, None)).await.unwrap(), Ok(false));
    let nobody = Deposit { account_id: "unheard-of".to_owned(), ..tokens("x", true, 5, None) };
    assert_eq!(said(store.deposit(nobody).await.unwrap().map(|_| Vec::new())), "Account");
    assert_eq!(has(&store).await, "q 5, balance 30");
}

async fn a_refund_never_takes_what_is_held(database: &Database) {
    let store = funded(database, 100).await;
    hold(&store, &ask("r1", 0, 60)).await;
    let with_credit = AccountRow { credit: Nanos::new(500), ..account("a") };
    assert!(store.account_update(&with_credit).await.unwrap());
    let refund = async |id: &str, amount| store.deposit(money(id, amount)).await.unwrap().map_err(|why| said(Err(why)));
    let why = "the request may cost up to 0.000000041; the account can spend 0.00000004";
    assert_eq!(refund("back", -41).await, Err(why.to_owned()));
    assert_eq!(refund("back", -40).await, Ok(true));
    assert_eq!(refund("back", -40).await, Ok(false));
    assert!(refund("again", -1).await.is_err());
    assert_eq!(has(&store).await, "balance 60-60");
}

async fn money_of_two_currencies_does_not_meet(database: &Database) {
    let store = funded(database, 100).await;
    let dollars = AccountRow { currency: Currency::Usd, ..account("b") };
    assert!(store.account_create(&dollars).await.unwrap());
    store.deposit(Deposit { account_id: "b".to_owned(), ..money("usd", 7) }).await.unwrap().unwrap();
    assert_eq!(database.number("SELECT posted FROM buckets WHERE id = 'paid:CNY'").await, -100);
    assert_eq!(database.number("SELECT posted FROM buckets WHERE id = 'paid:USD'").await, -7);
    for unit in ["CNY", "USD"] {
        let sum = format!("SELECT CAST(SUM(posted) AS BIGINT) FROM buckets WHERE unit = '{unit}'");
        assert_eq!(database.number(&sum).await, 0);
    }
}

async fn an_account_of_a_name_is_made_once(database: &Database) {
    let store = funded(database, 0).await;
    let same_name = AccountRow { id: "b".to_owned(), ..account("a") };
    assert!(!store.account_create(&same_name).await.unwrap());
    assert_eq!(store.buckets("b").await.unwrap(), []);
    let same_id = AccountRow { name: "other".to_owned(), ..account("a") };
    assert!(store.account_create(&same_id).await.is_err());
    assert_eq!(store.account_list().await.unwrap(), [account("a")]);
    assert_eq!(store.account("a").await.unwrap(), Some(account("a")));
    assert_eq!(store.account("name of a").await.unwrap(), Some(account("a")));
    assert_eq!(store.account("name of b").await.unwrap(), None);
}

async fn an_account_changed_meanwhile_is_not_overwritten(database: &Database) {
    let store = funded(database, 0).await;
    let read = store.account("a").await.unwrap().unwrap();
    assert!(store.account_update(&AccountRow { credit: Nanos::new(5), ..read.clone() }).await.unwrap());
    assert!(!store.account_update(&AccountRow { quota_stops: true, ..read.clone() }).await.unwrap());
    let now = store.account("a").await.unwrap().unwrap();
    assert_eq!(now, AccountRow { credit: Nanos::new(5), version: 2, ..read });
}
