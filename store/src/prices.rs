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

impl Store {
    /// Adds a price. `false`: one of this id is there.
    pub async fn price_create(&self, price: &PriceEntry, now: i64) -> Result<bool, Error> {
        let cost = price.cost.as_ref().map(|cost| json::write(&(cost.currency.as_str(), &cost.price)));
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
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
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
