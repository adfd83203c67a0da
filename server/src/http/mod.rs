//! Every route on one screen.

mod body;
mod chat;
mod coding;
mod completions;
mod cors;
mod crowd;
mod dashscope;
mod embeddings;
mod error;
mod extract;
mod health;
mod ignored;
mod models;
mod replay;
mod rerank;
mod stream;
mod written;

use std::sync::Arc;

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
use tower_http::compression::{
    CompressionLayer, Predicate,
    predicate::{NotForContentType, SizeAbove},
};

use crate::app::App;

pub(crate) use {body::hold, crowd::Crowded, replay::Replays};

/// Below this path the native dialect is spoken, also of errors.
const NATIVE: &str = "/api/v1";
/// Below this path programs written for OpenAI call.
const OPENAI: &str = "/v1/";
// Below this a coding saves no packet.
const COMPRESSED_BYTES_MIN: u16 = 1024;

pub(crate) fn routes(app: Arc<App>) -> Router {
    let compatible = || {
        Router::new()
            .route("/chat/completions", post(chat::create))
            .route("/completions", post(completions::create))
            .route("/embeddings", post(embeddings::create))
            .route("/reranks", post(rerank::create))
            .route("/rerank", post(rerank::create))
            .route("/models", get(models::list))
            .route("/models/{*id}", get(models::show))
    };
    Router::new()
        .nest("/v1", compatible())
        .nest("/compatible-mode/v1", compatible())
        .route("/compatible-api/v1/reranks", post(rerank::create))
        .route("/api/v1/services/aigc/text-generation/generation", post(dashscope::generation::text))
        .route("/api/v1/services/aigc/multimodal-generation/generation", post(dashscope::generation::multimodal))
        .route("/api/v1/services/embeddings/text-embedding/text-embedding", post(dashscope::embeddings::create))
        .route("/api/v1/services/rerank/text-rerank/text-rerank", post(dashscope::rerank::create))
        // Answers of the routes above can be picked up again; those below are cheap, or a secret.
        .route_layer(from_fn_with_state(app.clone(), replay::around))
        .route("/api/v1/tokenizer", post(dashscope::tokenizer::create))
        .route("/api/v1/tokens", post(dashscope::tokens::create))
        .route("/api/v1/models", get(dashscope::models::list))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        // From the inside out: an answer passes these in this order.
        .layer(
            CompressionLayer::new().compress_when(
                SizeAbove::new(COMPRESSED_BYTES_MIN).and(NotForContentType::const_new("text/event-stream")),
            ),
        )
        .layer(from_fn_with_state(app.clone(), crowd::admit))
        .layer(from_fn(error::around))
        .layer(from_fn_with_state(app.clone(), cors::around))
        .with_state(app)
}
