use qwenda_ledger::{
    account::Most,
    money::{Currency, Nanos},
    terms::Terms,
};

use super::{batch::Batch, *};
use crate::{accounts::AccountRow, link::Link};

/// Writes operations, and what they come to when the end of that transaction is not known and they are tried again.
async fn twice(link: &mut Link, ops: &[Op]) -> (Vec<Done>, Vec<Done>) {
    let mut batch = Batch::begin(link).await.unwrap();
    batch.read(ops).await.unwrap();
    let mut first = Vec::new();
    for op in ops {
        first.push(batch.apply(op, None).unwrap());
    }
    batch.commit().await.unwrap();
    let mut again = Vec::new();
    for (op, before) in ops.iter().zip(&first) {
        let mut batch = Batch::begin(link).await.unwrap();
        batch.read(std::slice::from_ref(op)).await.unwrap();
        again.push(batch.apply(op, Some(before)).unwrap());
        batch.commit().await.unwrap();
    }
    (first, again)
}

fn account(id: &str) -> AccountRow {
    AccountRow {
        id: id.to_owned(),
        name: id.to_owned(),
        currency: Currency::Cny,
        credit: Nanos::ZERO,
        quota_stops: false,
        suspended_at: None,
        version: 1,
        created_at: 0,
        terms: Terms::default(),
        content_days: 0,
    }
}

fn ask(id: &str, account: &str) -> HoldAsk {
    HoldAsk {
        id: id.to_owned(),
        account_id: account.to_owned(),
        key_id: "k".to_owned(),
        model: "m".to_owned(),
        price_id: "p".to_owned(),
        most: Most { tokens: 0, money: Nanos::new(10), money_allowed: true },
        budgets: vec![Budget { owner: "k".to_owned(), period: "total".to_owned(), nanos_max: Nanos::new(45) }],
        instance: "i".to_owned(),
        now: 0,
        expires_at: 10,
    }
}

fn deposit(id: &str, account: &str) -> Deposit {
    let what = Deposited::Money(Nanos::new(100));
    Deposit { id: id.to_owned(), account_id: account.to_owned(), what, note: String::new(), now: 0 }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_spoils_nothing_for_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    for id in ["a", "b"] {
        assert!(store.account_create(&account(id)).await.unwrap());
        assert_eq!(store.deposit(deposit(id, id)).await.unwrap(), Ok(true));
    }
    sqlx::query("UPDATE accounts SET credit_nanos = 'broken' WHERE id = 'b'").execute(&store.pool).await.unwrap();
    let mut link = Link::to_file(&dir.path().join(crate::FILE_NAME)).unwrap();
    let ops = [("r1", "a"), ("r2", "b"), ("r3", "a")].map(|(id, account)| Op::Hold(ask(id, account)));
    let results = writer::write(&mut link, ops.to_vec()).await;
    assert!(matches!(results[..], [Ok(Done::Held(_)), Err(Error::Row { .. }), Ok(Done::Held(_))]), "{results:?}");
}

#[tokio::test]
async fn what_was_committed_after_all_is_not_done_again_and_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert!(store.account_create(&account("a")).await.unwrap());
    let ask = ask("r1", "a");
    let deposit = deposit("d", "a");
    let money = |all| Op::TopUp(TopUp { id: "r1".to_owned(), money: Nanos::new(all), expires_at: 20, now: 0 });
    let ops = [
        Op::Deposit(deposit),
        Op::Hold(HoldAsk { id: "r0".to_owned(), budgets: Vec::new(), ..ask.clone() }),
        Op::Void { id: "r0".to_owned(), now: 0 },
        Op::Hold(ask),
        money(25),
        money(45),
        // The budget is used up: refused then, and refused again.
        money(46),
    ];
    let (first, again) = twice(&mut Link::to_file(&dir.path().join(crate::FILE_NAME)).unwrap(), &ops).await;
    assert!(matches!(&first[6], Done::Refused(Refused::Budget { .. })), "{:?}", first[6]);
    // A hold that was let go of behind it is not open any more.
    assert_eq!(again[1], Done::Refused(Refused::NotOpen));
    for at in [0, 2, 5, 6] {
        assert_eq!(again[at], first[at], "{:?}", ops[at]);
    }
    let bucket = store.buckets("a").await.unwrap().remove(0);
    assert_eq!((bucket.posted, bucket.pending), (100, 45));
    assert_eq!(store.audit().await.unwrap().difference, None);
}
