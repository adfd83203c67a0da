//! Tokens of a text or a conversation, without answering it: free, so nothing is metered.

use std::sync::Arc;

use qwenda_backend::{TokenizeCall, TokenizeInput, Tokenized};
use qwenda_types::{completions::Prompt, dashscope::tokenizer::TokenizerRequest, error::ApiError};

use super::{
    admit::Ask,
    answer::refusal,
    chat::running,
    models::{self, Task},
};
use crate::app::App;

pub(crate) async fn tokens(app: &Arc<App>, ask: &Ask, request: TokenizerRequest) -> Result<Tokenized, ApiError> {
    let named = models::find(app, request.model(), Task::Tokenize)?;
    let model = named.card.id;
    let input = match request {
        TokenizerRequest::Prompt { text, .. } => TokenizeInput::Prompt(Prompt::Text(text)),
        TokenizerRequest::Chat(mut request) => {
            request.model.clone_from(&model);
            TokenizeInput::Chat(request)
        }
    };
    running(app)?;
    let call = TokenizeCall { model, input };
    app.backend.tokenize(call).await.map_err(|error| refusal(error, &ask.request_id))
}
