//! `qwenda chat`: one answer, or on a terminal without a prompt a conversation.

mod exec;
mod schema;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    time::Duration,
};

use qwenda::{
    ChatBuilder, Finish, Message,
    tools::{Ended, RunBuilder},
    types::chat::{ChatRequest, Stop, Strictness},
};

use self::schema::Schema;
use super::{repl, sessions};
use crate::{
    answer::{self, Answer, End},
    args,
    context::{self, Attached},
    conversation::Conversation,
    events,
    exit::CliError,
    input, interrupt,
    lang::{Lang, chat as words, messages},
    markdown::Markdown,
    output::{Ui, harmless},
    screen::{Screen, Show},
    sessions::Sessions,
    settings::{ChatSettings, Settings},
    templates::{self, Templates},
    tools::Tools,
    who::{self, Who},
};

pub async fn run(ui: Ui, settings: &Settings, args: args::Chat) -> Result<(), CliError> {
    let mut chat = settings.chat(&args)?;
    let form = Form::read(ui.lang, settings, &args)?;
    if args.system.is_none()
        && let Some(system) = form.system(ui.lang)?
    {
        chat.system = Some(system);
    }
    let given = given(ui, &args)?;
    let whole = !args.json && !args.no_stream && io::stdout().is_terminal();
    if given.is_none() && args.file.is_empty() && form.template.is_none() && !whole {
        return Err(CliError::usage(messages::no_prompt(ui.lang)));
    }
    let conversation = conversation(ui, settings, &chat, &args)?;
    let attached = Attached::read(ui, &names(ui, &args)).await?;
    let empty = given.as_ref().is_none_or(|text| text.trim().is_empty());
    let prompt = match &form.template {
        Some(_) => form.prompt(ui.lang, &attached, given.as_deref().filter(|_| !empty))?,
        None if given.is_none() && whole => {
            let tools = Tools::open(ui, settings, &args.tools, args.yes).await?;
            return repl::run(ui, settings, chat, conversation, repl::With { attached, tools }).await;
        }
        None if empty && attached.is_empty() => return Err(CliError::usage(messages::empty_prompt(ui.lang))),
        None => attached.before(given.as_deref().unwrap_or_default()),
    };
    let question = attached.message(prompt);
    if args.exec {
        request(ui.lang, &chat, vec![question.clone()])?;
        let who = who::find(ui, settings, &chat).await?;
        who.say_where(ui);
        return exec::run(ui, &chat, &who, question).await;
    }
    once(ui, settings, &chat, &args, conversation, question).await
}

/// What the command line says of templates and roles.
struct Form<'a> {
    templates: Option<Templates>,
    role: Option<&'a str>,
    template: Option<&'a str>,
    variables: BTreeMap<String, String>,
}

impl<'a> Form<'a> {
    fn read(lang: Lang, settings: &Settings, args: &'a args::Chat) -> Result<Self, CliError> {
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(CliError::usage(words::bad_var(lang, text))),
        };
        let variables = args.vars.iter().map(pair).collect::<Result<_, _>>()?;
        let (role, template) = (args.role.as_deref(), args.template.as_deref());
        let wanted = role.or(template).is_some();
        let templates = wanted.then(|| Templates::read(lang, settings)).transpose()?;
        Ok(Self { templates, role, template, variables })
    }

    /// The instructions: the role's, else the template's.
    fn system(&self, lang: Lang) -> Result<Option<String>, CliError> {
        let Some(templates) = &self.templates else { return Ok(None) };
        if let Some(name) = self.role {
            let (role, text) = templates.role(lang, name)?;
            return templates::fill(lang, name, text, role, &self.variables).map(Some);
        }
        let Some(name) = self.template else { return Ok(None) };
        let (template, _) = templates.prompt(lang, name)?;
        let fill = |text| templates::fill(lang, name, text, template, &self.variables);
        template.system.as_deref().map(fill).transpose()
    }

    /// The template's prompt, with what the person gives in it.
    fn prompt(&self, lang: Lang, attached: &Attached, given: Option<&str>) -> Result<String, CliError> {
        let (Some(name), Some(templates)) = (self.template, &self.templates) else { return Ok(String::new()) };
        let (template, text) = templates.prompt(lang, name)?;
        let mut variables = self.variables.clone();
        if given.is_some() || !attached.is_empty() {
            variables.insert(templates::INPUT.to_owned(), attached.before(given.unwrap_or_default()));
        }
        templates::fill(lang, name, text, template, &variables)
    }
}

/// What is asked: the words of the command line, then what stdin holds. `None`: neither.
fn given(ui: Ui, args: &args::Chat) -> Result<Option<String>, CliError> {
    let dash = args.prompt == ["-"];
    let words = if dash { String::new() } else { args.prompt.join(" ") };
    let piped = if dash { Some(input::stdin(ui)?) } else { input::piped_stdin(ui)? };
    if args.prompt.is_empty() && piped.is_none() {
        return Ok(None);
    }
    let piped = piped.unwrap_or_default();
    // A byte order mark says how the text is coded; it is not part of what is asked.
    let piped = piped.strip_prefix('\u{feff}').unwrap_or(&piped).trim_end_matches(['\n', '\r']);
    Ok(Some(match (words.trim().is_empty(), piped.trim().is_empty()) {
        (_, true) => words,
        (true, false) => piped.to_owned(),
        (false, false) => format!("{words}\n\n{piped}"),
    }))
}

/// The files that go along: what stdin says names none.
fn names(ui: Ui, args: &args::Chat) -> Vec<String> {
    let mut names = args.file.clone();
    names.extend(mentioned(ui, &args.prompt.join(" ")));
    names
}

/// The files that typed words name; what looks like one and is not there is said.
pub fn mentioned(ui: Ui, text: &str) -> Vec<String> {
    let (found, missing) = context::mentions(text);
    if !missing.is_empty() {
        ui.notice(words::no_mentioned(ui.lang, &harmless(&missing.join(", "))));
    }
    found
}

async fn once(
    ui: Ui,
    settings: &Settings,
    chat: &ChatSettings,
    args: &args::Chat,
    mut conversation: Conversation,
    question: Message,
) -> Result<(), CliError> {
    // Checked before the model is loaded, or even fetched.
    request(ui.lang, chat, vec![question.clone()])?;
    let schema = args.schema.as_deref().map(|text| Schema::read(ui.lang, text)).transpose()?;
    let tools = Tools::open(ui, settings, &args.tools, args.yes).await?;
    let who = who::find(ui, settings, chat).await?;
    who.say_where(ui);
    let request = conversation.request(ui, chat, &who, &question).await?;

    let events = args.json && !args.no_stream;
    // What is held to a shape is printed once it is known to have it.
    let streams = !args.json && !args.no_stream && schema.is_none();
    let show = Show { text: streams, plain: chat.plain, reasoning: chat.reasoning, events };
    let sent = request.messages.len();
    let mut builder = chat_of(&who, request);
    if let Some(schema) = &schema {
        builder = builder.json_schema("answer", schema.value.clone());
    }
    let run = run_with(builder, tools);
    if events {
        ui.answer_line(events::start(&who.model))?;
    }
    let mut answer = answer(ui, &who, show, run, sent).await?;
    // Before anything is said: who reads the end of an answer may rely on its being kept.
    conversation.keep(ui, question, &answer, &who.model)?;
    let unfit = schema.and_then(|schema| match (&answer.end, schema.check(ui.lang, &answer.text)) {
        (End::Whole(..), Ok(value)) => {
            answer.value = Some(value);
            None
        }
        (End::Whole(..), Err(error)) => Some(error),
        _ => None,
    });
    if let End::Failed(error) = &answer.end {
        let said = who.explain(ui.lang, error);
        if events {
            ui.answer_line(events::error(error, &said))?;
        }
        return Err(said);
    }
    if events {
        for line in events::end(answer.record(&who, chat.seed)) {
            ui.answer_line(line)?;
        }
    }
    if let End::Stopped = answer.end {
        return Err(CliError::interrupted());
    }
    if let Some(unfit) = unfit {
        return Err(unfit);
    }
    if args.json && !events {
        ui.answer_line(answer.record(&who, chat.seed))?;
    } else if !args.json && !streams {
        show_whole(ui, chat, &answer.text)?;
    }
    after(ui, chat, &who, &answer);
    if conversation.session().is_some()
        && let Some(line) = conversation.totals(ui.lang, chat, &who)
    {
        ui.notice(line);
    }
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

/// A service that cannot be told that nobody waits for its answer finds out by itself.
const SETTLING: Duration = Duration::from_secs(1);

/// Asks and shows what comes. `sent` is how many messages the request has.
pub async fn answer(ui: Ui, who: &Who, show: Show, run: RunBuilder, sent: usize) -> Result<Answer, CliError> {
    let count = |text: &str| who.tokens_about(text);
    // Listening begins before there is anything on the screen that one might want to stop.
    let stop = interrupt::ctrl_c();
    let mut screen = Screen::new(ui, show, &count);
    let answer = answer::ask(run, sent, |event| screen.event(event), stop).await;
    // Of an answer that was stopped the service is told before this program may be over. Otherwise that is nothing.
    let _ = tokio::time::timeout(SETTLING, who.client.settled()).await;
    let answer = answer?;
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
            (_, Ended::Steps | Ended::Loop) => ui.notice(words::too_many_steps(ui.lang)),
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
fn run_of(who: &Who, request: ChatRequest) -> RunBuilder {
    chat_of(who, request).tools(Vec::new())
}

/// A run in which these can be called.
pub fn run_with(chat: ChatBuilder, tools: Tools) -> RunBuilder {
    let Tools { list, gate } = tools;
    chat.tools(list).approve(move |call| gate.clone().approve(call.clone()))
}
