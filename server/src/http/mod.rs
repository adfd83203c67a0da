//! Every route on one screen.

mod body;
mod chat;
mod error;
mod extract;
mod health;
mod models;
mod sse;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use crate::app::App;

pub(crate) fn routes(app: Arc<App>) -> Router {
    let compatible = || {
        Router::new()
            .route("/chat/completions", post(chat::create))
            .route("/models", get(models::list))
            .route("/models/{*id}", get(models::show))
    };
    Router::new()
        .nest("/v1", compatible())
        .nest("/compatible-mode/v1", compatible())
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn(error::around))
        .with_state(app)
}
