//! From a service's refusal to an [`Error`]: its name decides, then its status.

use std::time::SystemTime;

use qwenda_types::{
    Dialect,
    error::{ApiError, Code},
};
use serde_json::{Map, Value};

use super::{Billed, Error, Kind, Limit, Throttle};
use crate::{Secret, retry, retry::Replay, transport::Response};

/// The refusal in a response whose status is none of success; `body` is as much of it as was read.
pub(crate) fn refusal(response: &Response, body: &[u8], key: Option<&Secret>) -> Error {
    let error = judge(response.status, &ApiError::read(response.status, body), key);
    let asked = retry::asked(response, SystemTime::now());
    let id = response.header("x-request-id").map(str::to_owned).or_else(|| id_in(body));
    error.with(|facts| {
        facts.status = Some(response.status);
        facts.retry_after = asked;
        facts.request_id = id;
        facts.hopeless = response.header("x-should-retry") == Some("false");
    })
}

/// The refusal in an event of a stream. Its status may stand in the event or in the error itself.
pub(crate) fn refused_in_stream(status: Option<u16>, map: &Map<String, Value>, key: Option<&Secret>) -> Error {
    let inner = map.get("error").and_then(Value::as_object).unwrap_or(map);
    let numbers = ["code", "status", "status_code"].into_iter().filter_map(|field| inner.get(field)?.as_u64());
    let told = numbers.filter_map(|number| u16::try_from(number).ok()).find(|status| (400..600).contains(status));
    let named = || Some(ApiError::read_map(500, map).status());
    let status = status.filter(|status| *status >= 400).or(told).or_else(named).unwrap_or(500);
    let error = judge(status, &ApiError::read_map(status, map), key);
    let id = map.get("request_id").or_else(|| inner.get("request_id")).and_then(Value::as_str).map(str::to_owned);
    error.with(|facts| {
        facts.status = Some(status);
        facts.request_id = id;
    })
}

fn judge(status: u16, error: &ApiError, key: Option<&Secret>) -> Error {
    let message = error.message();
    let kind = kind_of(status, error.code(), &message);
    let message = key.map_or_else(|| message.clone(), |key| key.scrub(message.clone()));
    let name = error.name_in(Dialect::Compat).to_owned();
    Error::of(kind).say(message).with(|facts| {
        facts.row = Some(error.code());
        facts.code = Some(key.map_or_else(|| name.clone(), |key| key.scrub(name.clone())));
        if status == 408 {
            // The service never had the whole request.
            (facts.replay, facts.billed) = (Replay::Safe, Billed::No);
        }
        if kind == Kind::Malformed {
            // Whoever answers so is hardly a model.
            facts.billed = Billed::Unknown;
        }
    })
}

fn kind_of(status: u16, code: Code, message: &str) -> Kind {
    use Code::*;
    match code {
        RateLimited | Throttled => Kind::Throttled(Throttle::Requests),
        AllocationQuota => Kind::Throttled(Throttle::Tokens),
        BurstRate => Kind::Throttled(Throttle::Burst),
        Concurrency => Kind::Throttled(Throttle::Concurrency),
        Busy | ServingError | ServiceUnavailable | ModelUnavailable | Stopped => Kind::Throttled(Throttle::Overloaded),
        Arrearage | PrepaidBillOverdue | PostpaidBillOverdue | CommodityNotPurchased | Unpurchased => Kind::Arrears,
        FreeTierOnly | FreeQuota => Kind::FreeTierEnded,
        BudgetLimitExceeded => Kind::BudgetSpent,
        InvalidApiKey | NotAuthorized => Kind::Unauthorized,
        DataInspectionFailed | CustomRoleBlocked | FaqRuleBlocked | IpInfringement => Kind::Moderation,
        Conflict => Kind::Conflict,
        RequestTimeout | TaskTimeout | ResponseTimeout | GatewayTimeout => Kind::Timeout(Limit::Service),
        _ if (400..500).contains(&status) && is_overflow(message) => Kind::ContextOverflow,
        ModelNotFound | ModelNotSupported | WorkspaceNotFound | PathNotFound | ResourceNotExist => Kind::NotFound,
        _ => match status {
            401 => Kind::Unauthorized,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            409 => Kind::Conflict,
            429 => Kind::Throttled(Throttle::Requests),
            503 => Kind::Throttled(Throttle::Overloaded),
            400..500 => Kind::Refused,
            500..600 => Kind::Service,
            _ => Kind::Malformed,
        },
    }
}

/// The sentences of the cloud, of Qwenda, of vLLM and of llama-server.
fn is_overflow(message: &str) -> bool {
    const SENTENCES: [&str; 5] = [
        "range of input length should be",
        "maximum context length",
        "exceeds the available context size",
        "context_length_exceeded",
        "input is too long",
    ];
    let message = message.to_ascii_lowercase();
    SENTENCES.iter().any(|sentence| message.contains(sentence))
}

fn id_in(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get("request_id").or_else(|| value.pointer("/error/request_id"))?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Body;

    fn kind(status: u16, body: &str) -> Kind {
        refusal(&Response::new(status, Vec::new(), Body::whole("")), body.as_bytes(), None).kind()
    }

    #[test]
    fn throttles_are_told_apart_from_each_other_and_from_bills() {
        let compat = |code: &str, message: &str| format!(r#"{{"error":{{"code":"{code}","message":"{message}"}}}}"#);
        let native =
            |code: &str, message: &str| format!(r#"{{"code":"{code}","message":"{message}","request_id":"r"}}"#);
        let tokens = "You exceeded your current quota, please check your plan and billing details.";
        for (status, body, want) in [
            (
                429,
                compat("limit_requests", "You exceeded your current requests list."),
                Kind::Throttled(Throttle::Requests),
            ),
            (429, compat("insufficient_quota", tokens), Kind::Throttled(Throttle::Tokens)),
            (429, compat("limit_burst_rate", "Request rate increased too quickly."), Kind::Throttled(Throttle::Burst)),
            (429, native("Throttling.RateQuota", "x"), Kind::Throttled(Throttle::Requests)),
            (429, native("Throttling.AllocationQuota", "x"), Kind::Throttled(Throttle::Tokens)),
            (429, native("Throttling.BurstRate", "x"), Kind::Throttled(Throttle::Burst)),
            (429, native("Throttling.AllocationQuota", "Free allocated quota exceeded."), Kind::FreeTierEnded),
            (403, native("AllocationQuota.FreeTierOnly", "x"), Kind::FreeTierEnded),
            (400, compat("Arrearage", "Access denied"), Kind::Arrears),
            (429, native("PostpaidBillOverdue", "x"), Kind::Arrears),
            (503, native("ModelServingError", "x"), Kind::Throttled(Throttle::Overloaded)),
            (503, "busy".to_owned(), Kind::Throttled(Throttle::Overloaded)),
            (429, String::new(), Kind::Throttled(Throttle::Requests)),
            (401, compat("invalid_api_key", "x"), Kind::Unauthorized),
            (404, compat("model_not_found", "x"), Kind::NotFound),
            (400, compat("data_inspection_failed", "x"), Kind::Moderation),
            (
                400,
                compat("invalid_parameter_error", "Range of input length should be [1, 30720]"),
                Kind::ContextOverflow,
            ),
            (400, compat("invalid_parameter_error", "temperature"), Kind::Refused),
            (500, compat("internal_error", "x"), Kind::Service),
            (502, "<html>".to_owned(), Kind::Service),
            (302, "moved".to_owned(), Kind::Malformed),
        ] {
            assert_eq!(kind(status, &body), want, "{status} {body}");
        }
    }

    #[test]
    fn what_a_service_repeats_of_the_key_is_not_shown() {
        let body = r#"{"error":{"code":"invalid_api_key","message":"Incorrect API key provided: sk-secret-9."}}"#;
        let key = Secret::new("sk-secret-9");
        let error = refusal(&Response::new(401, Vec::new(), Body::whole("")), body.as_bytes(), Some(&key));
        assert!(!format!("{error} {error:?} {}", error.report()).contains("secret-9"));
    }
}
