//! `POST /api/v1/tokenizer`.

use std::sync::Arc;

use axum::{Json, extract::State};
use qwenda_types::dashscope::tokenizer::{TokenizerRequest, TokenizerResponse};

use super::{
    super::{
        error::Failure,
        extract::{Authorized, Fields},
    },
    Synchronous,
};
use crate::{app::App, service};

pub(in crate::http) async fn create(
    State(app): State<Arc<App>>,
    Authorized(ask): Authorized,
    _: Synchronous,
    Fields(fields): Fields,
) -> Result<Json<TokenizerResponse>, Failure> {
    let request = TokenizerRequest::from_map(fields)?;
    let made = service::tokenize::tokens(&app, &ask, request).await?;
    Ok(Json(TokenizerResponse::new(made.ids, made.tokens, ask.request_id)))
}
