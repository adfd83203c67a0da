//! `/admin/v1`: accounts, keys and what they cost, for administrators only.
//!
//! Each handler says which action it is; the role of who calls decides. `call` is who calls, `form` reads
//! fields, `failure` says what went wrong in the protocol's shape.

pub(super) mod accounts;
mod call;
mod failure;
mod form;
pub(super) mod keys;
mod period;
pub(super) mod prices;
pub(super) mod projects;
pub(super) mod statement;
mod terms;
pub(super) mod usage;

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use qwenda_types::error::ApiError;
use serde_json::{Value, json};

use self::form::Form;

/// Most rows of a page.
const PAGE_MAX: i64 = 1_000;
/// Rows of a page where nothing is said.
const PAGE_DEFAULT: i64 = 100;

/// A record with the version by which it may be changed.
fn versioned(record: Value, version: i64) -> Response {
    let mut response = Json(record).into_response();
    let tag = HeaderValue::try_from(format!("\"{version}\"")).expect("digits between quotes");
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// Where a page begins, and how long it is.
struct Page {
    after: Option<String>,
    limit: i64,
}

impl Page {
    fn of(form: &mut Form) -> Result<Self, ApiError> {
        let after = form.text("after")?;
        Ok(Self { after, limit: form.whole("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_DEFAULT) })
    }

    /// One more than is shown, to know whether there are more.
    fn wanted(&self) -> i64 {
        self.limit + 1
    }

    /// The page of these records; the last one's id is where the next page begins.
    fn show(&self, mut records: Vec<Value>) -> Json<Value> {
        let shown = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = records.len() > shown;
        records.truncate(shown);
        let last_id = records.last().map(|record| record["id"].clone()).unwrap_or_default();
        Json(json!({"data": records, "has_more": has_more, "last_id": last_id}))
    }
}
