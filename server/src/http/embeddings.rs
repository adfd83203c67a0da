//! `POST …/embeddings`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use qwenda_types::embeddings::{EmbeddingRequest, EmbeddingResponse};

use super::{
    error::Failure,
    extract::{Authorized, Fields},
    ignored, written,
};
use crate::{app::App, service};

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    Fields(fields): Fields,
) -> Result<Response, Failure> {
    let request = EmbeddingRequest::from_map(fields)?;
    let format = request.encoding_format;
    let made = service::embed::vectors(&app, &ask, request).await?;
    let header = ignored::header(&made.ignored);
    let response =
        written::json(move || EmbeddingResponse::new(made.vectors, format, &made.model, made.tokens, &ask.request_id));
    Ok(ignored::tell(response.await?, header))
}
