//! `GET …/models` and `GET …/models/{id}`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use qwenda_types::models::{Model, ModelList};

use super::{error::Failure, extract::Authorized};
use crate::{
    app::App,
    service::{self, models::Task},
};

pub(super) async fn list(State(app): State<Arc<App>>, _: Authorized) -> Json<ModelList> {
    Json(ModelList::new(service::models::list(&app.config, &app.backend.models())))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _: Authorized,
    Path(id): Path<String>,
) -> Result<Json<Model>, Failure> {
    let named = service::models::find(&app, &id, Task::Tokenize)?;
    Ok(Json(Model::new(named.asked, named.card.created, named.card.owned_by)))
}
