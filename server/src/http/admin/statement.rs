//! What an account used and pays in a time.

use std::collections::HashMap;

use axum::{
    Json,
    body::Body,
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use qwenda_ledger::policy::Action;
use qwenda_store::usage::Wanted;
use serde_json::json;

use super::{
    super::error::Failure,
    call::Call,
    failure::{internal, of_accounts},
    form::wrong,
    period::Period,
};
use crate::{
    accounts::{AccountRow, AccountsError},
    service::admin::Admin,
    statement::{self, StatementError},
};

/// Requests that are read at once.
const READ: i64 = 1_000;

pub(in crate::http) async fn show(Path(which): Path<String>, call: Call) -> Result<Response, Failure> {
    call.must(Action::ReadBills)?;
    let mut form = call.query()?;
    let period = Period::of_days(&mut form)?.bounded()?;
    let csv = match form.text("format")?.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(wrong("format", "it must be json or csv").into()),
    };
    form.end()?;
    let accounts = call.admin.accounts();
    let account = accounts.find(&which).await.map_err(of_accounts)?;
    if csv {
        return Ok(rows(call.admin, account, period));
    }
    let sums = statement::sums(&accounts, &account, period.from, period.until).await.map_err(|error| match error {
        StatementError::Accounts(error) => of_accounts(error),
        error => internal(format!("{error}; `qwenda audit` says more")),
    })?;
    let total = sums.total().ok_or_else(|| internal("the sum of all charges is too great"))?;
    let requests = sums.0.values().fold(0_u64, |sum, of| sum.saturating_add(of.requests));
    Ok(Json(json!({
        "account": account.id,
        "name": account.name,
        "currency": account.currency.as_str(),
        "from": period.from,
        "until": period.until,
        "requests": requests,
        "models": sums.records(),
        "total": total.to_string(),
    }))
    .into_response())
}

/// Where a CSV that is being sent has come to.
struct Rows {
    admin: Admin,
    account: AccountRow,
    wanted: Wanted,
    names: HashMap<String, String>,
    begun: bool,
}

/// A row for each request, read while they are sent. A database that fails meanwhile breaks the answer off.
fn rows(admin: Admin, account: AccountRow, period: Period) -> Response {
    let Period { from, until } = period;
    let wanted = Wanted { account_id: Some(account.id.clone()), from, until, limit: READ, ..Wanted::default() };
    let rows = Rows { admin, account, wanted, names: HashMap::new(), begun: false };
    let body = Body::from_stream(stream::try_unfold(rows, |mut rows| async move {
        let text = rows.next().await.inspect_err(|error| tracing::error!(%error, "a statement breaks off"))?;
        Ok::<_, AccountsError>((!text.is_empty()).then_some((text, rows)))
    }));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"statement.csv\""));
    response
}

impl Rows {
    /// The next rows; an empty text where there are none.
    async fn next(&mut self) -> Result<String, AccountsError> {
        if !std::mem::replace(&mut self.begun, true) {
            return Ok(statement::csv_heading());
        }
        let page = self.admin.accounts().requests(&self.wanted).await?;
        let Some(last) = page.last() else { return Ok(String::new()) };
        self.wanted.after = Some((last.line.at, last.line.id.clone()));
        let mut text = String::new();
        for request in &page {
            let id = &request.line.key_id;
            if !self.names.contains_key(id) {
                let found = self.admin.store.key_by_id(id).await?;
                self.names.insert(id.clone(), found.map(|key| key.name).unwrap_or_default());
            }
            let name = self.names.get(id).map_or("", String::as_str);
            text += &statement::csv_row(request, &self.account, name);
        }
        Ok(text)
    }
}
