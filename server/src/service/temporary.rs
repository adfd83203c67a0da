//! Making temporary keys.

use qwenda_ledger::key::{
    SECRET_BYTES, Secret,
    temporary::{
        GIVEN_BYTES_MAX, Statement, TEMPORARY_NONCE_BYTES, TEMPORARY_SECONDS, TEMPORARY_SECONDS_DEFAULT, TemporaryKey,
    },
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

/// What a temporary key is asked to be, as written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) seconds: Option<&'a str>,
    /// Models and networks, with commas between them.
    pub(crate) models: Option<&'a str>,
    pub(crate) networks: Option<&'a str>,
}

/// Makes a key that stands for the caller's own, and may do no more than that.
pub(crate) fn make(app: &App, ask: &Ask, wanted: Wanted<'_>) -> Result<Made, ApiError> {
    let seconds = match wanted.seconds {
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
    let says = Statement {
        key_id: ask.caller.key_id.clone().unwrap_or_default(),
        expires_at,
        models: listed(wanted.models),
        networks: listed(wanted.networks),
    };
    says.terms().rules().map_err(|error| Invalid::parameter(error.field, format!("{error}.")))?;
    if !says.fits() {
        let why = format!("models and networks must have less than {GIVEN_BYTES_MAX} bytes together.");
        return Err(Invalid::parameter("models", why).into());
    }
    let nonce: [u8; TEMPORARY_NONCE_BYTES] = random()?;
    let key = match &app.doorkeeper {
        Doorkeeper::Keys { secret, .. } => TemporaryKey::seal(&says, nonce, secret),
        // Nobody looks at keys here, so any secret will do.
        Doorkeeper::Open => TemporaryKey::seal(&says, nonce, &Secret::new(random::<SECRET_BYTES>()?)),
    };
    Ok(Made { key, expires_at })
}

fn listed(text: Option<&str>) -> Vec<String> {
    text.map(|text| text.split(',').map(|one| one.trim().to_owned()).collect()).unwrap_or_default()
}

fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| ApiError::of(Code::Internal).log(error))?;
    Ok(bytes)
}
