//! `POST /api/v1/tokens`: temporary keys.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde_json::{Value, json};

use super::{
    super::{error::Failure, extract::Authorized},
    asked,
};
use crate::{app::App, service};

pub(in crate::http) async fn create(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let query = asked(query)?;
    let seconds = query.iter().find(|(name, _)| name == "expire_in_seconds").map(|(_, value)| value.as_str());
    let made = service::temporary::make(&app, &ask, seconds)?;
    Ok(Json(json!({"token": made.key.reveal(), "expires_at": made.expires_at})))
}
