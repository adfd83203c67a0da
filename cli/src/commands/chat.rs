//! `qwenda chat`: one answer, or on a terminal without a prompt a conversation.

use std::io::{self, IsTerminal};

use qwenda::{
    ChatBuilder, Finish, Message,
    tools::{Ended, RunBuilder},
    types::chat::{ChatRequest, Stop, Strictness},
};

use super::{repl, sessions};
use crate::{
    answer::{self, Answer, End},
    args,
    conversation::Conversation,
    exit::CliError,
    input, interrupt,
    lang::{Lang, chat as words, messages},
    markdown::Markdown,
    output::{Ui, harmless},
    screen::{Screen, Show},
    sessions::Sessions,
    settings::{ChatSettings, Settings},
    who::{self, Who},
};

pub async fn run(ui: Ui, settings: &Settings, args: args::Chat) -> Result<(), CliError> {
    let chat = settings.chat(&args)?;
    let prompt = prompt(ui, &args)?;
    let conversation = conversation(ui, settings, &chat, &args)?;
    match prompt {
        Some(prompt) => once(ui, settings, &chat, &args, conversation, prompt).await,
        None => repl::run(ui, settings, chat, conversation).await,
    }
}

/// What is asked: the words of the command line, then what stdin holds. `None`: a conversation.
fn prompt(ui: Ui, args: &args::Chat) -> Result<Option<String>, CliError> {
    let dash = args.prompt == ["-"];
    let words = if dash { String::new() } else { args.prompt.join(" ") };
    let given = !args.prompt.is_empty();
    let piped = if dash { Some(input::stdin(ui)?) } else { input::piped_stdin(ui)? };
    if !given && piped.is_none() {
        let conversation = io::stdout().is_terminal() && !args.json && !args.no_stream;
        return if conversation { Ok(None) } else { Err(CliError::usage(messages::no_prompt(ui.lang))) };
    }
    let piped = piped.unwrap_or_default();
    // A byte order mark says how the text is coded; it is not part of what is asked.
    let piped = piped.strip_prefix('\u{feff}').unwrap_or(&piped).trim_end_matches(['\n', '\r']);
    let prompt = match (words.trim().is_empty(), piped.trim().is_empty()) {
        (true, true) => return Err(CliError::usage(messages::empty_prompt(ui.lang))),
        (false, true) => words,
        (true, false) => piped.to_owned(),
        (false, false) => format!("{words}\n\n{piped}"),
    };
    Ok(Some(prompt))
}

async fn once(
    ui: Ui,
    settings: &Settings,
    chat: &ChatSettings,
    args: &args::Chat,
    mut conversation: Conversation,
    prompt: String,
) -> Result<(), CliError> {
    let question = Message::user(prompt);
    // Checked before the model is loaded, or even fetched.
    request(ui.lang, chat, vec![question.clone()])?;
    let who = who::find(ui, settings, chat).await?;
    let request = conversation.request(ui, chat, &who, &question)?;

    let streams = !args.json && !args.no_stream;
    let show = Show { text: streams, plain: chat.plain, reasoning: chat.reasoning };
    let sent = request.messages.len();
    let answer = answer(ui, &who, show, run_of(&who, request), sent).await?;
    // Before anything is said: who reads the end of an answer may rely on its being kept.
    conversation.keep(ui, question, &answer, &who.model)?;
    match &answer.end {
        End::Stopped => return Err(CliError::interrupted()),
        End::Failed(error) => return Err(who.explain(ui.lang, error)),
        End::Whole(..) if args.json => ui.answer_line(answer.record(&who, chat.seed))?,
        End::Whole(..) if !streams => show_whole(ui, chat, &answer.text)?,
        End::Whole(..) => {}
    }
    after(ui, chat, &who, &answer);
    Ok(())
}

/// The conversation that the command line goes on with, or begins.
fn conversation(ui: Ui, settings: &Settings, chat: &ChatSettings, args: &args::Chat) -> Result<Conversation, CliError> {
    let mut conversation = Conversation::new(chat.system.clone());
    let sessions = Sessions::of(settings.home());
    let name = match (&args.session, args.go_on) {
        (Some(name), _) => sessions::name(ui.lang, name)?,
        (None, true) => {
            let place = sessions.folder().display().to_string();
            let last = sessions.last();
            let last = last.map_err(|error| CliError::failure(messages::cannot_read(ui.lang, &place, &error)))?;
            last.ok_or_else(|| CliError::usage(words::no_sessions(ui.lang)))?
        }
        (None, false) => return Ok(conversation),
    };
    conversation.join(ui, sessions.get(name), args.system.as_deref())?;
    Ok(conversation)
}

/// Asks and shows what comes. `sent` is how many messages the request has.
pub async fn answer(ui: Ui, who: &Who, show: Show, run: RunBuilder, sent: usize) -> Result<Answer, CliError> {
    let count = |text: &str| who.tokens_about(text);
    // Listening begins before there is anything on the screen that one might want to stop.
    let stop = interrupt::ctrl_c();
    let mut screen = Screen::new(ui, show, &count);
    let answer = answer::ask(run, sent, |event| screen.event(event), stop).await?;
    screen.end()?;
    Ok(answer)
}

/// A whole answer, as it would look had it been shown as it came.
fn show_whole(ui: Ui, chat: &ChatSettings, text: &str) -> Result<(), CliError> {
    match ui.paper().filter(|_| !chat.plain) {
        Some(paper) => {
            let mut markdown = Markdown::new(paper);
            let shown = markdown.push(&harmless(text)) + &markdown.finish();
            ui.raw(shown.as_bytes())
        }
        None => ui.answer_whole(text),
    }
}

/// What is said on stderr under an answer.
pub fn after(ui: Ui, chat: &ChatSettings, who: &Who, answer: &Answer) {
    if let End::Whole(ended, finish) = &answer.end {
        let tokens = answer.tokens.unwrap_or_default();
        let context = who.context_tokens_max();
        match (finish, ended) {
            (Finish::Length, _) => ui.notice(match (chat.max_tokens, context) {
                (Some(most), _) if tokens.completion >= u64::from(most) => messages::cut_by_max_tokens(ui.lang, most),
                (_, Some(most)) if tokens.prompt + tokens.completion >= u64::from(most) => {
                    messages::cut_by_context(ui.lang, most)
                }
                (_, None) => words::cut_by_service(ui.lang),
                _ => messages::cut_off(ui.lang, tokens.completion),
            }),
            (Finish::Other(word), Ended::Answered) => ui.notice(words::ended_by_word(ui.lang, word)),
            _ => {}
        }
    }
    if let Some(line) = answer.usage_line(ui.lang, who.timings()) {
        ui.notice(line);
    }
}

/// The request these settings make of a conversation; without a model's name.
pub fn request(lang: Lang, chat: &ChatSettings, messages: Vec<Message>) -> Result<ChatRequest, CliError> {
    let mut request = ChatRequest::new("", messages);
    request.stream = true;
    request.temperature = chat.temperature;
    request.top_p = chat.top_p;
    request.top_k = chat.top_k;
    request.max_tokens = chat.max_tokens;
    request.seed = Some(chat.seed);
    request.stop = (!chat.stop.is_empty()).then(|| Stop::Strings(chat.stop.clone()));
    request.enable_thinking = chat.think;
    request
        .validate(Strictness::Qwen)
        .map_err(|invalid| CliError::usage(messages::invalid_field(lang, &invalid.field, &invalid.message)))?;
    Ok(request)
}

/// The request as it is put to whoever answers.
pub fn chat_of(who: &Who, mut request: ChatRequest) -> ChatBuilder {
    request.model.clone_from(&who.model);
    // An answer cannot be longer than the context; a service judges for itself.
    if let (Some(most), Some(tokens)) = (who.context_tokens_max(), &mut request.max_tokens) {
        *tokens = most.min(*tokens);
    }
    who.client.chat_of(request)
}

/// A run in which nothing can be called.
pub fn run_of(who: &Who, request: ChatRequest) -> RunBuilder {
    chat_of(who, request).tools(Vec::new())
}
