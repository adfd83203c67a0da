use qwenda_ledger::{
    account::Most,
    money::{Currency, Nanos},
};

use super::{batch::Batch, *};
use crate::{accounts::AccountRow, link::Link};

/// Writes operations, and what they come to when the end of that transaction is not known and they are tried again.
async fn twice(link: &mut Link, ops: &[Op]) -> (Vec<Done>, Vec<Done>) {
    let mut batch = Batch::begin(link, ops).await.unwrap();
    let mut first = Vec::new();
    for op in ops {
        first.push(batch.apply(op, None).unwrap());
    }
    batch.commit().await.unwrap();
    let mut again = Vec::new();
    for (op, before) in ops.iter().zip(&first) {
        let mut batch = Batch::begin(link, std::slice::from_ref(op)).await.unwrap();
        again.push(batch.apply(op, Some(before)).unwrap());
        batch.commit().await.unwrap();
    }
    (first, again)
}

#[tokio::test]
async fn what_was_committed_after_all_is_not_done_again_and_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let (id, currency) = ("a".to_owned(), Currency::Cny);
    let account = AccountRow {
        id: id.clone(),
        name: id.clone(),
        currency,
        credit: Nanos::ZERO,
        quota_stops: false,
        suspended_at: None,
        version: 1,
        created_at: 0,
    };
    assert!(store.account_create(&account).await.unwrap());
    let ask = HoldAsk {
        id: "r1".to_owned(),
        account_id: id.clone(),
        key_id: "k".to_owned(),
        model: "m".to_owned(),
        price_id: "p".to_owned(),
        most: Most { tokens: 0, money: Nanos::new(10), money_allowed: true },
        budgets: vec![Budget { period: "total".to_owned(), nanos_max: Nanos::new(45) }],
        instance: "i".to_owned(),
        now: 0,
        expires_at: 10,
    };
    let what = Deposited::Money(Nanos::new(100));
    let deposit = Deposit { id: "d".to_owned(), account_id: id, what, note: String::new(), now: 0 };
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
