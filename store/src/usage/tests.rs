//! Which index answers what.

use sqlx::{AssertSqlSafe, Row};

use super::Wanted;
use crate::Store;

#[tokio::test]
async fn what_is_asked_of_one_account_or_key_is_found_by_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    for (account, key, requests, rollups) in [
        (false, false, "requests_by_time (at>? AND at<?)", "autoindex_rollups_1 (grain=? AND at>? AND at<?)"),
        (true, false, "requests_of_account (account_id=?", "rollups_of_account (account_id=? AND grain=?"),
        (false, true, "requests_of_key (key_id=?", "rollups_of_key (key_id=? AND grain=?"),
        (true, true, "requests_of_key (key_id=?", "rollups_of_key (key_id=? AND grain=?"),
    ] {
        let wanted = Wanted {
            account_id: account.then(|| "a".to_owned()),
            key_id: key.then(|| "k".to_owned()),
            ..Wanted::default()
        };
        let asked = [(wanted.requests_sql(), requests), (wanted.rollups_sql(), rollups), (wanted.usage_sql(), rollups)];
        for (sql, want) in asked {
            let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let plan = sqlx::query(sql).fetch_all(&store.pool).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
            assert!(plan.iter().any(|step| step.contains(want)), "wants {want}: {plan:?}");
        }
    }
}
