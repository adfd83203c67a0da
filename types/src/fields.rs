//! Single fields of a request's JSON, with the contract's sentence for each wrong shape.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{
    completions::Prompt,
    error::{Code, Invalid},
};

/// The model's name, which every request needs.
pub(crate) fn model(fields: &mut Map<String, Value>) -> Result<String, Invalid> {
    match fields.shift_remove("model") {
        Some(Value::String(name)) if !name.is_empty() => Ok(name),
        None | Some(Value::Null | Value::String(_)) => {
            Err(Invalid::of(Code::InvalidRequest, "model", "you must provide a model parameter."))
        }
        Some(_) => Err(Invalid::parameter("model", "'model' must be String")),
    }
}

/// A field without which there is nothing to do.
pub(crate) fn required(fields: &mut Map<String, Value>, field: &str) -> Result<Value, Invalid> {
    match fields.shift_remove(field) {
        None | Some(Value::Null) => {
            let message =
                format!("Required parameter({field}) missing or invalid, please check the request parameters.");
            Err(Invalid::of(Code::InvalidRequest, field, message))
        }
        Some(value) => Ok(value),
    }
}

pub(crate) fn text(fields: &mut Map<String, Value>, field: &str) -> Result<Option<String>, Invalid> {
    match fields.shift_remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Invalid::parameter(field, format!("'{field}' must be String"))),
    }
}

pub(crate) fn flag(fields: &mut Map<String, Value>, field: &str) -> Result<Option<bool>, Invalid> {
    match fields.shift_remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(value)),
        Some(_) => Err(Invalid::parameter(field, format!("'{field}' must be Boolean"))),
    }
}

pub(crate) fn float(fields: &mut Map<String, Value>, field: &str) -> Result<Option<f64>, Invalid> {
    match fields.shift_remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_f64()),
        Some(_) => Err(Invalid::parameter(field, format!("'{field}' must be Float"))),
    }
}

/// An integer; `1.0` is one too, since some languages write their integers so.
pub(crate) fn integer(value: &Value) -> Option<i128> {
    let number = value.as_number()?;
    if let Some(value) = number.as_i128() {
        return Some(value);
    }
    let value = number.as_f64()?;
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i128)
}

/// A count. Negative and huge ones become 0 and `u32::MAX`, which no range check lets pass.
pub(crate) fn count(fields: &mut Map<String, Value>, field: &str) -> Result<Option<u32>, Invalid> {
    match fields.shift_remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => whole(&value, field).map(Some),
    }
}

/// As [`count`], of a value.
pub(crate) fn whole(value: &Value, field: &str) -> Result<u32, Invalid> {
    match integer(value) {
        // Of these 0 is in range.
        Some(value) if value < 0 && matches!(field, "logprobs" | "top_logprobs") => Ok(u32::MAX),
        Some(value) => Ok(value.clamp(0, u32::MAX.into()) as u32),
        None => Err(Invalid::parameter(field, format!("'{field}' must be Integer"))),
    }
}

/// Writes numbers of single precision with the digits they need: 1.1, not 1.100000023841858.
pub(crate) fn short_numbers<S: Serializer>(map: &BTreeMap<u32, f32>, serializer: S) -> Result<S::Ok, S::Error> {
    let short = |number: &f32| number.to_string().parse().unwrap_or_else(|_| f64::from(*number));
    map.iter().map(|(id, number)| (id, short(number))).collect::<BTreeMap<_, f64>>().serialize(serializer)
}

/// A text, texts, token ids or lists of them: what completions and embeddings take.
pub(crate) fn prompts(value: Value, field: &str) -> Result<Vec<Prompt>, Invalid> {
    let wrong = || {
        let message = format!("'{field}' must be a string, strings, token ids, or lists of token ids, of one kind");
        Invalid::parameter(field, message)
    };
    let id = |value: &Value| integer(value).and_then(|id| u32::try_from(id).ok()).ok_or_else(wrong);
    let list = match value {
        Value::String(text) => return Ok(vec![Prompt::Text(text)]),
        Value::Array(list) => list,
        _ => return Err(wrong()),
    };
    match list.first() {
        None => Err(Invalid::parameter(field, format!("[] is too short - '{field}'"))),
        Some(Value::Number(_)) => Ok(vec![Prompt::Tokens(list.iter().map(id).collect::<Result<_, _>>()?)]),
        Some(_) => list
            .into_iter()
            .map(|one| match one {
                Value::String(text) => Ok(Prompt::Text(text)),
                Value::Array(ids) if !ids.is_empty() => {
                    Ok(Prompt::Tokens(ids.iter().map(id).collect::<Result<_, _>>()?))
                }
                _ => Err(wrong()),
            })
            .collect::<Result<Vec<_>, _>>()
            .and_then(|prompts| {
                let texts = prompts.iter().filter(|prompt| matches!(prompt, Prompt::Text(_))).count();
                if texts == 0 || texts == prompts.len() { Ok(prompts) } else { Err(wrong()) }
            }),
    }
}
