//! Facts about the data folder itself.

use crate::{Error, Store};

impl Store {
    /// Writes a fact unless it is there, and returns what is there now.
    pub async fn meta_set_once(&self, name: &str, value: &str) -> Result<String, Error> {
        sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(value)
            .execute(&self.pool)
            .await?;
        let (value,) =
            sqlx::query_as("SELECT value FROM meta WHERE name = $1").bind(name).fetch_one(&self.pool).await?;
        Ok(value)
    }
}
