//! What an audit finds: everything that is planted, and nothing else.

use qwenda_store::{audit::Audit, ledger::HoldAsk};

use crate::{
    books::{ask, budget, funded, hold, tokens, used},
    database::Database,
};

on_both! {
    an_audit_counts_what_it_read
    every_planted_difference_is_found
    a_document_that_cannot_be_read_is_said
}

/// One request paid with tokens and money, one open, one let go of.
async fn busy(database: &Database) -> qwenda_store::Store {
    let store = funded(database, 100).await;
    store.deposit(tokens("q", true, 10, None)).await.unwrap().unwrap();
    let paid = HoldAsk { budgets: vec![budget("total", 90)], ..ask("r1", 20, 30) };
    let parts = store.hold(paid.clone()).await.unwrap().unwrap();
    assert!(store.post(used(&paid, &parts, 17)).await.unwrap());
    hold(&store, &HoldAsk { budgets: vec![budget("total", 90)], ..ask("r2", 0, 20) }).await;
    hold(&store, &ask("r3", 0, 20)).await;
    assert!(store.void("r3", 0).await.unwrap());
    store
}

async fn an_audit_counts_what_it_read(database: &Database) {
    let audit = busy(database).await.audit().await.unwrap();
    assert_eq!(audit, Audit { buckets: 8, transfers: 4, requests: 1, open_holds: 1, difference: None });
}

async fn every_planted_difference_is_found(database: &Database) {
    let store = busy(database).await;
    let table = [
        (
            "UPDATE buckets SET posted = posted + 1 WHERE id = 'balance:a'",
            "bucket balance:a states 94, but its transfers come to 93",
            "UPDATE buckets SET posted = posted - 1 WHERE id = 'balance:a'",
        ),
        (
            "UPDATE transfers SET amount = 101 WHERE id = 'start'",
            "bucket balance:a states 93, but its transfers come to 94",
            "UPDATE transfers SET amount = 100 WHERE id = 'start'",
        ),
        (
            "UPDATE buckets SET pending = pending - 1 WHERE id = 'balance:a'",
            "bucket balance:a states 19 pending, but its open holds come to 20",
            "UPDATE buckets SET pending = pending + 1 WHERE id = 'balance:a'",
        ),
        (
            "UPDATE holds SET state = 'voided' WHERE id = 'r2'",
            "bucket balance:a states 20 pending, but its open holds come to 0",
            "UPDATE holds SET state = 'pending' WHERE id = 'r2'",
        ),
        (
            "UPDATE buckets SET unit = 'USD' WHERE id = 'balance:a'",
            "all buckets of CNY together come to -93, not to 0",
            "UPDATE buckets SET unit = 'CNY' WHERE id = 'balance:a'",
        ),
        (
            "DELETE FROM buckets WHERE id = 'used:tokens'",
            "a transfer or hold names the bucket used:tokens, which is not there",
            "INSERT INTO buckets (id, kind, unit, models, posted, pending, created_at)
             VALUES ('used:tokens', 'used', 'tokens', '*', 10, 0, 0)",
        ),
        (
            "UPDATE requests SET id = 'r9' WHERE id = 'r1'",
            "hold r1 is posted, but there is no request of this id",
            "UPDATE requests SET id = 'r1' WHERE id = 'r9'",
        ),
        (
            "UPDATE holds SET state = 'expired' WHERE id = 'r1'",
            "request r1 is on record, but its hold is expired",
            "UPDATE holds SET state = 'posted' WHERE id = 'r1'",
        ),
        (
            "UPDATE holds SET state = 'voided', id = 'r9' WHERE id = 'r1'",
            "request r1 is on record, but its hold is not there",
            "UPDATE holds SET state = 'posted', id = 'r1' WHERE id = 'r9'",
        ),
        (
            "UPDATE requests SET charge_nanos = 8 WHERE id = 'r1'",
            "request r1 states a charge of 8 nanos, its transfers come to 7",
            "UPDATE requests SET charge_nanos = 7 WHERE id = 'r1'",
        ),
        (
            "UPDATE requests SET charge_nanos = 0 WHERE id = 'r1'",
            "request r1 states a charge of 0 nanos, its transfers come to 7",
            "UPDATE requests SET charge_nanos = 7 WHERE id = 'r1'",
        ),
        (
            "UPDATE requests SET covered = REPLACE(covered, '10', '9') WHERE id = 'r1'",
            "request r1 states 9 tokens paid by tokens:q, its transfers come to 10",
            "UPDATE requests SET covered = REPLACE(covered, '9', '10') WHERE id = 'r1'",
        ),
        (
            "INSERT INTO transfers VALUES ('x', 0, 'usage', 'balance:a', 'balance:a', 5, 'r9', '')",
            "transfer x pays for a request that is not on record",
            "DELETE FROM transfers WHERE id = 'x'",
        ),
        (
            "UPDATE rollups SET charge_nanos = 9 WHERE grain = 'hour'",
            "roll-ups of hours come to 9 nanos, requests to 7",
            "UPDATE rollups SET charge_nanos = 7 WHERE grain = 'hour'",
        ),
        (
            "UPDATE rollups SET grain = 'lost' WHERE grain = 'day'",
            "roll-ups of days come to 0 requests, requests to 1",
            "UPDATE rollups SET grain = 'day' WHERE grain = 'lost'",
        ),
        (
            "UPDATE budgets SET spent = 6",
            "the budget total of k states 6 spent, but its holds come to 7",
            "UPDATE budgets SET spent = 7",
        ),
        (
            "UPDATE budgets SET pending = 0",
            "the budget total of k states 0 pending, but its holds come to 20",
            "UPDATE budgets SET pending = 20",
        ),
        (
            "UPDATE budgets SET period = 'other'",
            "the budget other of k states 7 spent, but its holds come to 0",
            "UPDATE budgets SET period = 'total'",
        ),
        (
            "DELETE FROM budgets",
            "the budget total of k states 0 spent, but its holds come to 7",
            "INSERT INTO budgets VALUES ('k', 'total', 7, 20)",
        ),
    ];
    for (plant, want, undo) in table {
        database.execute(plant).await;
        let found = store.audit().await.unwrap().difference.map(|difference| difference.to_string());
        assert_eq!(found.as_deref(), Some(want), "{plant}");
        database.execute(undo).await;
        assert_eq!(store.audit().await.unwrap().difference, None, "{undo}");
    }
}

async fn a_document_that_cannot_be_read_is_said(database: &Database) {
    let store = busy(database).await;
    let parts = "[{\"bucket\":\"balance:a\",\"kind\":\"balance\",\"amount\":20}]";
    database.execute("UPDATE holds SET parts = '?' WHERE id = 'r2'").await;
    let error = store.audit().await.unwrap_err().to_string();
    assert!(error.contains("holds.parts"), "{error}");
    database.execute(&format!("UPDATE holds SET parts = '{parts}' WHERE id = 'r2'")).await;
}
