//! A chat in the native dialect: what its options and its paths decide, and then as any chat.

use std::sync::Arc;

use qwenda_types::{
    chat::{ChatRequest, Strictness},
    dashscope::{Endpoint, Form, NativeOptions},
    error::{ApiError, Code},
};

use super::{
    admit::Ask,
    answer::Answer,
    chat,
    models::{self, Named, Task, URL_ERROR},
    support,
};
use crate::app::App;

/// A native answer that has begun, and how it is to be written.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) answer: Answer,
    pub(crate) form: Form,
    pub(crate) choices: u32,
}

/// Checks and admits a request and hands it to the backend.
pub(crate) async fn start(
    app: &Arc<App>,
    ask: &Ask,
    request: ChatRequest,
    options: NativeOptions,
    endpoint: Endpoint,
) -> Result<Generation, ApiError> {
    let named = models::find(app, &request.model, Task::Chat)?;
    right_path(ask, &named, endpoint)?;
    let form = options.form(&request, endpoint, support::thinks_by_name(&request, &named))?;
    let choices = request.choices();
    let mut answer = chat::start_as(app, ask, &named, request).await?;
    let unknown = [options.input, options.parameters, options.rest];
    let unknown = unknown.into_iter().flatten().filter(|(_, value)| !value.is_null());
    answer.ignored.extend(unknown.map(|(name, _)| name));
    Ok(Generation { answer, form, choices })
}

/// The cloud answers each of its models at one of the two paths only. Models here answer at both.
fn right_path(ask: &Ask, named: &Named, endpoint: Endpoint) -> Result<(), ApiError> {
    match named.cloud_chat() {
        Some(cloud) if cloud.endpoint != endpoint && ask.strictness != Strictness::OpenAi => {
            Err(ApiError::of(Code::InvalidParameter).say(URL_ERROR))
        }
        _ => Ok(()),
    }
}
