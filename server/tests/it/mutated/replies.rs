//! What an answer must be, whatever was asked.

use serde_json::Value;

use crate::service::Reply;

/// Whether the request was answered (`true`) or refused in the shape of its dialect.
///
/// # Errors
/// Why it is neither.
pub(super) fn check(reply: &Reply, native: bool) -> Result<bool, String> {
    let kind = reply.headers.get("content-type").map_or("", String::as_str);
    match reply.status {
        200 if kind == "text/event-stream" => stream(reply, native).map(|()| true),
        200 => whole(reply, kind).map(|()| true),
        400 | 401 | 403 | 404 | 409 => refusal(reply, native, kind).map(|()| false),
        status => Err(format!("the status is {status}")),
    }
}

fn object(text: &str) -> Result<serde_json::Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("{error} in {text}"))
}

fn must(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn whole(reply: &Reply, kind: &str) -> Result<(), String> {
    must(kind == "application/json", "an answer that is not JSON")?;
    let body = object(&reply.body)?;
    must(!body.contains_key("error") && !body.contains_key("code"), "an answer with an error in it")
}

fn stream(reply: &Reply, native: bool) -> Result<(), String> {
    let mut events = reply.events();
    if native {
        // Who goes on after the last event gets none.
        let Some(last) = events.last() else { return Ok(()) };
        let output = object(last)?["output"].clone();
        let reason = output["choices"].get(0).map_or(&output, |choice| choice)["finish_reason"].as_str();
        must(reason.is_some_and(|reason| reason != "null"), "the last frame has no finish_reason")?;
    } else {
        must(events.pop().is_none_or(|last| last == "[DONE]"), "the last event is not [DONE]")?;
    }
    for event in events {
        let event = object(&event)?;
        must(!event.contains_key("error") && !event.contains_key("code"), "an error in the stream")?;
    }
    Ok(())
}

fn refusal(reply: &Reply, native: bool, kind: &str) -> Result<(), String> {
    must(kind == "application/json", "an error that is not JSON")?;
    must(reply.headers.get("x-should-retry").is_some_and(|again| again == "false"), "wrong requests stay wrong")?;
    let mut body = object(&reply.body)?;
    let id = body.remove("request_id");
    must(id.is_some_and(|id| id == reply.request_id()), "the request's id is another one")?;
    let is_text = |value: Option<Value>| value.is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()));
    let mut error = if native { body } else { body["error"].as_object().ok_or("no error")?.clone() };
    must(is_text(error.remove("code")), "the code is no text")?;
    must(is_text(error.remove("message")), "the message is no text")?;
    if !native {
        must(is_text(error.remove("type")), "the type is no text")?;
        must(error.remove("param") == Some(Value::Null), "param is not null")?;
    }
    must(error.is_empty(), "there is more than the contract has")
}
