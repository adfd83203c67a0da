//! `POST /api/v1/services/rerank/text-rerank/text-rerank`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use qwenda_types::dashscope::rerank::{self, NativeRanking};

use super::{
    super::{
        error::Failure,
        extract::{Authorized, Fields},
        ignored,
    },
    Synchronous,
};
use crate::{app::App, service};

pub(in crate::http) async fn create(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    _: Synchronous,
    Fields(fields): Fields,
) -> Result<Response, Failure> {
    let request = rerank::from_map(fields)?;
    let made = service::rerank::ranking(&app, &ask, request).await?;
    let header = ignored::header(&made.ignored);
    let response = NativeRanking::new(made.results, made.tokens, ask.request_id);
    Ok(ignored::tell(Json(response).into_response(), header))
}
