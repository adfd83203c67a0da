//! What an upstream's refusal is to our caller, and to our operator.
//!
//! A mistake of the caller is handed on as the upstream words it. That the upstream does not know us, or
//! that our account with it is empty, is nobody's business but the operator's: the caller reads that the
//! service behind failed, the log says why. No message of an upstream is logged: it may quote a prompt.

use qwenda_types::error::{ApiError, Code};
use serde_json::{Map, Value};

use super::config::Secret;
use crate::BackendError;

/// Longest name of an error that the log repeats.
const NAME_CHARS_MAX: usize = 60;
const NOT_ADMITTED: &str =
    "The service behind this model does not admit this server. Its operator has to put that right.";

/// Why one attempt brought no answer.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: Box<ApiError>,
    /// Whether the same request may be answered now or soon.
    pub(super) again: bool,
}

impl From<Fault> for BackendError {
    fn from(fault: Fault) -> Self {
        // What is wrong behind us, or with its address, is for the operator to see; what a caller did is not.
        if matches!(fault.error.status(), 404 | 500..) {
            tracing::warn!(why = fault.error.logged().unwrap_or_default(), "an upstream does not answer");
        }
        Self::Refused(fault.error)
    }
}

impl Fault {
    /// The upstream cannot be reached, or hung up.
    pub(super) fn unreachable(why: impl std::fmt::Display) -> Self {
        Self { error: Box::new(ApiError::of(Code::ServiceUnavailable).log(why)), again: true }
    }

    /// The upstream kept us waiting. It would do so again.
    pub(super) fn timeout(why: impl std::fmt::Display) -> Self {
        Self { error: Box::new(ApiError::of(Code::GatewayTimeout).log(why)), again: false }
    }

    /// The upstream's answer ended too soon.
    pub(super) fn cut(why: impl std::fmt::Display) -> Self {
        Self { error: Box::new(ApiError::of(Code::BadGateway).log(why)), again: true }
    }

    /// The upstream answered what is no answer. It would do so again.
    pub(super) fn malformed(why: impl std::fmt::Display) -> Self {
        Self { error: Box::new(ApiError::of(Code::BadGateway).log(why)), again: false }
    }
}

/// Who refused, and what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused<'a> {
    /// The upstream's name.
    pub(super) upstream: &'a str,
    /// Our name of the model.
    pub(super) model: &'a str,
    /// What no text may have in it.
    pub(super) key: Option<&'a Secret>,
}

impl Refused<'_> {
    /// The refusal in a response of this status.
    pub(super) fn with_status(self, status: u16, body: &[u8], retry_after_ms: Option<u64>) -> Fault {
        let mut fault = self.judge(status, ApiError::read(status, body));
        if let Some(ms) = retry_after_ms.filter(|_| fault.error.is_retryable()) {
            *fault.error = fault.error.retry_after_ms(ms);
        }
        fault
    }

    /// The refusal in an event of a stream. Its status may stand in the event or in the error itself.
    pub(super) fn in_stream(self, status: Option<u16>, map: &Map<String, Value>) -> Fault {
        let inner = map.get("error").and_then(Value::as_object).unwrap_or(map);
        let numbers = ["code", "status", "status_code"].into_iter().filter_map(|field| inner.get(field)?.as_u64());
        let told = numbers.filter_map(|number| u16::try_from(number).ok()).find(|status| (400..600).contains(status));
        // A name says which status belongs to it.
        let named = || Some(ApiError::read_map(500, map).status());
        let status = status.filter(|status| *status >= 400).or(told).or_else(named).unwrap_or(500);
        self.judge(status, ApiError::read_map(status, map))
    }

    fn judge(self, status: u16, error: ApiError) -> Fault {
        let name: String = error.name_in(qwenda_types::Dialect::Compat).chars().take(NAME_CHARS_MAX).collect();
        let why = format!("upstream `{}` answers {status} {name}", self.upstream);
        if [401, 402, 403, 407].contains(&status) || is_operators(error.code()) {
            let why = format!("{why}: see our key and our account there");
            return Fault::malformed(why).saying(NOT_ADMITTED);
        }
        match status {
            404 => Fault { error: Box::new(self.no_model().log(why)), again: false },
            // The name says what is wrong, whatever the status.
            400..500 if error.status() == 404 => Fault { error: Box::new(self.no_model().log(why)), again: false },
            408 | 504 => Fault::timeout(why),
            429 => {
                let error = if error.status() == 429 { error } else { self.renamed(Code::Throttled, &error) };
                let again = error.is_retryable();
                Fault { error: Box::new(self.scrubbed(error).log(why)), again }
            }
            400..500 => {
                let error = if error.status() < 500 { error } else { self.renamed(Code::InvalidParameter, &error) };
                Fault { error: Box::new(self.scrubbed(error).log(why)), again: false }
            }
            501 => Fault { error: Box::new(ApiError::of(Code::ModelNotSupported).log(why)), again: false },
            500..600 => Fault::unreachable(why),
            _ => Fault::malformed(why),
        }
    }

    /// The same words under a code whose status fits.
    fn renamed(self, code: Code, error: &ApiError) -> ApiError {
        ApiError::of(code).say(error.message())
    }

    /// Whoever asked knows the model by our name, not by the upstream's.
    fn no_model(self) -> ApiError {
        ApiError::of(Code::ModelNotFound)
            .say(format!("The model `{}` does not exist at the service behind this one.", self.model))
    }

    /// Some services repeat the key they do not like.
    fn scrubbed(self, error: ApiError) -> ApiError {
        let Some(key) = self.key else { return error };
        let said = error.message();
        if said.contains(key.reveal()) { error.say(said.replace(key.reveal(), "***")) } else { error }
    }
}

impl Fault {
    fn saying(mut self, message: &str) -> Self {
        *self.error = self.error.say(message);
        self
    }
}

/// Whether this is about the account or the key that the operator has with the upstream.
fn is_operators(code: Code) -> bool {
    matches!(
        code,
        Code::Arrearage
            | Code::InvalidApiKey
            | Code::NotAuthorized
            | Code::AccessDenied
            | Code::Unpurchased
            | Code::ModelAccessDenied
            | Code::AppAccessDenied
            | Code::WorkspaceAccessDenied
            | Code::EndpointAccessDenied
            | Code::FreeTierOnly
            | Code::FreeQuota
            | Code::CommodityNotPurchased
            | Code::PrepaidBillOverdue
            | Code::PostpaidBillOverdue
    )
}

#[cfg(test)]
mod tests;
