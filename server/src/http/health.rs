//! `GET /healthz` (the process lives) and `GET /readyz` (a chat would be answered now).

use std::sync::Arc;

use axum::{Json, extract::State};
use qwenda_types::error::{ApiError, Code};
use serde_json::{Value, json};

use super::error::Failure;
use crate::{app::App, tasks::Phase};

pub(super) async fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Failure> {
    if app.stop.phase() >= Phase::Draining {
        return Err(ApiError::of(Code::Stopped).into());
    }
    if !app.backend.ready() {
        return Err(ApiError::of(Code::ModelUnavailable).into());
    }
    Ok(Json(json!({"status": "ready"})))
}
