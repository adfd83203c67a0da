//! `qwenda sessions`: the conversations that are kept.

use std::{fs, io, time::UNIX_EPOCH};

use qwenda::Message;
use serde_json::{Value, json};

use crate::{
    args,
    conversation::{markdown, unreadable},
    exit::CliError,
    lang::{Lang, chat as words, messages},
    output::Ui,
    sessions::{Entry, Name, Sessions, Turn},
    settings::Settings,
    table::Table,
    when,
};

/// Characters of a text that a list shows.
const SHOWN_CHARS: usize = 60;

pub fn run(ui: Ui, settings: &Settings, command: args::Sessions) -> Result<(), CliError> {
    let sessions = Sessions::of(settings.home());
    match command {
        args::Sessions::List { json } => list(ui, &sessions, json),
        args::Sessions::Show { name, json } => show(ui, &sessions, &name, json),
        args::Sessions::Search { text, json } => search(ui, &sessions, &text.join(" "), json),
        args::Sessions::Branch { name, new, turns } => branch(ui, &sessions, &name, &new, turns),
        args::Sessions::Export { name, format, output } => export(ui, &sessions, &name, format, output.as_deref()),
        args::Sessions::Delete { names } => delete(ui, &sessions, &names),
    }
}

/// A name as typed.
pub fn name(lang: Lang, text: &str) -> Result<Name, CliError> {
    Name::of(text).ok_or_else(|| CliError::usage(words::bad_session_name(lang, text)))
}

/// The lines of a session that is there.
fn entries(ui: Ui, sessions: &Sessions, name: &Name) -> Result<Vec<Entry>, CliError> {
    if !sessions.has(name) {
        return Err(CliError::usage(words::no_session(ui.lang, name.as_str())));
    }
    let mut session = sessions.get(name.clone());
    let entries = session.read().map_err(|error| unreadable(ui.lang, &session, &error))?;
    if session.damaged() > 0 {
        ui.notice(words::damaged(ui.lang, name.as_str(), session.damaged()));
    }
    Ok(entries)
}

fn turns(entries: Vec<Entry>) -> Vec<Turn> {
    let turn = |entry| match entry {
        Entry::Turn(turn) => Some(turn),
        _ => None,
    };
    entries.into_iter().filter_map(turn).collect()
}

fn all(ui: Ui, sessions: &Sessions) -> Result<Vec<(Name, i64, Vec<Turn>)>, CliError> {
    let found = sessions.list().map_err(|error| {
        CliError::failure(messages::cannot_read(ui.lang, &sessions.folder().display().to_string(), &error))
    })?;
    let one = |(name, at): (Name, std::time::SystemTime)| {
        let turns = turns(entries(ui, sessions, &name)?);
        let at = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        Ok((name, at, turns))
    };
    found.into_iter().map(one).collect()
}

fn list(ui: Ui, sessions: &Sessions, json: bool) -> Result<(), CliError> {
    let all = all(ui, sessions)?;
    let first = |turns: &[Turn]| turns.first().map(|turn| turn.texts().0).unwrap_or_default();
    if json {
        let record = |(name, at, turns): &(Name, i64, Vec<Turn>)| {
            let model = turns.last().map(|turn| turn.model.clone());
            json!({"name": name.as_str(), "turns": turns.len(), "used_at": at, "model": model, "first": first(turns)})
        };
        return ui.answer_line(json!({"sessions": all.iter().map(record).collect::<Vec<_>>()}));
    }
    if all.is_empty() {
        ui.notice(words::no_sessions(ui.lang));
        return Ok(());
    }
    let mut table = Table::new(&words::sessions_columns(ui.lang));
    for (name, at, turns) in &all {
        let first = line_of(&first(turns));
        table.row([name.to_string(), turns.len().to_string(), when::second(*at), first]);
    }
    ui.answer_line(table)
}

/// The beginning of a text, on one line.
fn line_of(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn show(ui: Ui, sessions: &Sessions, text: &str, json: bool) -> Result<(), CliError> {
    let name = name(ui.lang, text)?;
    let entries = entries(ui, sessions, &name)?;
    if json {
        return ui.answer_line(record(&name, &entries));
    }
    ui.answer(&markdown(name.as_str(), &messages_of(ui.lang, &entries), ui.lang))
}

fn record(name: &Name, entries: &[Entry]) -> Value {
    let turns: Vec<&Turn> =
        entries.iter().filter_map(|entry| if let Entry::Turn(t) = entry { Some(t) } else { None }).collect();
    json!({"name": name.as_str(), "turns": turns, "messages": plain_messages(entries)})
}

fn plain_messages(entries: &[Entry]) -> Vec<Message> {
    let mut messages = Vec::new();
    for entry in entries {
        match entry {
            Entry::Turn(turn) => messages.extend(turn.messages.iter().cloned()),
            Entry::System { text: Some(text) } => messages.push(Message::system(text.as_str())),
            Entry::System { text: None } | Entry::Cleared | Entry::Summary(_) => {}
        }
    }
    messages
}

/// As people read it: an answer that was cut says so.
fn messages_of(lang: Lang, entries: &[Entry]) -> Vec<Message> {
    let mut messages = Vec::new();
    for entry in entries {
        messages.extend(plain_messages(std::slice::from_ref(entry)));
        if matches!(entry, Entry::Turn(turn) if turn.cut)
            && let Some(last) = messages.last_mut()
        {
            let text = format!("{}\n\n{}", last.plain_text(), messages::stopped(lang));
            *last = Message::assistant(text.trim_start());
        }
    }
    messages
}

fn search(ui: Ui, sessions: &Sessions, text: &str, json: bool) -> Result<(), CliError> {
    let wanted: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    if wanted.is_empty() {
        return Err(CliError::usage(messages::no_text(ui.lang)));
    }
    let mut hits = Vec::new();
    for (name, _, turns) in all(ui, sessions)? {
        for (n, turn) in (1..).zip(&turns) {
            let said: Vec<String> = turn.messages.iter().map(|message| message.plain_text().into_owned()).collect();
            let said = said.join("\n");
            if wanted.iter().all(|word| said.to_lowercase().contains(word)) {
                hits.push((name.clone(), n, around(&said, &wanted[0])));
            }
        }
    }
    if json {
        let record =
            |(name, turn, text): &(Name, usize, String)| json!({"name": name.as_str(), "turn": turn, "text": text});
        return ui.answer_line(json!({"hits": hits.iter().map(record).collect::<Vec<_>>()}));
    }
    for (name, turn, text) in &hits {
        ui.answer(&format!("{name}:{turn}: {text}\n"))?;
    }
    if hits.is_empty() {
        ui.notice(words::nothing_found(ui.lang));
    }
    Ok(())
}

/// The line of a text that has this word, which is in lower case.
fn around(text: &str, word: &str) -> String {
    let line = text.lines().find(|line| line.to_lowercase().contains(word)).unwrap_or(text);
    let chars: Vec<char> = line.chars().collect();
    let place = line.to_lowercase().find(word).map_or(0, |at| line.to_lowercase()[..at].chars().count());
    let from = place.saturating_sub(SHOWN_CHARS / 2).min(chars.len());
    let shown: String = chars[from..].iter().take(2 * SHOWN_CHARS).collect();
    format!("{}{}", if from > 0 { "…" } else { "" }, shown.trim())
}

fn branch(ui: Ui, sessions: &Sessions, from: &str, to: &str, kept: Option<usize>) -> Result<(), CliError> {
    let (from, to) = (name(ui.lang, from)?, name(ui.lang, to)?);
    let mut left = kept.unwrap_or(usize::MAX);
    let mut copied = entries(ui, sessions, &from)?;
    copied.retain(|entry| {
        let wanted = left > 0;
        left -= usize::from(wanted && matches!(entry, Entry::Turn(_)));
        wanted
    });
    let count = copied.iter().filter(|entry| matches!(entry, Entry::Turn(_))).count();
    let mut session = sessions.get(to.clone());
    session.create(&copied).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => CliError::failure(words::session_exists(ui.lang, to.as_str())),
        _ => CliError::failure(messages::cannot_write(ui.lang, &session.path().display().to_string(), &error)),
    })?;
    ui.notice(words::branched(ui.lang, to.as_str(), count));
    Ok(())
}

fn export(
    ui: Ui,
    sessions: &Sessions,
    text: &str,
    format: args::ExportFormat,
    output: Option<&std::path::Path>,
) -> Result<(), CliError> {
    let name = name(ui.lang, text)?;
    let entries = entries(ui, sessions, &name)?;
    let text = match format {
        args::ExportFormat::Md => markdown(name.as_str(), &messages_of(ui.lang, &entries), ui.lang),
        args::ExportFormat::Json => format!("{:#}\n", record(&name, &entries)),
    };
    let Some(path) = output else { return ui.answer(&text) };
    let place = path.display().to_string();
    if path.exists() {
        return Err(CliError::failure(messages::exists(ui.lang, &place)));
    }
    fs::write(path, text).map_err(|error| CliError::failure(messages::cannot_write(ui.lang, &place, &error)))?;
    ui.notice(messages::saved(ui.lang, &place));
    Ok(())
}

fn delete(ui: Ui, sessions: &Sessions, names: &[String]) -> Result<(), CliError> {
    let names: Vec<Name> = names.iter().map(|text| name(ui.lang, text)).collect::<Result<_, _>>()?;
    if let Some(missing) = names.iter().find(|name| !sessions.has(name)) {
        return Err(CliError::usage(words::no_session(ui.lang, missing.as_str())));
    }
    for name in names {
        let place = sessions.folder().join(name.as_str()).display().to_string();
        sessions.delete(&name).map_err(|error| CliError::failure(messages::cannot_write(ui.lang, &place, &error)))?;
        ui.notice(words::session_deleted(ui.lang, name.as_str()));
    }
    Ok(())
}
