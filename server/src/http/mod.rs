//! Every route on one screen.

mod admin;
mod body;
mod chat;
mod coding;
mod completions;
mod cors;
mod crowd;
mod dashscope;
mod docs;
mod embeddings;
mod error;
mod extract;
mod health;
mod ignored;
mod language;
mod metrics;
mod models;
mod openapi;
mod replay;
mod rerank;
mod stream;
mod written;

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    http::Method,
    middleware::{from_fn, from_fn_with_state},
    routing::{self, MethodFilter, MethodRouter},
};
use tower_http::compression::{
    CompressionLayer, Predicate,
    predicate::{NotForContentType, SizeAbove},
};

use crate::app::App;

pub(crate) use {body::hold, crowd::Crowded, extract::Peer, replay::Replays};

/// Below this path the native dialect is spoken, also of errors.
const NATIVE: &str = "/api/v1";
/// Below this path administrators call, and nobody else.
const ADMIN: &str = "/admin/v1";
/// Below this path programs written for OpenAI call.
const OPENAI: &str = "/v1/";
/// Where an answer is given up that could be picked up again.
const REPLAY: &str = "/replay";
// Below this a coding saves no packet.
const COMPRESSED_BYTES_MIN: u16 = 1024;

/// Every route. Paths are the router's own; the OpenAPI document has the same ones (a test holds this).
fn table() -> Vec<Route> {
    let compatible = |prefix: &str| {
        vec![
            post(prefix, "/chat/completions", chat::create).kept(),
            post(prefix, "/completions", completions::create).kept(),
            post(prefix, "/embeddings", embeddings::create).kept(),
            post(prefix, "/reranks", rerank::create).kept(),
            post(prefix, "/rerank", rerank::create).kept(),
            delete(prefix, REPLAY, replay::give_up),
            get(prefix, "/models", models::list),
            get(prefix, "/models/{*id}", models::show),
        ]
    };
    let native = vec![
        post(NATIVE, "/services/aigc/text-generation/generation", dashscope::generation::text).kept(),
        post(NATIVE, "/services/aigc/multimodal-generation/generation", dashscope::generation::multimodal).kept(),
        post(NATIVE, "/services/embeddings/text-embedding/text-embedding", dashscope::embeddings::create).kept(),
        post(NATIVE, "/services/rerank/text-rerank/text-rerank", dashscope::rerank::create).kept(),
        post(NATIVE, "/tokenizer", dashscope::tokenizer::create),
        post(NATIVE, "/tokens", dashscope::tokens::create),
        delete(NATIVE, REPLAY, replay::give_up),
        get(NATIVE, "/models", dashscope::models::list),
    ];
    let admin = vec![
        post(ADMIN, "/accounts", admin::accounts::create),
        get(ADMIN, "/accounts", admin::accounts::list),
        get(ADMIN, "/accounts/{account}", admin::accounts::show),
        patch(ADMIN, "/accounts/{account}", admin::accounts::change),
        post(ADMIN, "/accounts/{account}/topups", admin::accounts::top_up),
        post(ADMIN, "/accounts/{account}/grants", admin::accounts::grant),
        get(ADMIN, "/accounts/{account}/statement", admin::statement::show),
        post(ADMIN, "/projects", admin::projects::create),
        get(ADMIN, "/projects", admin::projects::list),
        get(ADMIN, "/projects/{project}", admin::projects::show),
        patch(ADMIN, "/projects/{project}", admin::projects::change),
        post(ADMIN, "/keys", admin::keys::create),
        get(ADMIN, "/keys", admin::keys::list),
        get(ADMIN, "/keys/{key}", admin::keys::show),
        patch(ADMIN, "/keys/{key}", admin::keys::change),
        post(ADMIN, "/keys/{key}/disable", admin::keys::disable),
        post(ADMIN, "/keys/{key}/rotate", admin::keys::rotate),
        get(ADMIN, "/prices", admin::prices::list),
        post(ADMIN, "/prices", admin::prices::set),
        get(ADMIN, "/usage", admin::usage::show),
        get(ADMIN, "/requests", admin::usage::requests),
        get(ADMIN, "/requests/{request}/content", admin::usage::content),
        get(ADMIN, "/margin", admin::usage::margin),
    ];
    let others = vec![
        post("/compatible-api/v1", "/reranks", rerank::create).kept(),
        get("", "/healthz", health::alive),
        get("", "/readyz", health::ready),
        get("", "/metrics", metrics::show),
        get("", "/openapi.json", openapi::show),
        get("", "/docs", docs::api),
        get("", "/docs/errors", docs::error_page),
        get("", "/docs/errors.json", docs::error_list),
    ];
    [compatible("/v1"), compatible("/compatible-mode/v1"), native, admin, others].concat()
}

pub(crate) fn routes(app: Arc<App>) -> Router {
    let (kept, plain): (Vec<_>, Vec<_>) = table().into_iter().partition(|route| route.kept);
    let add = |router: Router<Arc<App>>, route: Route| router.route(&route.path, route.handler);
    let kept = kept.into_iter().fold(Router::new(), add);
    let kept = kept.route_layer(from_fn_with_state(app.clone(), replay::around));
    plain
        .into_iter()
        .fold(kept, add)
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

/// A line of the table.
#[derive(Clone)]
struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "tests compare the table with the OpenAPI document"))]
    method: Method,
    path: String,
    handler: MethodRouter<Arc<App>>,
    /// Whether its answer can be picked up again; the others are cheap, or a secret.
    kept: bool,
}

impl Route {
    fn kept(self) -> Self {
        Self { kept: true, ..self }
    }
}

fn get<T: 'static>(prefix: &str, path: &str, handler: impl Handler<T, Arc<App>>) -> Route {
    route(Method::GET, format!("{prefix}{path}"), handler)
}

fn post<T: 'static>(prefix: &str, path: &str, handler: impl Handler<T, Arc<App>>) -> Route {
    route(Method::POST, format!("{prefix}{path}"), handler)
}

fn patch<T: 'static>(prefix: &str, path: &str, handler: impl Handler<T, Arc<App>>) -> Route {
    route(Method::PATCH, format!("{prefix}{path}"), handler)
}

fn delete<T: 'static>(prefix: &str, path: &str, handler: impl Handler<T, Arc<App>>) -> Route {
    route(Method::DELETE, format!("{prefix}{path}"), handler)
}

fn route<T: 'static>(method: Method, path: String, handler: impl Handler<T, Arc<App>>) -> Route {
    let filter = MethodFilter::try_from(method.clone()).expect("a verb of HTTP");
    Route { method, path, handler: routing::on(filter, handler), kept: false }
}
