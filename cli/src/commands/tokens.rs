//! `qwenda tokens`: how many tokens a text or a conversation is, exactly.

use std::path::Path;

use qwenda_backend::local::inspect::Inspector;
use qwenda_types::chat::Message;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{args, exit::CliError, input, lang::messages, model, output::Ui, settings::Settings};

/// What is counted.
enum Counted {
    Text(String),
    Chat { messages: Vec<Value>, tools: Option<Vec<Value>> },
}

pub async fn run(ui: Ui, settings: &Settings, args: args::Tokens) -> Result<(), CliError> {
    let counted = match &args.chat {
        None => Counted::Text(input::text_argument(ui, args.text.as_deref())?),
        Some(chat) => Counted::Chat {
            messages: read_messages(ui, chat)?,
            tools: args.tools.as_deref().map(|tools| read_tools(ui, tools)).transpose()?,
        },
    };
    let name = settings.model(args.model.as_deref(), None)?.name;
    let file = model::obtain(ui, settings, &name).await?;
    let (name, path) = (file.name, file.path);
    let inspector = model::blocking(move || Inspector::open(&path)).await?;
    let inspector = inspector.map_err(|error| CliError::model(messages::unusable_model(ui.lang, &name, &error)))?;
    let (text, is_chat) = match counted {
        Counted::Text(text) => (text, false),
        Counted::Chat { messages, tools } => {
            let prompt = inspector.render(&messages, tools.as_deref());
            (prompt.map_err(|error| CliError::usage(error.to_string()))?, true)
        }
    };
    if args.render && !args.json {
        // As the model gets it: not a byte more, and none replaced.
        return ui.raw(text.as_bytes());
    }
    let ids = inspector.ids(&text);
    if args.json {
        let mut record = json!({ "model": name, "count": ids.len(), "ids": ids });
        if is_chat {
            record["prompt"] = text.into();
        }
        return ui.answer_line(record);
    }
    if args.ids {
        return ui.answer_line(ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    }
    ui.answer_line(ids.len())
}

/// The messages of a file: an array of them, or an object that has one, as a request body or what
/// `/save` writes.
fn read_messages(ui: Ui, path: &Path) -> Result<Vec<Value>, CliError> {
    let wrong = |what: String| CliError::usage(messages::bad_messages(ui.lang, &path.display().to_string(), &what));
    let list = match (read_json(ui, path)?, "messages") {
        (Value::Array(list), _) => list,
        (Value::Object(mut object), field) => match object.remove(field) {
            Some(Value::Array(list)) => list,
            _ => return Err(wrong(messages::no_messages(ui.lang))),
        },
        _ => return Err(wrong(messages::no_messages(ui.lang))),
    };
    if list.is_empty() {
        return Err(wrong(messages::no_messages(ui.lang)));
    }
    for (place, message) in list.iter().enumerate() {
        // Arguments of calls may be objects here, as templates take them; the API wants strings.
        let mut checked = message.clone();
        let calls = checked.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
        for arguments in calls.filter_map(|call| call.pointer_mut("/function/arguments")) {
            if !arguments.is_string() {
                *arguments = arguments.to_string().into();
            }
        }
        Message::deserialize(checked).map_err(|error| wrong(format!("[{place}]: {error}")))?;
    }
    Ok(list)
}

fn read_tools(ui: Ui, path: &Path) -> Result<Vec<Value>, CliError> {
    match read_json(ui, path)? {
        Value::Array(tools) => Ok(tools),
        _ => Err(CliError::usage(messages::bad_messages(
            ui.lang,
            &path.display().to_string(),
            &messages::no_tools(ui.lang),
        ))),
    }
}

fn read_json(ui: Ui, path: &Path) -> Result<Value, CliError> {
    let text = if path == Path::new("-") { input::stdin(ui)? } else { input::file(ui.lang, path)? };
    serde_json::from_str(&text).map_err(|error| {
        CliError::usage(messages::bad_messages(ui.lang, &path.display().to_string(), &error.to_string()))
    })
}
