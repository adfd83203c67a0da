//! What `--help` prints and what is said about a command line that cannot be read, in both languages.
//!
//! The texts are a table from the place of an argument to its two sentences; a test walks the command
//! line and finds what is missing.

use clap::{
    Arg, ArgAction, CommandFactory,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Lang, admin, chat, messages, money, projects};
use crate::{args::Cli, exit::CliError, output::Ui};

/// What is said of a place of the command line.
pub struct Text {
    /// The command's name and, behind a dot, the argument's id; words joined by a space.
    place: &'static str,
    en: &'static str,
    zh: &'static str,
}

pub const fn t(place: &'static str, en: &'static str, zh: &'static str) -> Text {
    Text { place, en, zh }
}

const TEXTS: &[Text] = &[
    t(
        "qwenda",
        "Ask Qwen models, here on your own CPU, or serve them to others",
        "在自己的 CPU 上调用通义千问模型，或为他人提供服务",
    ),
    t(
        ".lang",
        "Language of messages: en or zh (default: QWENDA_LANG, then the locale)",
        "消息语言：en 或 zh（默认依次取 QWENDA_LANG、系统区域设置）",
    ),
    t(
        ".quiet",
        "Only the answer and errors: no progress, usage or notices",
        "只输出回答和错误，不显示进度、用量和提示",
    ),
    t(
        ".config",
        "Configuration file (default: QWENDA_CONFIG, then qwenda.toml in QWENDA_HOME)",
        "配置文件（默认依次取 QWENDA_CONFIG、QWENDA_HOME 下的 qwenda.toml）",
    ),
    t(".help", "Show this help", "显示帮助"),
    t(".version", "Show the version", "显示版本"),
    t("serve", "Serve models over HTTP with the OpenAI-compatible API", "以 OpenAI 兼容接口提供 HTTP 服务"),
    t(
        "serve.listen",
        "Address to listen on; port 0 picks a free one (default: 127.0.0.1:8080)",
        "监听地址；端口 0 表示自动选择（默认 127.0.0.1:8080）",
    ),
    t(
        "serve.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t(
        "serve.models",
        "A name from `qwenda models`, or the path of a GGUF file; may be repeated",
        "`qwenda models` 列出的名称，或 GGUF 文件路径；可重复",
    ),
    t("serve.threads", "Threads that compute (default: the machine's cores)", "计算线程数（默认为机器的核数）"),
    t(
        "serve.context",
        "Most tokens of prompt and answer together (default: the model's own)",
        "提示词与回答合计的最多 token 数（默认取模型上限）",
    ),
    t("serve.aliases", "One more name a model answers to; may be repeated", "模型的另一个名称；可重复"),
    t(
        "serve.kv_tokens",
        "Tokens of all requests together whose keys and values are kept, per model (default: the model's context, at most 32768)",
        "每个模型为全部请求保留键值的 token 总数（默认：模型的上下文长度，最多 32768）",
    ),
    t(
        "serve.sequences",
        "Answers that each model computes at once (default: 16)",
        "每个模型同时计算的应答数（默认 16）",
    ),
    t(
        "serve.no_guess",
        "Guess no tokens ahead; answers are the same, those that repeat their prompt come slower",
        "不预先猜测 token；应答不变，但大量重复提示词的应答会变慢",
    ),
    t(
        "serve.draft",
        "A smaller model of the same family that guesses what the others say next; answers are the same",
        "由同系列的较小模型预先猜测后续 token；应答不变",
    ),
    t(
        "serve.share_prefixes",
        "Let callers reuse what was computed of each other's prompts; they can then tell from the time what others sent",
        "允许调用者之间复用提示词的计算结果；由此可从耗时推知他人发送过什么",
    ),
    t(
        "serve.stand_in",
        "Answer to the cloud's names too: qwen-plus, text-embedding-v4, …",
        "同时应答云端的模型名：qwen-plus、text-embedding-v4 等",
    ),
    t(
        "serve.strictness",
        "Whose rules hold where they differ, as for tool_choice \"required\" (default: auto)",
        "规则有差异时以谁为准，例如 tool_choice 为 \"required\" 时（默认 auto）",
    ),
    t(
        "serve.no_auth",
        "Ask no caller for a key; only on this machine's own addresses",
        "不要求调用者提供 key；仅限本机地址",
    ),
    t("pull", "Fetch a model ahead of its use", "预先下载模型"),
    t(
        "pull.name",
        "A name from `qwenda models` (default: the default model)",
        "`qwenda models` 列出的名称（默认为默认模型）",
    ),
    t(
        "pull.from",
        "Take it from this file, or from this folder, instead of the network",
        "不走网络，从此文件或文件夹获取",
    ),
    t("models", "List the models that can be fetched and those that are here", "列出可下载的与已安装的模型"),
    t("models.json", "As JSON", "输出 JSON"),
    t("tokens", "Count the tokens of a text or a conversation, exactly", "精确计算文本或对话的 token 数"),
    t(
        "tokens.text",
        "The text; `-` is stdin, `@FILE` is a file, `@@…` begins with `@`",
        "文本；`-` 为标准输入，`@文件` 为文件，`@@…` 表示以 `@` 开头的文本",
    ),
    t(
        "tokens.model",
        "Whose tokens: a name from `qwenda models`, or the path of a GGUF file",
        "按哪个模型计算：`qwenda models` 列出的名称，或 GGUF 文件路径",
    ),
    t(
        "tokens.chat",
        "Count the prompt this conversation becomes; `-` is stdin",
        "计算此对话渲染成的提示词；`-` 为标准输入",
    ),
    t("tokens.tools", "Functions the conversation offers to the model", "对话提供给模型的函数"),
    t("tokens.render", "Print the rendered prompt itself", "打印渲染后的提示词"),
    t("tokens.ids", "Print the token ids", "打印 token id"),
    t("tokens.json", "As JSON", "输出 JSON"),
    t("score", "Loss of each token of a text and its perplexity", "计算文本逐 token 的损失与困惑度"),
    t(
        "score.text",
        "The text; `-` is stdin, `@FILE` is a file, `@@…` begins with `@`",
        "文本；`-` 为标准输入，`@文件` 为文件，`@@…` 表示以 `@` 开头的文本",
    ),
    t(
        "score.model",
        "A name from `qwenda models`, or the path of a GGUF file",
        "`qwenda models` 列出的名称，或 GGUF 文件路径",
    ),
    t("score.threads", "Threads that compute (default: the machine's cores)", "计算线程数（默认为机器的核数）"),
    t("score.json", "As JSON, token by token", "逐 token 输出 JSON"),
    t(
        "bench",
        "Measure a model on this machine, beside what the machine allows",
        "测量模型在本机的速度，并与本机上限对照",
    ),
    t(
        "bench.model",
        "A name from `qwenda models`, or the path of a GGUF file",
        "`qwenda models` 列出的名称，或 GGUF 文件路径",
    ),
    t("bench.threads", "Threads that compute (default: the machine's cores)", "计算线程数（默认为机器的核数）"),
    t(
        "bench.only",
        "Tables to measure, of prefill, decode, batch, http, with commas (default: all)",
        "只测这些表：prefill、decode、batch、http，用逗号分隔（默认全部）",
    ),
    t("bench.rounds", "How often; medians are reported (default: 5)", "测量轮数，报告中位数（默认 5）"),
    t("bench.callers", "Callers of the service at once (default: 8)", "同时调用服务的请求数（默认 8）"),
    t("bench.deep", "Also decode behind 16,384 tokens", "另测 16,384 个 token 之后的生成"),
    t("bench.quick", "Fewer rows, one round, 4 callers", "较少的行、一轮、4 个并发"),
    t("bench.json", "As JSON", "输出 JSON"),
    t(
        "keys",
        "Make, list, rotate and revoke the API keys of `qwenda serve`",
        "创建、查看、轮换、吊销 `qwenda serve` 的 API key",
    ),
    t("keys create", "Make a key and print it; it is shown this once", "创建 key 并打印；仅显示这一次"),
    t(
        "keys create.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("keys create.name", "What to call it", "名称"),
    t(
        "keys create.account",
        "Account that pays, by id or name (default: none, its requests cost nothing)",
        "付款账户的 id 或名称（默认没有，请求不计费）",
    ),
    t(
        "keys create.models",
        "Models it may use, with commas; `qwen3-*` is all that begin so (default: all)",
        "可用的模型，用逗号分隔；`qwen3-*` 表示以此开头的全部模型（默认全部）",
    ),
    t(
        "keys create.networks",
        "Networks it may be used from, with commas, as 10.0.0.0/8 (default: all)",
        "允许的来源网段，用逗号分隔，如 10.0.0.0/8（默认不限）",
    ),
    t(
        "keys create.expires",
        "When it ends: 2026-12-31, Unix seconds, or 30d from now (default: never)",
        "失效时间：2026-12-31、Unix 秒，或从现在起 30d（默认不失效）",
    ),
    t("keys create.rpm", "Most requests per minute", "每分钟最多请求数"),
    t(
        "keys create.tpm",
        "Most tokens per minute, prompts and answers together",
        "每分钟最多 token 数，提示词与回答合计",
    ),
    t("keys create.concurrency", "Most requests at one time", "同时进行的最多请求数"),
    t(
        "keys create.budget_day",
        "Most it may spend in a day (UTC), in its account's currency",
        "每天（UTC）最多花费，以账户币种计",
    ),
    t(
        "keys create.budget_month",
        "Most it may spend in a month (UTC), in its account's currency",
        "每月（UTC）最多花费，以账户币种计",
    ),
    t("keys create.budget_total", "Most it may ever spend", "总共最多花费"),
    t("keys create.json", "As JSON", "输出 JSON"),
    t("keys list", "List the keys, by name and last four characters", "列出所有 key 的名称与末四位"),
    t(
        "keys list.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("keys list.json", "As JSON", "输出 JSON"),
    t("keys revoke", "End a key at once", "立即吊销 key"),
    t("keys revoke.which", "Its id, its name, or its last four characters", "id、名称或末四位"),
    t(
        "keys revoke.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("completions", "Print the completion script of a shell", "打印 shell 补全脚本"),
    t("completions.shell", "bash, zsh, fish, elvish or powershell", "bash、zsh、fish、elvish 或 powershell"),
];

/// What all commands say.
fn all() -> impl Iterator<Item = &'static Text> {
    TEXTS.iter().chain(admin::HELP).chain(money::HELP).chain(chat::HELP).chain(projects::HELP)
}

fn text(lang: Lang, place: &str) -> Option<&'static str> {
    let text = all().find(|text| text.place == place)?;
    Some(match lang {
        Lang::En => text.en,
        Lang::Zh => text.zh,
    })
}

/// The command line as `clap` knows it, with every text in that language.
pub fn command(lang: Lang) -> clap::Command {
    let command = Cli::command().disable_help_flag(true).disable_version_flag(true);
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).global(true);
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
    let command = dressed(lang, command.arg(help).arg(version), "");
    command.about(text(lang, "qwenda").unwrap_or_default())
}

/// Place in `--help` of the options that every command has.
const COMMON: usize = 1000;

/// Puts the texts into one command and those below it; `path` are the words that lead here.
fn dressed(lang: Lang, command: clap::Command, path: &str) -> clap::Command {
    let below: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command
        .mut_args(|arg| {
            let own = text(lang, &format!("{path}.{}", arg.get_id()));
            // What all commands have comes behind what is this one's own.
            let arg = if own.is_none() { arg.display_order(COMMON) } else { arg };
            match own.or_else(|| text(lang, &format!(".{}", arg.get_id()))) {
                Some(help) => arg.help(help),
                None => arg,
            }
        })
        .help_template(template(lang, !below.is_empty()))
        .disable_help_subcommand(true);
    below.into_iter().fold(command, |command, name| {
        let place = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command.mut_subcommand(name, |sub| {
            let about = text(lang, &place).unwrap_or_default();
            dressed(lang, sub, &place).about(about)
        })
    })
}

fn template(lang: Lang, has_commands: bool) -> &'static str {
    match (lang, has_commands) {
        (Lang::En, true) => {
            "{about}\n\nUsage: {usage}\n\nCommands:\n{subcommands}\n\nOptions:\n{options}{after-help}\n"
        }
        (Lang::Zh, true) => "{about}\n\n用法：{usage}\n\n命令：\n{subcommands}\n\n选项：\n{options}{after-help}\n",
        (Lang::En, false) => "{about}\n\nUsage: {usage}\n\n{positionals}\n\nOptions:\n{options}{after-help}\n",
        (Lang::Zh, false) => "{about}\n\n用法：{usage}\n\n{positionals}\n\n选项：\n{options}{after-help}\n",
    }
}

/// What to do about a command line that was not for running: print the help or version that was asked
/// for, or say what is wrong with it.
pub fn explain(ui: Ui, error: &clap::Error) -> Result<(), CliError> {
    let lang = ui.lang;
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(value)) => Some(value.clone()),
        Some(ContextValue::Strings(values)) if !values.is_empty() => Some(values.join(", ")),
        _ => None,
    };
    let option = said(ContextKind::InvalidArg).unwrap_or_default();
    let value = said(ContextKind::InvalidValue).unwrap_or_default();
    let mut guess = None;
    let message = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return ui.raw(error.render().to_string().as_bytes()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            ui.say(error.render().to_string().trim_end());
            return Err(CliError::usage(""));
        }
        ErrorKind::InvalidSubcommand => {
            guess = said(ContextKind::SuggestedSubcommand);
            messages::unknown_command(lang, &said(ContextKind::InvalidSubcommand).unwrap_or_default())
        }
        ErrorKind::MissingSubcommand => messages::no_command(lang),
        ErrorKind::UnknownArgument => {
            guess = said(ContextKind::SuggestedArg);
            let message = messages::unknown_option(lang, &option);
            if option.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) {
                return Err(CliError::usage(message).hint(money::dashes_before(lang)));
            }
            message
        }
        ErrorKind::InvalidValue if value.is_empty() => messages::missing_value(lang, &option),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let message = messages::bad_value(lang, &value, &option);
            match said(ContextKind::ValidValue) {
                Some(values) => return Err(CliError::usage(message).hint(messages::values_are(lang, &values))),
                None => message,
            }
        }
        ErrorKind::MissingRequiredArgument => messages::missing_argument(lang, &option),
        ErrorKind::ArgumentConflict => match said(ContextKind::PriorArg) {
            Some(other) if other != option => messages::conflict(lang, &option, &other),
            _ => messages::given_twice(lang, &option),
        },
        ErrorKind::TooManyValues => messages::too_many(lang, &value, &option),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues | ErrorKind::NoEquals => {
            messages::missing_value(lang, &option)
        }
        ErrorKind::InvalidUtf8 => messages::argument_not_utf8(lang),
        _ => error.to_string(),
    };
    let hint = match guess {
        Some(name) => messages::maybe(lang, &name),
        None => messages::see_help(lang, "qwenda"),
    };
    Err(CliError::usage(message).hint(hint))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::exit::Exit;

    fn places(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
        for arg in command.get_arguments() {
            let global = arg.is_global_set() || arg.get_id() == "version";
            found.insert(format!("{}.{}", if global { "" } else { path }, arg.get_id()));
        }
        for sub in command.get_subcommands() {
            let place = format!("{path} {}", sub.get_name());
            let place = place.trim_start().to_owned();
            found.insert(place.clone());
            places(sub, &place, found);
        }
    }

    #[test]
    fn every_command_and_argument_has_a_text_in_both_languages_and_no_text_is_left_over() {
        let mut found = BTreeSet::from(["qwenda".to_owned()]);
        places(&command(Lang::En), "", &mut found);
        let texts = all;
        let known: BTreeSet<String> = texts().map(|text| text.place.to_owned()).collect();
        assert_eq!(known, found);
        assert!(texts().all(|text| !text.en.is_empty() && text.zh.chars().any(|c| c > '\u{2e80}')));
    }

    #[test]
    fn every_option_and_exit_code_is_in_both_references() {
        fn options(command: &clap::Command, found: &mut BTreeSet<String>) {
            found.extend(command.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?))));
            command.get_subcommands().for_each(|sub| options(sub, found));
        }
        let mut found = BTreeSet::new();
        options(&command(Lang::En), &mut found);
        found.retain(|option| !["--help", "--version"].contains(&option.as_str()));
        for (name, page) in [
            ("cli.md", include_str!("../../../docs/cli.md")),
            ("cli.zh-CN.md", include_str!("../../../docs/cli.zh-CN.md")),
        ] {
            for option in &found {
                assert!(page.contains(option.as_str()), "{option} is not in {name}");
            }
            for exit in [
                Exit::Ok,
                Exit::Failure,
                Exit::Usage,
                Exit::Model,
                Exit::TooLong,
                Exit::Books,
                Exit::Key,
                Exit::Money,
                Exit::Throttled,
                Exit::Network,
                Exit::Service,
                Exit::Moderation,
                Exit::Unfit,
                Exit::Interrupted,
                Exit::BrokenPipe,
            ] {
                assert!(page.contains(&format!("\n| {} | ", exit as u8)), "{exit:?} is not in {name}");
            }
        }
    }

    #[test]
    fn the_command_line_holds_together() {
        command(Lang::Zh).debug_assert();
    }
}
