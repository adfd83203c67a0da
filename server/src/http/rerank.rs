//! `POST /compatible-api/v1/reranks`, and where other programs look for it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use qwenda_types::rerank::{RerankRequest, RerankResponse};

use super::{
    error::Failure,
    extract::{Authorized, Fields},
    ignored,
};
use crate::{app::App, service};

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    Fields(fields): Fields,
) -> Result<Response, Failure> {
    let request = RerankRequest::from_map(fields)?;
    let made = service::rerank::ranking(&app, &ask, request).await?;
    let header = ignored::header(&made.ignored);
    let response = RerankResponse::new(made.results, made.model, made.tokens, ask.request_id);
    Ok(ignored::tell(Json(response).into_response(), header))
}
