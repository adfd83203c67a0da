//! Every sentence the program says at run time, each in English and 简体中文, side by side.
//!
//! English: no full stop at the end of an error, a name in backticks. 中文：半角数字与英文单词两侧空一格。

use std::{fmt::Display, io};

use qwenda_backend::{models::Phase, upstream::config::ConfigError as UpstreamConfigError};
use qwenda_server::{accounts::AccountsError, config::ConfigError, keys::KeysError};
use qwenda_types::chat::Role;

use super::{
    Lang,
    money::{bad_accounts, bad_for, bad_term},
};

texts! {
    // Everywhere.
    error_label() { "error: ", "错误：" }
    see_help(command: &str) { "see `{command} --help`", "用法见 `{command} --help`" }

    // The command line and the settings.
    unknown_option(option: &str) { "there is no option `{option}`", "没有选项 `{option}`" }
    unknown_command(command: &str) { "there is no command `{command}`", "没有命令 `{command}`" }
    maybe(name: &str) { "did you mean `{name}`?", "是不是想输入 `{name}`？" }
    no_command() { "a command is missing", "缺少命令" }
    missing_argument(names: &str) { "missing: {names}", "缺少：{names}" }
    missing_value(option: &str) { "`{option}` needs a value", "`{option}` 后面缺少值" }
    bad_value(value: &str, option: &str) { "`{value}` does not do for `{option}`", "`{option}` 不能是 `{value}`" }
    values_are(values: &str) { "it takes: {values}", "可以是：{values}" }
    conflict(one: &str, other: &str) { "`{one}` cannot be used with `{other}`", "`{one}` 不能与 `{other}` 同时使用" }
    given_twice(option: &str) { "`{option}` is given twice", "`{option}` 重复了" }
    too_many(value: &str, option: &str) { "one too many for `{option}`: `{value}`", "`{option}` 多了一个值：`{value}`" }
    argument_not_utf8() { "an argument is not UTF-8 text", "命令行参数不是 UTF-8 文本" }
    out_of_range(name: &str, range: &str, value: &str) {
        "{name} must be in {range}, not {value}",
        "{name} 的范围是 {range}，不能是 {value}"
    }
    empty_stop() { "--stop must not be empty", "--stop 不能为空" }
    bad_variable(name: &str, value: &str) {
        "the environment variable {name} cannot be `{value}`",
        "环境变量 {name} 不能是 `{value}`"
    }
    bad_catalogue(what: &dyn Display) { "the catalogue of models cannot be read: {what}", "无法读取模型目录：{what}" }
    bad_config(file: &str, what: &str) { "{file}: {what}", "配置文件 {file} 有误：{what}" }
    invalid_field(field: &str, what: &str) { "{field}: {what}", "{field}：{what}" }

    // What comes in.
    stdin_name() { "stdin", "标准输入" }
    waiting_for_stdin() {
        "waiting for text on stdin; if there is none to come, run it with < /dev/null",
        "正在等待标准输入的文本；若没有输入，请加上 < /dev/null"
    }
    no_prompt() {
        "there is no prompt; give one, as in `qwenda chat \"hello\"`, or run `qwenda chat` on a terminal for a conversation",
        "没有提示词；请直接给出，例如 `qwenda chat \"你好\"`，或在终端里运行 `qwenda chat` 进入对话"
    }
    empty_prompt() { "the prompt is empty", "提示词是空的" }
    no_text() {
        "there is no text; give it, or `@FILE`, or `-` for stdin",
        "没有文本；请直接给出，或用 `@文件`，或用 `-` 表示标准输入"
    }
    empty_text() { "the text is empty: there is nothing to score", "文本是空的，无可评分" }
    not_utf8(name: &str, offset: usize, byte: u8) {
        "{name} is not UTF-8 text: byte {offset} (0x{byte:02x}) cannot stand there",
        "{name} 不是 UTF-8 文本：第 {offset} 字节（0x{byte:02x}）无法解读（从 0 数起）"
    }
    convert_from(encoding: &str) {
        "convert it first, for example from {encoding}: iconv -f {encoding} -t UTF-8",
        "请先转换编码，例如从 {encoding} 转换：iconv -f {encoding} -t UTF-8"
    }
    input_too_large(name: &str, mib: u64) { "{name} is larger than {mib} MiB", "{name} 超过 {mib} MiB" }
    exists(name: &str) { "{name} exists; choose another name", "{name} 已存在，请换一个名字" }
    no_messages() { "it should be an array of messages, with at least one", "应为消息数组，且至少有一条消息" }
    no_tools() { "it should be an array of tools", "应为工具数组" }
    bad_messages(file: &str, what: &str) { "{file}: {what}", "{file} 有误：{what}" }

    // Models.
    unknown_model(name: &str) { "there is no model `{name}`", "没有模型 `{name}`" }
    list_models() { "`qwenda models` lists them; the path of a GGUF file does too", "`qwenda models` 列出所有模型；也可以给出 GGUF 文件的路径" }
    no_such_file(path: &str) { "there is no file {path}", "没有文件 {path}" }
    not_a_file(path: &str) { "{path} is not a file", "{path} 不是文件" }
    unusable_model(name: &str, what: &dyn Display) { "the model `{name}` cannot be used: {what}", "模型 `{name}` 无法使用：{what}" }
    loading(name: &str) { "loading {name}", "正在加载 {name}" }
    is_here() { "installed", "已安装" }
    is_not_here() { "-        ", "未安装" }
    is_default() { "(default)", "（默认）" }
    models_folder(path: &str) { "models are kept in {path}", "模型保存在 {path}" }

    // Fetching.
    pulling(name: &str, size: &str, folder: &str) { "fetching {name} ({size}) into {folder}", "正在获取 {name}（{size}），存放于 {folder}" }
    pulled(name: &str, path: &str) { "{name} is ready: {path}", "{name} 已就绪：{path}" }
    here_already(name: &str, path: &str) { "{name} is here already: {path}", "{name} 已经在了：{path}" }
    time_left() { "left", "剩余" }
    pull_stopped() {
        "stopped; what was fetched is kept, the next `qwenda pull` goes on from there",
        "已停止；已下载的部分会保留，下次 `qwenda pull` 从断点继续"
    }
    no_network(name: &str) { "`{name}` cannot be fetched: no source can be reached", "无法获取 `{name}`：所有来源都连接不上" }
    no_source(name: &str) { "`{name}` cannot be fetched: no source has it", "无法获取 `{name}`：没有来源提供它" }
    pull_from(name: &str) {
        "check the network, or take a copy you have: qwenda pull {name} --from FILE_OR_FOLDER",
        "请检查网络，或使用已有的文件：qwenda pull {name} --from 文件或文件夹"
    }
    wrong_hash(name: &str, from: &str, want: &str, got: &str) {
        "what {from} sent is not `{name}` and was thrown away: its SHA-256 is {got}, not {want}",
        "{from} 提供的内容不是 `{name}`，已丢弃：SHA-256 是 {got}，应为 {want}"
    }
    not_there(path: &str, what: &str) { "{path} is not the model: {what}", "{path} 不是这个模型：{what}" }
    disk_full(path: &str, needed: &str, free: &str) {
        "not enough room in {path}: {needed} are needed, {free} are free",
        "{path} 所在磁盘空间不足：需要 {needed}，剩余 {free}"
    }
    source_unreachable(why: &str) { "cannot be reached ({why})", "连接不上（{why}）" }
    source_lacks(why: &str) { "does not have it ({why})", "没有提供（{why}）" }
    source_wrong_length(want: u64, got: u64) { "sent {got} bytes instead of {want}", "返回了 {got} 字节，应为 {want} 字节" }
    source_wrong_hash() { "sent something else (wrong SHA-256)", "返回的内容不对（SHA-256 不符）" }
    source_no_pip() { "needs Python 3 with pip, which is not here", "需要 Python 3 和 pip，本机没有" }
    source_failed(why: &str) { "failed ({why})", "失败（{why}）" }

    // Answers.
    reading_prompt() { "reading the prompt", "正在读取提示词" }
    usage_tokens(prompt: u64, completion: u64) { "{prompt} tokens in, {completion} out", "输入 {prompt} token，输出 {completion} token" }
    usage_first_token(seconds: f64) { ", first after {seconds:.2} s", "，首 token {seconds:.2} 秒" }
    usage_rate(rate: f64) { ", {rate:.1} tokens/s", "，{rate:.1} token/秒" }
    prompt_too_long(prompt: u32, limit: u32) {
        "the prompt has {prompt} tokens, more than the {limit} that the model takes",
        "提示词有 {prompt} 个 token，超过模型上限 {limit} 个"
    }
    text_too_long(text: u32, limit: u32) {
        "the text has {text} tokens, more than the {limit} that the model takes",
        "文本有 {text} 个 token，超过模型上限 {limit} 个"
    }
    busy() { "all places are taken; try again in a moment", "当前繁忙，请稍后再试" }
    cut_by_max_tokens(most: u32) { "cut off after {most} tokens (--max-tokens)", "已达到 {most} 个 token 的上限（--max-tokens），回答被截断" }
    cut_off(tokens: u64) { "cut off after {tokens} tokens; --max-tokens allows more", "已输出 {tokens} 个 token，回答被截断；可用 --max-tokens 放宽" }
    cut_by_context(most: u32) { "cut off: the model's context of {most} tokens is full", "模型的上下文（{most} 个 token）已满，回答被截断" }

    // Scores.
    score_line(perplexity: f64, mean: f64, tokens: usize) {
        "perplexity {perplexity:.3}, mean loss {mean:.4} nats, {tokens} tokens",
        "困惑度 {perplexity:.3}，平均损失 {mean:.4} nat，{tokens} 个 token"
    }
    score_one() {
        "perplexity -, one token: nothing comes before it that could predict it",
        "困惑度 -，只有一个 token，前面没有可用于预测它的内容"
    }
    scoring() { "scoring", "正在计算" }

    // Benches.
    checking() { "checking the answers", "正在核对回答" }
    measuring(what: &str) { "measuring ({what})", "正在测量（{what}）" }
    bench_nothing() {
        "there is nothing to measure: the model's context has no room for any row",
        "没有可测的内容：模型的上下文放不下任何一行"
    }
    bench_what(model: &str, isa: &str, threads: usize, rounds: u32) {
        "{model}, {isa}, threads: {threads}, rounds: {rounds} (medians)",
        "{model}，{isa}，线程数 {threads}，轮数 {rounds}（中位数）"
    }
    bench_machine(reads: f64, multiplies: &str, weights: f64) {
        "this machine reads {reads:.1} GB/s and multiplies {multiplies} billion int8 pairs/s; a token reads {weights:.3} GB of weights",
        "本机读内存 {reads:.1} GB/s，每秒 int8 乘加 {multiplies} 十亿次；每个 token 读取 {weights:.3} GB 权重"
    }
    bench_checked() {
        "checked: the same tokens in one piece, in chunks and in a batch",
        "已核对：整段、分块与批量计算得到相同的 token"
    }
    bench_columns() {
        "                  tok/s                range    ceiling    share",
        "                token/秒                范围       上限     占比"
    }
    bench_prefill() { "prefill: tokens of the prompt", "预填充：提示词 token 数" }
    bench_decode(tokens: u32) {
        "decode: {tokens} tokens of one sequence, by the tokens before them",
        "生成：单个序列 {tokens} 个 token，按此前的 token 数"
    }
    bench_depth() { "@", "@" }
    bench_batch(tokens: u32, depth: u32) {
        "batch: {tokens} tokens each behind {depth}, by sequences at once, all together",
        "批量：每个序列在 {depth} 个 token 之后生成 {tokens} 个，按同时的序列数，合计"
    }
    bench_http(callers: u32, system: u32, tokens: u32) {
        "HTTP: {callers} callers at once, {system} tokens of instructions in common, {tokens} tokens each, streamed",
        "HTTP：{callers} 个并发请求，共同的系统提示 {system} token，各输出 {tokens} token，流式"
    }
    bench_waits(p50: f64, p95: f64, gap: f64) {
        "  time to first token {p50:.0} ms (p50), {p95:.0} ms (p95); longest gap in a stream {gap:.0} ms",
        "  首 token 用时 {p50:.0} ms（p50）、{p95:.0} ms（p95）；流中最长间隔 {gap:.0} ms"
    }

    // The conversation.
    welcome(model: &str) { "{model} on this machine · /help lists the commands, Ctrl-D leaves", "{model}（本机）· /help 查看命令，Ctrl-D 退出" }
    how_to_leave() { "Ctrl-D or /quit leaves", "按 Ctrl-D 或输入 /quit 退出" }
    typed_not_utf8() { "that was not UTF-8 text; the line is thrown away", "输入不是 UTF-8 文本，已放弃这一行" }
    stopped() { "(stopped)", "（已停止）" }
    left_out(exchanges: usize, limit: usize) {
        "the conversation outgrew the model's {limit} tokens: its {exchanges} oldest question(s) and answer(s) are left out from now on",
        "对话超出模型的 {limit} 个 token：最早的 {exchanges} 轮问答从此不再带上"
    }
    cleared() { "a new conversation begins", "已开始新的对话" }
    system_is(text: &str) { "the system prompt is: {text}", "系统提示是：{text}" }
    no_system() { "there is no system prompt; /system TEXT sets one", "没有系统提示；用 /system 文本 来设置" }
    system_set() { "the system prompt is set; `/system -` takes it away", "已设置系统提示；`/system -` 可取消" }
    system_gone() { "the system prompt is gone", "已取消系统提示" }
    model_is(name: &str) { "{name} answers", "由 {name} 回答" }
    save_where() { "where to? /save FILE.md or /save FILE.json", "保存到哪里？/save 文件.md 或 /save 文件.json" }
    saved(path: &str) { "saved to {path}", "已保存到 {path}" }
    unknown_slash(name: &str) { "there is no command {name} (`//` sends a text that begins with `/`)", "没有命令 {name}（要发送以 `/` 开头的文本，请以 `//` 开头）" }

    // The service.
    no_key_yet(command: &str) {
        "there is no API key yet; make one: {command}",
        "还没有 API key；创建一个：{command}"
    }
    no_auth() { "anybody who reaches this address may ask (--no-auth)", "任何能访问此地址的人都可以调用（--no-auth）" }
    draining() { "finishing the open requests; Ctrl-C again ends at once", "正在完成进行中的请求；再按一次 Ctrl-C 立即结束" }
    upstream_unusable(name: &str, why: &str) { "upstream `{name}` cannot be asked: {why}", "上游 `{name}` 无法使用：{why}" }
    model_given_twice(name: &str) { "the model `{name}` is given twice", "模型 `{name}` 重复了" }
    key_shown_once(name: &str) { "this is the key `{name}`; it is shown this once and cannot be shown again", "这是 key `{name}`；仅显示这一次，之后无法再次查看" }
    no_keys() { "there are no keys; `qwenda keys create` makes one", "还没有 key；用 `qwenda keys create` 创建" }
    key_revoked(name: &str, last4: &str) { "revoked `{name}` (…{last4})", "已吊销 `{name}`（…{last4}）" }
    works() { "works  ", "有效  " }
    is_revoked() { "revoked", "已吊销" }
    no_such_key(which: &str) { "there is no key `{which}`; `qwenda keys list` shows them", "没有 key `{which}`；`qwenda keys list` 可查看" }
    several_keys(which: &str, ids: &str) { "`{which}` fits several keys; say which by its id: {ids}", "`{which}` 对应多个 key，请用 id 指明：{ids}" }
}

/// Why the system would not, without its error number.
fn why(lang: Lang, error: &io::Error) -> String {
    let known = match (lang, error.kind()) {
        (Lang::Zh, io::ErrorKind::NotFound) => "文件或文件夹不存在",
        (Lang::Zh, io::ErrorKind::PermissionDenied) => "没有权限",
        (Lang::Zh, io::ErrorKind::IsADirectory) => "它是文件夹",
        (Lang::Zh, io::ErrorKind::NotADirectory) => "路径中有一段不是文件夹",
        (Lang::Zh, io::ErrorKind::AddrInUse) => "地址已被占用",
        (Lang::Zh, io::ErrorKind::AddrNotAvailable) => "本机没有这个地址",
        (Lang::Zh, io::ErrorKind::StorageFull) => "磁盘已满",
        _ => {
            let text = error.to_string();
            return text.split(" (os error").next().unwrap_or_default().to_lowercase();
        }
    };
    known.to_owned()
}

pub fn cannot_read(lang: Lang, name: &str, error: &io::Error) -> String {
    let why = why(lang, error);
    match lang {
        Lang::En => format!("cannot read {name}: {why}"),
        Lang::Zh => format!("无法读取 {name}：{why}"),
    }
}

pub fn cannot_write(lang: Lang, name: &str, error: &io::Error) -> String {
    let why = why(lang, error);
    match lang {
        Lang::En => format!("cannot write {name}: {why}"),
        Lang::Zh => format!("无法写入 {name}：{why}"),
    }
}

pub fn cannot_listen(lang: Lang, address: &str, error: &io::Error) -> String {
    let why = why(lang, error);
    match lang {
        Lang::En => format!("cannot listen on {address}: {why}"),
        Lang::Zh => format!("无法监听 {address}：{why}"),
    }
}

/// The names a mistyped one may have meant.
pub fn did_you_mean(lang: Lang, near: &[String]) -> String {
    let names = near.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    match lang {
        Lang::En => format!("did you mean {}?", names.join(" or ")),
        Lang::Zh => format!("是不是 {}？", names.join("、")),
    }
}

/// What a pull is doing.
pub fn pull_phase(lang: Lang, model: &str, phase: Phase, source: &str) -> String {
    match (lang, phase) {
        (Lang::En, Phase::Waiting) => format!("{model}: waiting for another process that fetches it"),
        (Lang::Zh, Phase::Waiting) => format!("{model}：等待另一个进程完成下载"),
        (Lang::En, Phase::Fetching) => format!("{model}: fetching from {source}"),
        (Lang::Zh, Phase::Fetching) => format!("{model}：正在从 {source} 下载"),
        (Lang::En, Phase::Verifying) => format!("{model}: verifying the SHA-256"),
        (Lang::Zh, Phase::Verifying) => format!("{model}：正在校验 SHA-256"),
    }
}

/// What is wrong with the settings of the service.
pub fn bad_serve_settings(lang: Lang, error: &ConfigError) -> String {
    match (lang, error) {
        (Lang::En, error) => error.to_string(),
        (Lang::Zh, ConfigError::Listen { value }) => {
            format!("`{value}` 不是监听地址；请写成 127.0.0.1:8080 或 [::1]:8080")
        }
        (Lang::Zh, ConfigError::DatabaseUrl) => {
            "数据库的 URL 应以 postgres:// 开头，例如 postgres://USER:PASSWORD@HOST/NAME".to_owned()
        }
        (Lang::Zh, ConfigError::Auth { value }) => format!("auth 只能是 `keys` 或 `none`，不能是 `{value}`"),
        (Lang::Zh, ConfigError::Strictness { value }) => {
            format!("strictness 只能是 `auto`、`qwen` 或 `openai`，不能是 `{value}`")
        }
        (Lang::Zh, ConfigError::Flag { name, value }) => {
            format!("{name} 只能是 `1`、`true`、`0` 或 `false`，不能是 `{value}`")
        }
        (Lang::Zh, ConfigError::AliasTarget { alias, model, served }) => {
            format!("别名 `{alias}` 指向 `{model}`，但该模型未被提供；已提供的模型：{served}")
        }
        (Lang::Zh, ConfigError::AliasTaken { alias }) => format!("别名 `{alias}` 已是某个已提供模型的名称"),
        (Lang::Zh, ConfigError::AliasShape { value }) => {
            format!("别名需要名称和模型，写作 NAME=MODEL，不能是 `{value}`")
        }
        (Lang::Zh, ConfigError::OpenToAll { listen }) => {
            format!("不要求 key（--no-auth）只能用于本机地址；{listen} 可以从外部访问")
        }
        (Lang::Zh, ConfigError::Origin { value }) => format!(
            "`{value}` 不是来源（origin）；请只写 `*`，或写 https://app.example、http://localhost:3000 这样的来源"
        ),
        (Lang::Zh, ConfigError::TooSmall { field, least, value }) => {
            format!("{field} 至少为 {least}，不能是 {value}")
        }
        (Lang::Zh, ConfigError::File(what)) => format!("配置有误：{what}"),
    }
}

/// What is wrong with the settings of an upstream.
pub fn bad_upstream(lang: Lang, error: &UpstreamConfigError) -> String {
    use UpstreamConfigError as Wrong;
    match (lang, error) {
        (Lang::En, error) => error.to_string(),
        (Lang::Zh, Wrong::Missing { upstream, field }) => format!("上游 `{upstream}`：缺少 `{field}`"),
        (Lang::Zh, Wrong::Twice { upstream }) => format!("有两个上游都叫 `{upstream}`"),
        (Lang::Zh, Wrong::Url { upstream, field }) => format!(
            "上游 `{upstream}`：`{field}` 应是 http://127.0.0.1:8000/v1 这样的地址，不带用户名、密码、查询参数或片段"
        ),
        (Lang::Zh, Wrong::Endpoint { upstream, endpoint }) => {
            format!("上游 `{upstream}`：`base_url` 不应包含 `{endpoint}`，该部分会自动加上")
        }
        (Lang::Zh, Wrong::KeyTwice { upstream }) => {
            format!("上游 `{upstream}`：`api_key` 和 `api_key_env` 只能写一个")
        }
        (Lang::Zh, Wrong::KeyUnset { upstream, variable }) => {
            format!("上游 `{upstream}`：`api_key_env` 指定的环境变量 {variable} 未设置")
        }
        (Lang::Zh, Wrong::KeyUnusable { upstream }) => {
            format!("上游 `{upstream}`：其 key 含有无法放入请求头的字符")
        }
        (Lang::Zh, Wrong::OutOfRange { upstream, field, least, most, value }) => {
            format!("上游 `{upstream}`：`{field}` 的范围是 {least} 到 {most}，不能是 {value}")
        }
    }
}

/// What is wrong with the data folder.
pub fn bad_store(lang: Lang, error: &dyn Display) -> String {
    match lang {
        Lang::En => error.to_string(),
        Lang::Zh => format!("数据文件夹无法使用：{error}"),
    }
}

/// What is wrong with the keys.
pub fn bad_keys(lang: Lang, error: &KeysError) -> String {
    match (lang, error) {
        (Lang::Zh, KeysError::OtherSecret { path }) => {
            format!("密钥文件 {} 不是创建这些 key 时的那一个；请放回原来的文件，或换一个新的数据文件夹", path.display())
        }
        (Lang::Zh, KeysError::Name) => "key 的名称应有 1 到 100 个字符，不能含控制字符".to_owned(),
        (Lang::Zh, KeysError::Secret { path, source }) => {
            format!("无法读取或创建密钥文件 {}：{source}", path.display())
        }
        (_, KeysError::Terms(error)) => bad_term(lang, error),
        (_, KeysError::NoSuchAccount { wanted }) => {
            bad_accounts(lang, &AccountsError::NoSuchAccount { wanted: wanted.clone() })
        }
        (_, KeysError::Store(error)) => bad_store(lang, error),
        (Lang::En, KeysError::BelowSpent { period, budget, spent }) => {
            let why = format!("{spent} of it is spent already; give at least that, or revoke the key");
            bad_for(lang, &format!("--budget-{period}"), &budget.to_string(), &why)
        }
        (Lang::Zh, KeysError::BelowSpent { period, budget, spent }) => {
            let why = format!("已经用了 {spent}；请给出不少于此的金额，或吊销 key");
            bad_for(lang, &format!("--budget-{period}"), &budget.to_string(), &why)
        }
        (_, KeysError::Overlap { seconds }) => super::admin::bad_overlap(lang, &seconds.to_string()),
        (Lang::Zh, KeysError::Changed) => "key 刚刚被他人修改或吊销；请查看后重试".to_owned(),
        (Lang::Zh, KeysError::NoSuchProject { wanted }) => {
            format!("没有名称或 id 为 `{wanted}` 的项目；用 `qwenda projects create` 创建")
        }
        (Lang::Zh, KeysError::AmbiguousProject { wanted, ids }) => {
            format!("`{wanted}` 对应多个项目；请使用其 id：{}", ids.join("、"))
        }
        (Lang::Zh, KeysError::OtherAccount { project, account }) => format!("项目 `{project}` 不属于账户 `{account}`"),
        (_, error) => error.to_string(),
    }
}

/// Who speaks, in a saved conversation.
pub fn speaker(lang: Lang, role: Role) -> &'static str {
    match (lang, role) {
        (Lang::En, Role::System) => "System",
        (Lang::Zh, Role::System) => "系统提示",
        (Lang::En, Role::User) => "Me",
        (Lang::Zh, Role::User) => "我",
        (Lang::En, Role::Assistant) => "Model",
        (Lang::Zh, Role::Assistant) => "模型",
        (Lang::En, Role::Tool) => "Tool",
        (Lang::Zh, Role::Tool) => "工具",
    }
}
