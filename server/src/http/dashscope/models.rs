//! `GET /api/v1/models`: the models that answer here, page by page.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use qwenda_types::dashscope::models::NativeModelList;

use super::{
    super::{error::Failure, extract::Authorized},
    asked,
};
use crate::{
    app::App,
    service::{self, catalogue::Filter},
};

pub(in crate::http) async fn list(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<NativeModelList>, Failure> {
    let filter = Filter::of(&asked(query)?)?;
    let models = service::catalogue::models(&app.config, &app.backend.models(), &filter);
    Ok(Json(NativeModelList::page(models, filter.page_no, filter.page_size, ask.request_id)))
}
