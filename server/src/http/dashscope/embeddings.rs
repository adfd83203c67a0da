//! `POST /api/v1/services/embeddings/text-embedding/text-embedding`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use qwenda_types::dashscope::embeddings::{self, NativeEmbeddings};

use super::{
    super::{
        error::Failure,
        extract::{Authorized, Fields},
        ignored, written,
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
    let request = embeddings::from_map(fields)?;
    let made = service::embed::vectors(&app, &ask, request).await?;
    let header = ignored::header(&made.ignored);
    let response = written::json(move || NativeEmbeddings::new(made.vectors, made.tokens, ask.request_id));
    Ok(ignored::tell(response.await?, header))
}
