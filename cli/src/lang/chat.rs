//! The sentences of `chat` with services, sessions, tools and templates.

use super::{
    Lang,
    help::{Text, t},
};

texts! {
    // Who answers.
    welcome_service(model: &str, host: &str) {
        "{model} at {host} · /help lists the commands, Ctrl-D leaves",
        "{model}（远程服务 {host}）· /help 查看命令，Ctrl-D 退出"
    }
    asks_service(model: &str, host: &str) {
        "asking {model} at {host}; --local answers on this machine",
        "正在询问远程服务 {host} 的 {model}；用 --local 可由本机回答"
    }
    model_is_at(model: &str, host: &str) { "{model} at {host} answers", "由远程服务 {host} 的 {model} 回答" }
    service_needs_name() { "name the model to go on with: /model NAME", "请指明模型：/model 名称" }

    // Reasoning.
    thinking() { "thinking", "正在思考" }
    thought(seconds: f64, tokens: u64) {
        "(thought for {seconds:.1} s, about {tokens} tokens)",
        "（思考 {seconds:.1} 秒，约 {tokens} token）"
    }
    no_reasoning() { "the last answer came without reasoning", "上一个回答没有思考过程" }
    reasoning_shown() { "reasoning is shown as it comes", "将实时显示思考过程" }
    reasoning_folded() { "reasoning is folded to one line; /reasoning shows the last", "思考过程折叠为一行；/reasoning 可查看上一次的" }

    // The line under an answer.
    usage_cost(cost: &str) { ", {cost} at list price", "，目录价 {cost}" }
    summarising() { "summarising what was said", "正在概括之前的对话" }
    summarised(turns: usize, model: &str, prompt: u64, completion: u64, cost: &str) {
        "the {turns} oldest turn(s) are a summary by {model} from now on ({prompt} tokens in, {completion} out{cost})",
        "最早的 {turns} 轮从此以 {model} 的概括代替（输入 {prompt} token，输出 {completion} token{cost}）"
    }
    summarised_uncounted(turns: usize, model: &str) {
        "the {turns} oldest turn(s) are a summary by {model} from now on",
        "最早的 {turns} 轮从此以 {model} 的概括代替"
    }
    no_summary(why: &str) { "there is no summary of what is left out: {why}", "未能概括省略的内容：{why}" }
    summary_too_long() { "it would not fit", "概括放不下" }
    summaries_are(model: &str) {
        "what outgrows the context is summarised by {model}; `/summarize off` leaves it out instead",
        "超出上下文的内容由 {model} 概括；`/summarize off` 则直接省略"
    }
    summaries_are_off() {
        "what outgrows the context is left out; `/summarize on` has it summarised instead",
        "超出上下文的内容直接省略；`/summarize on` 则先概括"
    }
    totals(least: &str, prompt: u64, completion: u64, cost: &str, percent: &str, most: u64) {
        "so far {least}{prompt} in, {completion} out{cost}; context {percent} of {most}",
        "累计{least}输入 {prompt}，输出 {completion}{cost}；上下文已用 {percent}（共 {most}）"
    }
    at_least() { "at least ", "至少" }
    total_cost(cost: &str) { ", {cost}", "，{cost}" }
    trying_again(attempt: u32, seconds: f64) {
        "attempt {attempt} failed; trying again in {seconds:.1} s",
        "第 {attempt} 次尝试失败，{seconds:.1} 秒后重试"
    }
    cut_by_service() { "cut off: the answer reached its most tokens", "回答达到 token 上限，被截断" }
    ended_by_word(word: &str) { "the service ended the answer: {word}", "服务端结束了回答：{word}" }
    left_out_of(turns: usize, limit: u64) {
        "the conversation outgrew {limit} tokens (--context): its {turns} oldest turn(s) are left out from now on",
        "对话超出 {limit} 个 token（--context）：最早的 {turns} 轮从此不再带上"
    }

    // Sessions.
    bad_session_name(name: &str) {
        "`{name}` is no name for a session: letters, digits, `-`, `_` and `.` do, at most 64, the first a letter or a digit",
        "会话不能叫 `{name}`：只能用字母、汉字、数字、`-`、`_`、`.`，最多 64 个字符，且以字母、汉字或数字开头"
    }
    no_session(name: &str) { "there is no session `{name}`; `qwenda sessions list` shows them", "没有会话 `{name}`；`qwenda sessions list` 可查看" }
    no_sessions() { "there is no session yet; `qwenda chat --session NAME` begins one", "还没有会话；用 `qwenda chat --session 名称` 开始" }
    session_exists(name: &str) { "there is a session `{name}` already; choose another name", "会话 `{name}` 已存在，请换一个名字" }
    damaged(name: &str, lines: usize) {
        "session `{name}`: {lines} line(s) could not be read and are left out",
        "会话 `{name}`：有 {lines} 行无法读取，已略过"
    }
    session_is(name: &str, turns: usize) { "session `{name}`, {turns} turn(s)", "会话 `{name}`，共 {turns} 轮" }
    not_kept() { "this conversation is kept nowhere; /session NAME keeps it", "此对话未保存；用 /session 名称 保存" }
    sessions_columns() { "name  >turns  last used (UTC)  begins with", "名称  >轮数  上次使用（UTC）  开头" }
    nothing_found() { "nothing found", "没有找到" }
    branched(name: &str, turns: usize) { "session `{name}` begins with {turns} turn(s)", "会话 `{name}` 已建立，含 {turns} 轮" }
    session_deleted(name: &str) { "session `{name}` is deleted", "已删除会话 `{name}`" }

    // Files, folders and addresses.
    binary(name: &str) { "{name} is neither UTF-8 text nor an image", "{name} 既不是 UTF-8 文本，也不是图片" }
    files_left_out(name: &str, count: usize) { "{name}: {count} file(s) that are no text are left out", "{name}：有 {count} 个非文本文件未带上" }
    files_too_large(mib: u64) { "the files are larger than {mib} MiB together", "文件合计超过 {mib} MiB" }
    too_many_files(name: &str, most: usize) { "{name} has more than {most} files; name what is needed", "{name} 中的文件超过 {most} 个，请指明需要的部分" }
    cannot_fetch(url: &str, why: &str) { "cannot fetch {url}: {why}", "无法获取 {url}：{why}" }
    no_mentioned(names: &str) { "there is no file {names}; it is sent as it is written", "没有文件 {names}，按原文发送" }
    file_which() { "which? /file PATH, a folder or an address; it goes along with the next question", "哪个文件？/file 路径、文件夹或网址；随下一个问题发送" }
    file_goes_along(name: &str) { "{name} goes along with the next question", "{name} 将随下一个问题发送" }

    // Templates.
    no_template(name: &str) { "there is no template or role `{name}`", "没有模板或角色 `{name}`" }
    no_role(name: &str) { "`{name}` has no instructions: it is a template for -T, not a role", "`{name}` 没有系统提示：它是用于 -T 的模板，不是角色" }
    no_prompt_in(name: &str) { "`{name}` asks nothing: it is a role for -r, not a template", "`{name}` 没有提示词：它是用于 -r 的角色，不是模板" }
    bad_template(name: &str, what: &str) { "template `{name}`: {what}", "模板 `{name}` 有误：{what}" }
    template_wants(name: &str, variable: &str) {
        "template `{name}` wants a value for `{variable}`: -v {variable}=…",
        "模板 `{name}` 缺少变量 `{variable}`：-v {variable}=…"
    }
    template_wants_input(name: &str) {
        "template `{name}` wants a text: give it as words, on stdin, or with -f",
        "模板 `{name}` 需要文本：直接给出、从标准输入，或用 -f"
    }
    bad_var(text: &str) { "`{text}` is no NAME=VALUE", "`{text}` 不是 名称=值 的形式" }
    templates_columns() { "name  variables  description", "名称  变量  说明" }

    // Shapes, tools and commands.
    bad_schema(what: &str) { "--schema: {what}", "--schema 有误：{what}" }
    unfit(what: &str) { "the answer does not fit the schema: {what}", "回答不符合 schema：{what}" }
    no_tool(name: &str, names: &str) { "there is no tool `{name}`; there are {names}", "没有工具 `{name}`；可用的有 {names}" }
    calling(name: &str, arguments: &str) { "→ {name} {arguments}", "→ {name} {arguments}" }
    called_badly(name: &str, why: &str) { "✗ {name}: {why}", "✗ {name}：{why}" }
    may_it(name: &str, arguments: &str) { "may it call {name} {arguments}? [y/N] ", "允许调用 {name} {arguments} 吗？[y/N] " }
    nobody_to_ask(name: &str) {
        "{name} was not called: there is no terminal to ask at (--yes allows all but commands)",
        "未调用 {name}：没有终端可供确认（--yes 允许命令之外的调用）"
    }
    too_many_steps() { "stopped: too many calls of tools", "工具调用次数过多，已停止" }
    exec_system(shell: &str, os: &str) {
        "Answer with one command for the shell {shell} on {os} that does what is asked: the command alone, on one line where that is possible, without Markdown and without explanation.",
        "请给出一条在 {os} 上的 {shell} 命令来完成要求：只输出命令本身，尽量写成一行，不要使用 Markdown，不要解释。"
    }
    explain_system(shell: &str) {
        "Explain this command of the shell {shell} in a few short lines: what it does as a whole, then each part, and what it may destroy.",
        "请用简短的几行解释这条 {shell} 命令：整体作用、各部分含义，以及可能造成的破坏。"
    }
    no_command() { "the model gave no command", "模型没有给出命令" }
    command_hides() { "the command has characters that cannot be shown, and is not run", "命令含有无法显示的字符，不会执行" }
    run_it() { "run it? [y]es, [e]dit, [?] explain, [N]o ", "执行吗？[y] 是，[e] 编辑，[?] 解释，[N] 否 " }
    command_ended(code: &str) { "the command ended with {code}", "命令以 {code} 结束" }

    // The editor.
    no_editor(name: &str, why: &str) { "the editor `{name}` cannot be run: {why}", "无法运行编辑器 `{name}`：{why}" }
    mcp_way(name: &str) { "mcp `{name}` wants either `command` or `url`", "mcp `{name}` 须在 `command` 与 `url` 中二选一" }
    mcp_key(name: &str, variable: &str) { "mcp `{name}`: the environment variable {variable} is not set", "mcp `{name}`：未设置环境变量 {variable}" }
    mcp_failed(name: &str, why: &str) { "MCP server `{name}` cannot be used: {why}", "MCP 服务器 `{name}` 无法使用：{why}" }
}

/// What `--help` says of these commands.
pub const HELP: &[Text] = &[
    t(
        "chat",
        "Answer a prompt; without one, on a terminal, hold a conversation",
        "回答一个提示词；在终端上不给提示词则进入对话",
    ),
    t(
        "chat.prompt",
        "What to ask; text on stdin is added to it; `-` is stdin alone",
        "要问的内容；标准输入的文本会附加其后；`-` 表示只用标准输入",
    ),
    t("chat.system", "Instructions the model gets first", "系统提示"),
    t(
        "chat.model",
        "A name from `qwenda models`, the path of a GGUF file, or the service's name of a model",
        "`qwenda models` 列出的名称、GGUF 文件路径，或远程服务的模型名",
    ),
    t("chat.local", "Answer here, whatever service the environment names", "由本机模型回答，不使用环境变量指定的服务"),
    t(
        "chat.context",
        "Most tokens of the conversation that are sent (default: what the model takes; services: 100000)",
        "发送的对话最多 token 数（默认为模型上限；远程服务为 100000）",
    ),
    t(
        "chat.summarize",
        "Summarise what outgrows the context instead of leaving it out; by another model of the service with =MODEL",
        "超出上下文的内容先概括再省略；=模型 可指定服务的另一个模型来概括",
    ),
    t("chat.think", "Have the model reason first, where it can", "让模型先思考（如支持）"),
    t("chat.no_think", "Have the model answer at once, where it can", "让模型直接回答（如支持）"),
    t(
        "chat.reasoning",
        "Show the reasoning as it comes, on stderr; otherwise one line says that there was some",
        "在标准错误实时显示思考过程；默认折叠为一行",
    ),
    t("chat.threads", "Threads that compute (default: the machine's cores)", "计算线程数（默认为机器的核数）"),
    t(
        "chat.temperature",
        "How freely to choose, [0, 2); 0 always takes the likeliest",
        "随机性，[0, 2)；0 表示总取最可能的 token",
    ),
    t(
        "chat.top_p",
        "Choose among the likeliest tokens of this total probability, (0, 1]",
        "只在累计概率达到此值的 token 中选择，(0, 1]",
    ),
    t(
        "chat.top_k",
        "Choose among this many likeliest tokens; 0 means all",
        "只在最可能的若干个 token 中选择；0 表示不限",
    ),
    t("chat.max_tokens", "Most tokens of the answer", "回答的最多 token 数"),
    t("chat.seed", "The same seed gives the same answer (default: 1234)", "相同的种子得到相同的回答（默认 1234）"),
    t("chat.stop", "End the answer before this text; may be repeated", "在此文本之前结束回答；可重复"),
    t(
        "chat.json",
        "What happens as JSON on stdout, an object a line; with --no-stream one record",
        "在标准输出逐行打印 JSON 事件；与 --no-stream 同用时只打印一条记录",
    ),
    t("chat.no_stream", "Print the answer when it is whole", "完成后一次性输出回答"),
    t("chat.plain", "Show the answer as it is written, without Markdown's looks", "按原文显示回答，不排版 Markdown"),
    t(
        "chat.file",
        "Send this file, folder or address along; may be repeated. `@PATH` in the prompt does the same",
        "附上文件、文件夹或网址；可重复。提示词中的 `@路径` 作用相同",
    ),
    t("chat.role", "Instructions with a name, from `qwenda templates`", "使用有名称的系统提示，见 `qwenda templates`"),
    t(
        "chat.template",
        "A prompt with a name, from `qwenda templates`",
        "使用有名称的提示词模板，见 `qwenda templates`",
    ),
    t("chat.vars", "A variable of the template; may be repeated", "模板的变量；可重复"),
    t("chat.session", "Keep the conversation under this name, and go on with it", "以此名称保存对话，并接着进行"),
    t("chat.go_on", "Go on with the session used last", "接着上一次使用的会话"),
    t(
        "sessions",
        "List, show, search, branch, export and delete conversations that are kept",
        "查看、搜索、分支、导出、删除已保存的对话",
    ),
    t("sessions list", "List the sessions, the one used last first", "列出会话，最近使用的在前"),
    t("sessions list.json", "As JSON", "输出 JSON"),
    t("sessions show", "Print a session", "打印会话"),
    t("sessions show.name", "Its name", "会话名称"),
    t("sessions show.json", "As JSON", "输出 JSON"),
    t("sessions search", "Find the turns in which all these words are", "查找包含所有这些词的问答"),
    t("sessions search.text", "The words", "要找的词"),
    t("sessions search.json", "As JSON", "输出 JSON"),
    t("sessions branch", "Begin a session with what was said in another", "以另一个会话的内容开始新会话"),
    t("sessions branch.name", "The session there is", "已有的会话"),
    t("sessions branch.new", "Name of the new one", "新会话的名称"),
    t("sessions branch.turns", "Only its first N turns", "只取前 N 轮"),
    t("sessions export", "Write a session as Markdown or JSON", "将会话导出为 Markdown 或 JSON"),
    t("sessions export.name", "Its name", "会话名称"),
    t("sessions export.format", "md or json (default: md)", "md 或 json（默认 md）"),
    t("sessions export.output", "Write it into this new file instead of stdout", "写入此新文件，而不是标准输出"),
    t("sessions delete", "Delete sessions", "删除会话"),
    t("sessions delete.names", "Their names", "会话名称"),
    t("templates", "List and show prompts and roles with a name", "查看提示词模板与角色"),
    t("templates list", "List them, with their variables", "列出模板、角色及其变量"),
    t("templates list.json", "As JSON", "输出 JSON"),
    t("templates show", "Print one, as a file of your own could say it", "打印一个模板，格式与自定义文件相同"),
    t("templates show.name", "Its name", "名称"),
    t(
        "chat.schema",
        "Hold the answer to this JSON schema, a file or the JSON itself; what does not fit is exit 12",
        "要求回答符合此 JSON schema（文件或 JSON 本身）；不符合时退出码为 12",
    ),
    t(
        "chat.tools",
        "Let the model call read_file, list_dir, fetch, shell, or an MCP server of the configuration; may be repeated. You are asked before what could do harm",
        "允许模型调用 read_file、list_dir、fetch、shell，或配置文件中的 MCP 服务器；可重复。可能有害的调用会先询问",
    ),
    t("chat.yes", "Allow calls of tools without asking, but for commands", "不经询问允许调用工具，但执行命令除外"),
    t(
        "chat.exec",
        "Write a shell command; it is shown, and run only when you say so",
        "写出一条 shell 命令；先显示，经同意后才执行",
    ),
    t("man", "Write manual pages, one for each command, into a folder", "将各命令的手册页写入文件夹"),
    t("man.dir", "The folder", "文件夹"),
];
