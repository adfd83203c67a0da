//! `GET …/models` and `GET …/models/{id}`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use qwenda_backend::ModelCard;
use qwenda_types::models::{Model, ModelList};

use super::{error::Failure, extract::Authorized};
use crate::{app::App, service};

pub(super) async fn list(State(app): State<Arc<App>>, _: Authorized) -> Json<ModelList> {
    Json(ModelList::new(app.backend.models().into_iter().map(model).collect()))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    _: Authorized,
    Path(id): Path<String>,
) -> Result<Json<Model>, Failure> {
    Ok(Json(model(service::models::find(app.backend.models(), &id)?)))
}

fn model(card: ModelCard) -> Model {
    Model::new(card.id, card.created, card.owned_by)
}
