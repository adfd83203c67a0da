//! Texts that are read and not answered: the engine's probe, awaited.

use qwenda_engine::{Error, Probe, ProbeReply};
use tokio::sync::oneshot;

use super::Loaded;
use crate::{BackendError, Whose};

/// What the model makes of each text. Dropping the future ends the work at the engine's next step.
///
/// However many texts there are, they take one place in the queue and go through a few places of the
/// engine one after the other, each behind everyone else's requests.
pub(super) async fn probe(
    model: &Loaded,
    texts: Vec<Vec<u32>>,
    want: Probe,
    whose: &Whose,
) -> Result<Vec<Vec<f32>>, BackendError> {
    let (sender, outcome) = oneshot::channel();
    model
        .engine
        .probe(texts, want, model.owner(whose), Box::new(Reply(sender)))
        .map_err(|error| model.refusal(error))?;
    match outcome.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(BackendError::Internal(error.to_string())),
        Err(_) => Err(BackendError::Internal("the engine has left texts unread".to_owned())),
    }
}

/// Carries the outcome from the engine's thread to the future.
struct Reply(oneshot::Sender<Result<Vec<Vec<f32>>, Error>>);

impl ProbeReply for Reply {
    fn done(self: Box<Self>, outcome: Result<Vec<Vec<f32>>, Error>) {
        // Nobody takes it when the caller has just left.
        let _ = self.0.send(outcome);
    }

    fn gone(&self) -> bool {
        self.0.is_closed()
    }
}

/// What stands between a text and the answer to it, where the model decides what the text is to it.
/// A model that could reason first is told that it has.
pub(super) fn answer_begins(thinks: bool) -> String {
    let reasoned = if thinks { "<think>\n\n</think>\n\n" } else { "" };
    format!("<|im_end|>\n<|im_start|>assistant\n{reasoned}")
}
