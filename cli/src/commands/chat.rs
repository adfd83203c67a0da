//! `qwenda chat`: one answer, or on a terminal without a prompt a conversation.

use std::io::{self, IsTerminal};

use qwenda_backend::BackendError;
use qwenda_types::chat::{ChatRequest, FinishReason, Message, Strictness};

use super::repl;
use crate::{
    answer::{self, Answer, AnswerError},
    args,
    exit::{CliError, Exit},
    input, interrupt,
    lang::{Lang, messages},
    model::{self, Loaded},
    output::Ui,
    progress,
    settings::{ChatSettings, Settings},
};

pub async fn run(ui: Ui, settings: &Settings, args: args::Chat) -> Result<(), CliError> {
    let chat = settings.chat(&args)?;
    let prompt = prompt(ui, &args)?;
    model::say_where_calls_go(ui);
    match prompt {
        Some(prompt) => once(ui, settings, &chat, &args, prompt).await,
        None => repl::run(ui, settings, chat).await,
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
    prompt: String,
) -> Result<(), CliError> {
    let messages: Vec<Message> = chat.system.iter().map(Message::system).chain([Message::user(prompt)]).collect();
    // Checked before the model is loaded, or even fetched.
    let mut request = request(ui.lang, chat, String::new(), messages)?;
    let loaded = model::load(ui, settings, &chat.model).await?;
    request.model = loaded.name.clone();

    let streams = !args.json && !args.no_stream;
    let stop = interrupt::ctrl_c();
    let spinner = progress::spinner(ui, messages::reading_prompt(ui.lang));
    let on_text = |text: &str| {
        spinner.clear();
        if streams { ui.answer(text) } else { Ok(()) }
    };
    let answer = answer::ask(&*loaded.backend, request, on_text, stop).await;
    spinner.clear();
    let answer = answer.map_err(|error| explain(ui.lang, error))?;
    if answer.finish.is_none() {
        if streams && !answer.text.is_empty() {
            ui.answer("\n")?;
        }
        return Err(CliError::interrupted());
    }
    if args.json {
        ui.answer_line(answer.record(&loaded.name, chat.seed, loaded.took))?;
    } else {
        if !streams {
            ui.answer(&answer.text)?;
        }
        if !answer.text.ends_with('\n') {
            ui.answer("\n")?;
        }
    }
    after(ui, chat, &loaded, &answer);
    Ok(())
}

/// What is said on stderr under an answer.
pub fn after(ui: Ui, chat: &ChatSettings, loaded: &Loaded, answer: &Answer) {
    if answer.finish == Some(FinishReason::Length) {
        ui.notice(match chat.max_tokens {
            Some(most) if answer.usage.completion_tokens >= most => messages::cut_by_max_tokens(ui.lang, most),
            _ if answer.usage.prompt_tokens + answer.usage.completion_tokens >= loaded.context_tokens_max => {
                messages::cut_by_context(ui.lang, loaded.context_tokens_max)
            }
            _ => messages::cut_off(ui.lang, answer.usage.completion_tokens),
        });
    }
    ui.notice(answer.usage_line(ui.lang));
}

/// The request these settings make of a conversation.
pub fn request(
    lang: Lang,
    chat: &ChatSettings,
    model: String,
    messages: Vec<Message>,
) -> Result<ChatRequest, CliError> {
    use qwenda_types::chat::Stop;
    let mut request = ChatRequest::new(model, messages);
    request.stream = true;
    request.temperature = chat.temperature;
    request.top_p = chat.top_p;
    request.top_k = chat.top_k;
    request.max_tokens = chat.max_tokens;
    request.seed = Some(chat.seed);
    request.stop = (!chat.stop.is_empty()).then(|| Stop::Strings(chat.stop.clone()));
    request
        .validate(Strictness::Qwen)
        .map_err(|invalid| CliError::usage(messages::invalid_field(lang, &invalid.field, &invalid.message)))?;
    Ok(request)
}

/// The words for an answer that did not come.
pub fn explain(lang: Lang, error: AnswerError) -> CliError {
    match error {
        AnswerError::Output(error) => error,
        AnswerError::Backend(BackendError::PromptTooLong { prompt_tokens, limit_tokens }) => {
            CliError::new(Exit::TooLong, messages::prompt_too_long(lang, prompt_tokens, limit_tokens))
        }
        AnswerError::Backend(BackendError::Unsupported { message, .. }) => CliError::usage(message),
        AnswerError::Backend(BackendError::Invalid(invalid)) => {
            CliError::usage(messages::invalid_field(lang, &invalid.field, &invalid.message))
        }
        AnswerError::Backend(BackendError::Refused(error)) => CliError::failure(error.message()),
        AnswerError::Backend(BackendError::UnknownModel { name, near }) => model::unknown(lang, &name, &near),
        AnswerError::Backend(BackendError::Busy { .. }) => CliError::failure(messages::busy(lang)),
        AnswerError::Backend(BackendError::Internal(text)) => CliError::failure(text),
    }
}
