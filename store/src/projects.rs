//! Projects: the keys of an account that are held to something together.

use qwenda_ledger::terms::Terms;
use sqlx::AssertSqlSafe;

use crate::{Error, Store, json};

/// One project as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    pub id: String,
    pub account_id: String,
    /// Every project of an account has another.
    pub name: String,
    pub terms: Terms,
    /// Unix seconds; `None` while its keys work.
    pub disabled_at: Option<i64>,
    /// Grows with every change.
    pub version: i64,
    /// Unix seconds.
    pub created_at: i64,
}

/// Reads projects, in the order of [`Columns`].
const PROJECTS: &str = "SELECT id, account_id, name, rules, disabled_at, version, created_at FROM projects";

type Columns = (String, String, String, String, Option<i64>, i64, i64);

fn row(columns: Columns) -> Result<ProjectRow, Error> {
    let (id, account_id, name, rules, disabled_at, version, created_at) = columns;
    let terms = json::read("projects.rules", &rules)?;
    Ok(ProjectRow { id, account_id, name, terms, disabled_at, version, created_at })
}

impl Store {
    /// Adds a project. `false`: another of the account has its name.
    pub async fn project_create(&self, project: &ProjectRow) -> Result<bool, Error> {
        let done = sqlx::query(
            "INSERT INTO projects (id, account_id, name, rules, disabled_at, version, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, name) DO NOTHING",
        )
        .bind(&project.id)
        .bind(&project.account_id)
        .bind(&project.name)
        .bind(json::write(&project.terms))
        .bind(project.disabled_at)
        .bind(project.version)
        .bind(project.created_at)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The project of this id.
    pub async fn project_by_id(&self, id: &str) -> Result<Option<ProjectRow>, Error> {
        let sql = format!("{PROJECTS} WHERE id = $1");
        let found: Option<Columns> = sqlx::query_as(AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        found.map(row).transpose()
    }

    /// The projects of this name, of an account or, with `None`, of all.
    pub async fn projects_named(&self, name: &str, account_id: Option<&str>) -> Result<Vec<ProjectRow>, Error> {
        let sql = format!("{PROJECTS} WHERE name = $1 AND (account_id = $2 OR $2 = '') ORDER BY created_at, id");
        let rows: Vec<Columns> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(name).bind(account_id.unwrap_or("")).fetch_all(&self.pool).await?;
        rows.into_iter().map(row).collect()
    }

    /// Projects of an account, or with `None` of all, oldest first: `limit` at most, those behind `after`.
    pub async fn project_page(
        &self,
        account_id: Option<&str>,
        after: Option<&ProjectRow>,
        limit: i64,
    ) -> Result<Vec<ProjectRow>, Error> {
        let sql = format!(
            "{PROJECTS}
             WHERE (account_id = $1 OR $1 = '') AND (created_at > $2 OR (created_at = $2 AND id > $3))
             ORDER BY created_at, id LIMIT $4"
        );
        let rows: Vec<Columns> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(account_id.unwrap_or(""))
            .bind(after.map_or(i64::MIN, |project| project.created_at))
            .bind(after.map_or("", |project| &project.id))
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(row).collect()
    }

    /// Writes a project's terms and whether its keys work, if nobody changed it since `project` was read.
    pub async fn project_update(&self, project: &ProjectRow) -> Result<bool, Error> {
        let done = sqlx::query(
            "UPDATE projects SET rules = $3, disabled_at = $4, version = version + 1 WHERE id = $1 AND version = $2",
        )
        .bind(&project.id)
        .bind(project.version)
        .bind(json::write(&project.terms))
        .bind(project.disabled_at)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
