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
use crate::{
    app::App,
    service::temporary::{self, Wanted},
};

pub(in crate::http) async fn create(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let query = asked(query)?;
    let value = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let wanted = Wanted { seconds: value("expire_in_seconds"), models: value("models"), networks: value("networks") };
    let made = temporary::make(&app, &ask, wanted)?;
    Ok(Json(json!({"token": made.key.reveal(), "expires_at": made.expires_at})))
}
