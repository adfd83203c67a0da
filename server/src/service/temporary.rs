//! Making temporary keys.

use qwenda_ledger::key::{
    SECRET_BYTES, Secret,
    temporary::{Statement, TEMPORARY_NONCE_BYTES, TEMPORARY_SECONDS, TEMPORARY_SECONDS_DEFAULT, TemporaryKey},
};
use qwenda_types::error::{ApiError, Code, Invalid};

use super::admit::{Ask, Doorkeeper};
use crate::app::App;

/// A temporary key and the Unix second at which it ends.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) key: TemporaryKey,
    pub(crate) expires_at: u64,
}

/// Makes a key that stands for the caller's own for so many seconds, as written.
pub(crate) fn make(app: &App, ask: &Ask, seconds: Option<&str>) -> Result<Made, ApiError> {
    let seconds = match seconds {
        None => TEMPORARY_SECONDS_DEFAULT,
        Some(text) => text.parse().ok().filter(|seconds| TEMPORARY_SECONDS.contains(seconds)).ok_or_else(|| {
            let (least, most) = (TEMPORARY_SECONDS.start(), TEMPORARY_SECONDS.end());
            Invalid::parameter("expire_in_seconds", format!("Range of expire_in_seconds should be [{least}, {most}]"))
        })?,
    };
    if ask.caller.temporary {
        let message = "Access denied. A temporary key cannot make another; use the key it was made from.";
        return Err(ApiError::of(Code::AccessDenied).say(message));
    }
    let expires_at = app.clock.now_seconds().saturating_add(seconds);
    let says = Statement { key_id: ask.caller.key_id.clone().unwrap_or_default(), expires_at };
    let nonce: [u8; TEMPORARY_NONCE_BYTES] = random()?;
    let key = match &app.doorkeeper {
        Doorkeeper::Keys { secret, .. } => TemporaryKey::seal(&says, nonce, secret),
        // Nobody looks at keys here, so any secret will do.
        Doorkeeper::Open => TemporaryKey::seal(&says, nonce, &Secret::new(random::<SECRET_BYTES>()?)),
    };
    Ok(Made { key, expires_at })
}

fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| ApiError::of(Code::Internal).log(error))?;
    Ok(bytes)
}
