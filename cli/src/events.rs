//! An answer as lines of JSON, for programs. The shapes are documented in `docs/cli.md`.

use qwenda::{Billed, Event, tools::RunEvent};
use serde_json::{Value, json};

use crate::exit::CliError;

/// The line that begins.
pub fn start(model: &str) -> Value {
    json!({"type": "start", "model": model})
}

/// What happened, as a line; not everything is one.
pub fn of(event: &RunEvent) -> Option<Value> {
    Some(match event {
        RunEvent::Answer(Event::Reasoning(piece)) => json!({"type": "reasoning", "text": piece.text}),
        RunEvent::Answer(Event::Text(piece)) => json!({"type": "text", "text": piece.text}),
        RunEvent::Answer(Event::Retry(retry)) => json!({
            "type": "retry", "attempt": retry.attempt, "pause_ms": retry.pause.as_millis() as u64,
            "resumed": retry.resumed,
        }),
        RunEvent::Answer(Event::ToolCall(call)) => {
            // Arguments that are no JSON are handed on as the model wrote them.
            let arguments = call.json().unwrap_or_else(|_| call.arguments.as_str().into());
            json!({"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments})
        }
        RunEvent::Called(result) => {
            let (ok, output) = match &result.output {
                Ok(text) => (true, text.clone()),
                Err(error) => (false, error.to_string()),
            };
            json!({"type": "tool_result", "id": result.call.id, "name": result.call.name, "ok": ok, "output": output})
        }
        _ => return None,
    })
}

/// The last line of an answer that came: its record, and before it what it used.
pub fn end(record: Value) -> [Value; 2] {
    let mut usage = json!({"type": "usage"});
    let mut end = json!({"type": "end"});
    if let (Value::Object(usage), Some(Value::Object(counts))) = (&mut usage, record.get("usage")) {
        usage.extend(counts.clone());
        usage.extend(record.get("cost").map(|cost| ("cost".to_owned(), cost.clone())));
    }
    if let (Value::Object(end), Value::Object(record)) = (&mut end, record) {
        end.extend(record);
    }
    [usage, end]
}

/// The last line of an answer that did not.
pub fn error(error: &qwenda::Error, said: &CliError) -> Value {
    let billed = match error.billed() {
        Billed::No => json!(false),
        Billed::Yes => json!(true),
        _ => Value::Null,
    };
    json!({
        "type": "error", "exit": said.exit as u8, "kind": format!("{:?}", error.kind()), "message": error.message(),
        "code": error.code(), "request_id": error.request_id(), "billed": billed, "may_retry": error.may_retry(),
    })
}
