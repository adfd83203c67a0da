//! A copy of the database as it is at one moment, while others write.

use crate::{Error, Store};

impl Store {
    /// Copies a database of SQLite into a file that is not there yet, or is empty. The copy is whole only when this
    /// has returned; it is not synced. Who writes meanwhile does not wait.
    pub async fn copy_to(&self, path: &str) -> Result<(), Error> {
        sqlx::query("VACUUM INTO $1").bind(path).execute(&self.pool).await?;
        Ok(())
    }
}
