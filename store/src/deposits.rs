//! Deposits as they were made.

use qwenda_ledger::money::Nanos;

use crate::{Error, Store, ledger::Deposited};

/// A deposit on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositRow {
    pub id: String,
    pub what: Deposited,
    pub note: String,
    /// Unix seconds.
    pub at: i64,
}

impl Store {
    /// The deposit of this id.
    pub async fn deposit_by_id(&self, id: &str) -> Result<Option<DepositRow>, Error> {
        type Columns = (String, i64, String, i64, Option<String>, Option<i64>);
        let found: Option<Columns> = sqlx::query_as(
            "SELECT transfers.kind, transfers.amount, transfers.note, transfers.at, buckets.models, buckets.expires_at
             FROM transfers LEFT JOIN buckets ON buckets.id = transfers.credit AND buckets.kind IN ('quota', 'pack')
             WHERE transfers.id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        let Some((kind, amount, note, at, models, expires_at)) = found else { return Ok(None) };
        let what = match (kind.as_str(), models) {
            ("top-up", _) => Deposited::Money(Nanos::new(amount)),
            ("refund", _) => Deposited::Money(Nanos::new(amount).checked_neg().ok_or(Error::Overflow)?),
            ("quota" | "pack", Some(models)) => {
                Deposited::Tokens { free: kind == "quota", tokens: amount, models, expires_at }
            }
            _ => return Ok(None),
        };
        Ok(Some(DepositRow { id: id.to_owned(), what, note, at }))
    }
}
