//! Prices, each as it was when it was made.

use qwenda_ledger::price::{Cost, ModelPrice, Origin, PriceEntry};

use crate::{Error, Store, json};

type Columns = (String, String, Option<String>, i64, Option<i64>, String, String, Option<String>);

fn entry(columns: Columns) -> Result<PriceEntry, Error> {
    let (id, model, account, effective_from, effective_until, currency, price, cost) = columns;
    let currency = currency.parse().map_err(|_| Error::Row { what: "prices.currency", why: currency })?;
    let cost: Option<(String, ModelPrice)> = cost.map(|cost| json::read("prices.cost", &cost)).transpose()?;
    let cost = match cost {
        Some((currency, price)) => {
            let currency = currency.parse().map_err(|_| Error::Row { what: "prices.cost", why: currency })?;
            Some(Cost { currency, price })
        }
        None => None,
    };
    let price = json::read("prices.price", &price)?;
    let origin = Origin::Override;
    Ok(PriceEntry { id, model, account, origin, effective_from, effective_until, currency, price, cost })
}

/// What came of a price that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    New,
    /// One of this id is there, and stays as it is.
    SameId,
    /// One for the same model, account and currency begins at the same second: neither would go before the other.
    SameStart,
}

impl Store {
    /// Adds a price.
    pub async fn price_create(&self, price: &PriceEntry, now: i64) -> Result<Made, Error> {
        let cost = price.cost.as_ref().map(|cost| json::write(&(cost.currency.as_str(), &cost.price)));
        let mut tx = self.pool.begin().await?;
        // Nobody else adds one between the look and the write.
        sqlx::query("UPDATE meta SET value = value WHERE name = 'ledger'").execute(&mut *tx).await?;
        let (same,): (i64,) = sqlx::query_as(
            "SELECT COUNT(*) FROM prices
             WHERE id <> $1 AND model = $2 AND COALESCE(account_id, '') = $3 AND effective_from = $4 AND currency = $5",
        )
        .bind(&price.id)
        .bind(&price.model)
        .bind(price.account.as_deref().unwrap_or_default())
        .bind(price.effective_from)
        .bind(price.currency.as_str())
        .fetch_one(&mut *tx)
        .await?;
        if same > 0 {
            tx.rollback().await?;
            return Ok(Made::SameStart);
        }
        let done = sqlx::query(
            "INSERT INTO prices (id, model, account_id, effective_from, effective_until, currency, price, cost, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&price.id)
        .bind(&price.model)
        .bind(price.account.as_deref())
        .bind(price.effective_from)
        .bind(price.effective_until)
        .bind(price.currency.as_str())
        .bind(json::write(&price.price))
        .bind(cost)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(if done.rows_affected() == 1 { Made::New } else { Made::SameId })
    }

    /// All prices that were made here, oldest first.
    pub async fn price_list(&self) -> Result<Vec<PriceEntry>, Error> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, model, account_id, effective_from, effective_until, currency, price, cost
             FROM prices ORDER BY effective_from, id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(entry).collect()
    }
}
