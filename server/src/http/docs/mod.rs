//! The documentation that the server gives of itself: `GET /docs` and `GET /docs/errors` for people,
//! `GET /docs/errors.json` for programs.
//!
//! Pages are rendered here, whole: no script, and nothing is fetched from anywhere.

mod errors;
mod html;
mod page;
mod reference;
mod schema;

use std::sync::{Arc, OnceLock};

use axum::{extract::State, response::Response};

use self::page::Page;
use super::{language::Language, openapi};
use crate::app::App;

pub(super) async fn api(State(app): State<Arc<App>>, language: Language) -> Response {
    static PAGES: [[OnceLock<Page>; 2]; 3] = [const { [const { OnceLock::new() }; 2] }; 3];
    let strictness = app.config.strictness;
    let cell = &PAGES[openapi::place(strictness)][language.place()];
    cell.get_or_init(|| reference::page(&openapi::document(strictness, language), language)).respond(language)
}

pub(super) async fn error_page(language: Language) -> Response {
    static PAGES: [OnceLock<Page>; 2] = [const { OnceLock::new() }; 2];
    PAGES[language.place()].get_or_init(|| errors::page(language)).respond(language)
}

pub(super) async fn error_list(language: Language) -> Response {
    language.response("application/json", errors::list(language).to_string())
}
