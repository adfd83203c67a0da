//! Every sentence the program says at run time, each in English and 简体中文, side by side.
//!
//! English: no full stop at the end of an error, a name in backticks. 中文：半角数字与英文单词两侧空一格。

use std::{fmt::Display, io};

use qwenda_backend::{models::Phase, upstream::config::ConfigError as UpstreamConfigError};
use qwenda_server::{
    accounts::{AccountsError, Difference, WrongCharge},
    backup::BackupError,
    config::ConfigError,
    keys::{BadTerm, KeysError, Kind, MoneyError, Nanos},
    prices::{BookError, PriceError, PricesError},
};
use qwenda_types::chat::Role;

use super::Lang;

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
    base_url_unused(url: &str) {
        "QWENDA_BASE_URL is set ({url}), but this version calls no other service yet: the embedded engine answers",
        "设置了 QWENDA_BASE_URL（{url}），但本版本尚不能调用其他服务：由内置引擎回答"
    }
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
    usage_tokens(prompt: u32, completion: u32) { "{prompt} tokens in, {completion} out", "输入 {prompt} token，输出 {completion} token" }
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
    cut_off(tokens: u32) { "cut off after {tokens} tokens; --max-tokens allows more", "已输出 {tokens} 个 token，回答被截断；可用 --max-tokens 放宽" }
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
    welcome(model: &str) { "{model} · /help lists the commands, Ctrl-D leaves", "{model} · /help 查看命令，Ctrl-D 退出" }
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
    repl_help() {
"/help          this list
/clear         begin a new conversation
/model [NAME]  show the models, or go on with another one
/system [TEXT] show or set the system prompt; `-` takes it away
/save FILE     keep the conversation as Markdown, or as JSON in FILE.json
/quit          leave (also Ctrl-D)
A line that ends in \\ goes on; so does a text between \"\"\" and \"\"\". Alt-Enter breaks a line.
Ctrl-C stops an answer. A line that begins with a space is not kept in the history.",
"/help          显示本列表
/clear         开始新的对话
/model [名称]  列出模型，或换一个模型继续
/system [文本] 查看或设置系统提示；`-` 取消
/save 文件     保存对话：默认 Markdown，文件名以 .json 结尾则为 JSON
/quit          退出（也可按 Ctrl-D）
行尾的 \\ 表示续行；\"\"\" 与 \"\"\" 之间可以有多行；Alt-Enter 换行。
Ctrl-C 停止回答。以空格开头的一行不会记入历史。"
    }

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

    // Accounts.
    list_accounts() { "`qwenda accounts list` shows them", "`qwenda accounts list` 可查看所有账户" }
    no_accounts() { "there are no accounts; `qwenda accounts create NAME` makes one", "还没有账户；用 `qwenda accounts create 名称` 创建" }
    account_made(name: &str, currency: &str) { "made the account `{name}` ({currency}); this is its id", "已创建账户 `{name}`（{currency}），其 id 为" }
    accounts_headings() {
        "NAME  CURRENCY  >BALANCE  >HELD  >CREDIT  >CAN SPEND  STATE  ID",
        "名称  币种  >余额  >冻结  >信用额度  >可用  状态  ID"
    }
    account_facts() {
        "account  id  currency  balance  held  credit  can spend  stops without quota  state  made",
        "账户  id  币种  余额  冻结  信用额度  可用  免费额度用完即停  状态  创建时间"
    }
    tokens_headings() { "KIND  MODELS  >TOKENS  >HELD  EXPIRES", "类型  模型  >TOKEN  >冻结  失效时间" }
    yes() { "yes", "是" }
    no() { "no", "否" }
    is_suspended() { "suspended", "已停用" }
    is_over() { " (over)", "（已失效）" }
    nothing_to_set() {
        "there is nothing to change; give --credit, --quota-stops or --suspended",
        "没有要修改的内容；请给出 --credit、--quota-stops 或 --suspended"
    }
    nothing_to_pay() { "AMOUNT cannot be 0; give more, or less as in `-- -5`", "AMOUNT 不能是 0；请给出正数，或用 `-- -5` 这样的负数退款" }
    dashes_before() { "for a negative amount write `--` before it, as in `qwenda topup NAME -- -5`", "负数金额前请加 `--`，例如 `qwenda topup 名称 -- -5`" }
    balance_full(amount: &str, balance: &str, currency: &str) {
        "AMOUNT cannot be `{amount}`: with the balance of {balance} {currency} it is more than a balance can hold; pay in less",
        "AMOUNT 不能是 `{amount}`：加上余额 {balance} {currency} 会超出可记录的范围；请减少金额"
    }
    paid_in(amount: &str, currency: &str, name: &str) { "paid {amount} {currency} into `{name}`", "已向 `{name}` 充值 {amount} {currency}" }
    paid_back(amount: &str, currency: &str, name: &str) { "paid {amount} {currency} back from `{name}`", "已从 `{name}` 退款 {amount} {currency}" }
    granted(tokens: u64, models: &str, name: &str) {
        "gave `{name}` {tokens} tokens for the models `{models}`",
        "已向 `{name}` 发放 {tokens} 个 token，用于模型 `{models}`"
    }
    done_already(id: &str) { "nothing was done: `{id}` was done before; this is the account as it is", "未执行：编号 `{id}` 之前已执行过；以下为账户现状" }
    empty_id() { "--id cannot be empty; leave it out, or give one of your own", "--id 不能为空；请省略，或给出自定的编号" }
    bad_note(field: &str, max: usize) {
        "{field} has at most {max} characters and none that control a terminal",
        "{field} 最多 {max} 个字符，且不能含控制字符"
    }
    bad_for(field: &str, value: &str, why: &str) { "{field} cannot be `{value}`: {why}", "{field} 不能是 `{value}`：{why}" }
    bad_time(field: &str, value: &str) { "{field} cannot be `{value}`: it is no time", "{field} 不能是 `{value}`：不是时间" }
    times_are() {
        "times (UTC) are written 2026-12-31, 2026-12-31T08:00:00Z, as Unix seconds, or as 30d or 12h from now",
        "时间（UTC）可写作 2026-12-31、2026-12-31T08:00:00Z、Unix 秒，或距现在的 30d、12h"
    }
    time_over(field: &str, value: &str, at: &str) {
        "{field} cannot be `{value}`: {at} is over; give a time that is still to come",
        "{field} 不能是 `{value}`：{at} 已经过去；请给出将来的时间"
    }
    usage_headings() {
        "TIME  ACCOUNT  KEY  MODEL  >REQUESTS  >INPUT  >CACHED  >OUTPUT  >CHARGE  CURRENCY",
        "时间  账户  KEY  模型  >请求数  >输入  >缓存命中  >输出  >费用  币种"
    }
    total() { "total", "合计" }
    nothing_used(from: &str) { "nothing was used since {from}; `--from` looks further back", "{from} 以来没有用量；可用 `--from` 查看更早的" }
    from_behind_until() { "--from must lie before --until; change either", "--from 必须早于 --until，请修改其一" }
    too_many_rows(max: usize) {
        "these are more than {max} rows; take a shorter time (--from, --until), one account or key, or `--by day`",
        "结果超过 {max} 行；请缩短时间（--from、--until），只看一个账户或 key，或用 `--by day`"
    }
    sum_too_great() { "the sum is greater than an amount can be; take a shorter time", "合计超出金额的范围；请缩短时间" }
    bad_month(value: &str) {
        "--month cannot be `{value}`: a month is written as 2026-02",
        "--month 不能是 `{value}`：月份写作 2026-02"
    }
    month_not_over(month: &str) { "{month} is not over (UTC): more may come", "{month}（UTC）尚未结束，之后可能还有费用" }
    bill_title(name: &str, month: &str, currency: &str) {
        "{name}, {month} (UTC), {currency}; prices are per million tokens",
        "{name}，{month}（UTC），{currency}；价格按每百万 token 计"
    }
    bill_headings() {
        "TIME  REQUEST  KEY  MODEL  STATUS  >QUOTA  >PACK  >CHARGE  LINES",
        "时间  请求  KEY  模型  状态  >免费额度  >资源包  >费用  明细"
    }
    models_headings() {
        "MODEL  >REQUESTS  >INPUT  >CACHED  >OUTPUT  >QUOTA  >PACK  >CHARGE",
        "模型  >请求数  >输入  >缓存命中  >输出  >免费额度  >资源包  >费用"
    }
    bill_total(total: &str, currency: &str) { "total {total} {currency}", "合计 {total} {currency}" }
    bill_differs(bill: &str, booked: &str) {
        "the requests of the month come to {bill}, its sums by day to {booked}; `qwenda audit` finds where",
        "该月请求合计为 {bill}，按日汇总为 {booked}；用 `qwenda audit` 查找原因"
    }
    lines_differ(id: &str, charge: &str) {
        "the lines of request {id} do not come to its charge of {charge}",
        "请求 {id} 的明细合计不等于其费用 {charge}"
    }
    price_made(model: &str, currency: &str, from: &str) {
        "`{model}` has this price ({currency}) from {from} on; this is its id",
        "`{model}` 从 {from} 起使用此价格（{currency}），其 id 为"
    }
    first_price(model: &str) {
        "no price of `{model}` was there before: make sure that callers write this name",
        "此前没有 `{model}` 的价格：请确认调用者使用的就是这个名称"
    }
    list_prices() { "`qwenda prices list` shows what is there; --from and --until say when a price holds", "`qwenda prices list` 可查看已有价格；--from 与 --until 指定价格的有效期" }
    bad_tier(value: &str) {
        "--tier cannot be `{value}`: a tier is written TOKENS:INPUT:OUTPUT or TOKENS:INPUT:OUTPUT:THINKING, as 131072:0.8:2",
        "--tier 不能是 `{value}`：应写作 TOKEN数:输入:输出 或 TOKEN数:输入:输出:思考，例如 131072:0.8:2"
    }
    no_prices() { "no model of this name has a price; `qwenda prices list` shows all", "没有此名称的模型价格；`qwenda prices list` 可查看全部" }
    prices_headings() {
        "MODEL  CURRENCY  >INPUT UP TO  >INPUT  >OUTPUT  >THINKING  ACCOUNT  FROM  UNTIL  PRICE",
        "模型  币种  >输入不超过  >输入  >输出  >思考  账户  生效  失效  价格"
    }
    audited(buckets: u64, transfers: u64, requests: u64, holds: u64) {
        "{buckets} balances, {transfers} transfers, {requests} requests, {holds} open holds",
        "余额 {buckets} 个，流水 {transfers} 笔，请求 {requests} 个，未结冻结 {holds} 笔"
    }
    books_wrong(what: &str) { "the books do not add up: {what}", "账目不符：{what}" }
    backed_up(secret: &dyn Display) {
        "keep a copy of {secret}; without it no key of this backup works",
        "请另外保存 {secret}；没有它，备份里的 key 都无法使用"
    }
    budget_without_account(field: &str) {
        "{field} needs --account: requests of a key without an account cost nothing",
        "{field} 需要 --account：没有账户的 key 不计费"
    }
    budget_of_no_account(field: &str) {
        "{field} is for keys of an account: requests of this key cost nothing",
        "{field} 只用于属于账户的 key：此 key 的请求不计费"
    }
    limits_set(name: &str, last4: &str) { "changed `{name}` (…{last4}); it holds from the next request on", "已修改 `{name}`（…{last4}），从下一个请求起生效" }
    limits_facts() {
        "key  id  account  models  networks  expires  requests a minute  tokens a minute  requests at one time  budget of the day  budget of the month  budget in all",
        "key  id  账户  模型  来源网段  失效时间  每分钟请求数  每分钟 token 数  同时的请求数  今日预算  本月预算  总预算"
    }
    not_limited() { "not limited", "不限" }
    budget_spent(budget: &str, spent: &str) { "{budget}, spent {spent}", "{budget}，已用 {spent}" }
    key_headings() {
        "ID  LAST4  STATE  NAME  ACCOUNT  TERMS",
        "ID  末四位  状态  名称  账户  限制"
    }
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
        (_, error) => error.to_string(),
    }
}

/// What is wrong with an amount or a currency.
pub fn bad_money(lang: Lang, field: &str, value: &str, error: &MoneyError) -> String {
    let why = match (lang, error) {
        (Lang::En, error) => error.to_string(),
        (Lang::Zh, MoneyError::Character { character }) => format!("金额只能有数字和一个小数点，不能有 {character:?}"),
        (Lang::Zh, MoneyError::Digits) => "小数点前后都要有数字，如 `0.5`".to_owned(),
        (Lang::Zh, MoneyError::Decimals { decimals }) => format!("金额最多 9 位小数，这里有 {decimals} 位"),
        (Lang::Zh, MoneyError::Negative) => "此金额不能为负".to_owned(),
        (Lang::Zh, MoneyError::Overflow) => format!("金额的范围是 {} 到 {}", Nanos::MIN, Nanos::MAX),
        (Lang::Zh, MoneyError::Currency { .. }) => "币种只有 CNY 和 USD".to_owned(),
    };
    bad_for(lang, field, value, &why)
}

/// What is wrong with a term of a key.
pub fn bad_term(lang: Lang, error: &BadTerm) -> String {
    let field = format!("--{}", error.field.replace('_', "-"));
    let why = match (lang, error.field) {
        (Lang::En, _) => error.why.clone(),
        (Lang::Zh, "models") => "应为模型名称，或以一个 `*` 结尾的前缀，不含空白".to_owned(),
        (Lang::Zh, "networks") => "应为 10.0.0.0/8 这样的网段，主机位为 0".to_owned(),
        (Lang::Zh, _) => "不能为负".to_owned(),
    };
    bad_for(lang, &field, &error.value, &why)
}

/// What is wrong with an account.
pub fn bad_accounts(lang: Lang, error: &AccountsError) -> String {
    match (lang, error) {
        (lang, AccountsError::Folder(error)) => bad_keys(lang, error),
        (_, AccountsError::Amount { value, why }) => bad_for(lang, "AMOUNT", value, why),
        (Lang::En, AccountsError::Models { value, why }) => bad_for(lang, "--models", value, why),
        (Lang::Zh, AccountsError::Models { value, .. }) => {
            bad_for(lang, "--models", value, "应为模型名称，或以一个 `*` 结尾的前缀，不含空白")
        }
        (_, AccountsError::Store(error)) => bad_store(lang, error),
        (Lang::En, error) => error.to_string(),
        (Lang::Zh, AccountsError::Name) => "账户名称应有 1 到 100 个字符，不能含控制字符".to_owned(),
        (Lang::Zh, AccountsError::Taken { name }) => format!("已有名为 `{name}` 的账户；请换一个名称"),
        (Lang::Zh, AccountsError::NoSuchAccount { wanted }) => format!("没有名称或 id 为 `{wanted}` 的账户"),
        (Lang::Zh, AccountsError::TooLittle) => "余额少于要退的金额，或其中一部分正被请求冻结".to_owned(),
        (Lang::Zh, AccountsError::OtherDeposit { id, .. }) => {
            format!("id `{id}` 已用于另一笔存入；请换一个 id，或以相同的数额重试")
        }
        (Lang::Zh, AccountsError::Changed) => "账户刚刚被他人修改；请查看后重试".to_owned(),
        (Lang::Zh, AccountsError::Grain { value }) => format!("`{value}` 不是 minute、hour 或 day"),
    }
}

/// What is wrong with a price.
pub fn bad_prices(lang: Lang, error: &PricesError) -> String {
    match (lang, error) {
        (lang, PricesError::Folder(error)) => bad_keys(lang, error),
        (lang, PricesError::Store(error)) => bad_store(lang, error),
        (Lang::En, PricesError::Model { value, why }) => bad_for(lang, "MODEL", value, why),
        (Lang::Zh, PricesError::Model { value, .. }) => {
            bad_for(lang, "MODEL", value, "应为一个模型的全名，1 到 256 字节，不含 `*` 和空白")
        }
        (Lang::En, PricesError::Price(error)) => format!("--tier: {error}"),
        (Lang::Zh, PricesError::Price(PriceError::Empty { tier, max, before })) => {
            format!("--tier：第 {tier} 档到 {max} 个输入 token 为止，没有超过前一档的 {before}；请从小到大给出")
        }
        (Lang::Zh, PricesError::Price(error)) => format!("--tier 有误：{error}"),
        (Lang::En, PricesError::Currency { account, theirs, currency }) => {
            let why = format!("the account `{account}` pays in {theirs}; leave --currency out");
            bad_for(lang, "--currency", currency.as_str(), &why)
        }
        (Lang::Zh, PricesError::Currency { account, theirs, currency }) => {
            let why = format!("账户 `{account}` 以 {theirs} 付款；请省略 --currency");
            bad_for(lang, "--currency", currency.as_str(), &why)
        }
        (Lang::En, PricesError::Book(BookError::Never { from, until, .. })) => {
            let (from, until) = (crate::when::second(*from), crate::when::second(*until));
            format!("--until must lie behind the beginning of the price: {until} is not behind {from}")
        }
        (Lang::Zh, PricesError::Book(BookError::Never { from, until, .. })) => {
            let (from, until) = (crate::when::second(*from), crate::when::second(*until));
            format!("--until 必须晚于价格的生效时间：{until} 不晚于 {from}")
        }
        (Lang::En, PricesError::Book(BookError::SameStart { other, from, .. })) => {
            format!(
                "the price `{other}` begins at the same second, {}; give another --from",
                crate::when::second(*from)
            )
        }
        (Lang::Zh, PricesError::Book(BookError::SameStart { other, from, .. })) => {
            format!("价格 `{other}` 在同一秒（{}）生效；请换一个 --from", crate::when::second(*from))
        }
        (Lang::En, error) => error.to_string(),
        (Lang::Zh, PricesError::TooHigh { price }) => format!("每百万 token 的价格 {price} 过高"),
        (Lang::Zh, PricesError::Past { from, now }) => {
            let (from, now) = (crate::when::second(*from), crate::when::second(*now));
            format!("--from 不能是 {from}：现在是 {now}，过去的价格不能更改")
        }
        (Lang::Zh, PricesError::Book(error)) => format!("价格有冲突：{error}"),
        (Lang::Zh, PricesError::Changed) => "此模型的价格刚刚被他人修改；请查看后重试".to_owned(),
    }
}

/// Why there is no backup.
pub fn bad_backup(lang: Lang, error: &BackupError) -> String {
    match (lang, error) {
        (lang, BackupError::Folder(error)) => bad_keys(lang, error),
        (lang, BackupError::Store(error)) => bad_store(lang, error),
        (lang, BackupError::Write { path, source }) => cannot_write(lang, &path.display().to_string(), source),
        (Lang::En, BackupError::Name { path }) => {
            bad_for(lang, "FILE", &path.display().to_string(), "it is no name of a file")
        }
        (Lang::Zh, BackupError::Name { path }) => bad_for(lang, "FILE", &path.display().to_string(), "不是文件名"),
        (Lang::En, BackupError::There { path }) => {
            bad_for(lang, "FILE", &path.display().to_string(), "it is there already; give another name")
        }
        (Lang::Zh, BackupError::There { path }) => {
            bad_for(lang, "FILE", &path.display().to_string(), "已经存在；请换一个名称")
        }
        (Lang::En, BackupError::OnServer) => {
            "the database is on a server; copy it with PostgreSQL's own `pg_dump`".to_owned()
        }
        (Lang::Zh, BackupError::OnServer) => "数据库在服务器上；请用 PostgreSQL 自带的 `pg_dump` 备份".to_owned(),
        (Lang::En, BackupError::Nothing { path }) => {
            format!("there is no database {}; --data-dir says which folder is meant", path.display())
        }
        (Lang::Zh, BackupError::Nothing { path }) => {
            format!("没有数据库 {}；请用 --data-dir 指定文件夹", path.display())
        }
    }
}

/// What an audit found.
pub fn difference(lang: Lang, difference: &Difference) -> String {
    match (lang, difference) {
        (Lang::En, difference) => difference.to_string(),
        (Lang::Zh, Difference::Posted { id, stated, summed }) => {
            format!("余额 {id} 记为 {stated}，但其流水合计为 {summed}")
        }
        (Lang::Zh, Difference::Pending { id, stated, summed }) => {
            format!("余额 {id} 的冻结记为 {stated}，但未结冻结合计为 {summed}")
        }
        (Lang::Zh, Difference::Sum { unit, sum }) => format!("{unit} 的所有余额合计为 {sum}，应为 0"),
        (Lang::Zh, Difference::NoBucket { id }) => format!("流水或冻结提到余额 {id}，但它不存在"),
        (Lang::Zh, Difference::NoRequest { id }) => format!("冻结 {id} 已结算，但没有此 id 的请求"),
        (Lang::Zh, Difference::NotPosted { id, state }) => format!("请求 {id} 已记录，但其冻结的状态是 {state}"),
        (Lang::Zh, Difference::Charge { id, stated, summed }) => {
            format!("请求 {id} 的费用记为 {stated} nano，但其流水为 {summed}")
        }
        (Lang::Zh, Difference::Covered { id, bucket, stated, summed }) => {
            format!("请求 {id} 记录由 {bucket} 支付 {stated} 个 token，流水合计为 {summed}")
        }
        (Lang::Zh, Difference::Stray { id }) => format!("流水 {id} 所付的请求没有记录"),
        (Lang::Zh, Difference::Rollup { grain, what, stated, summed }) => {
            format!("按 {grain} 汇总的 {what} 为 {stated}，但请求合计为 {summed}")
        }
        (Lang::Zh, Difference::Budget { key_id, period, what, stated, summed }) => {
            format!("key {key_id} 的预算 {period} 的 {what} 记为 {stated}，但其冻结合计为 {summed}")
        }
    }
}

/// A charge that is not right.
pub fn wrong_charge(lang: Lang, wrong: &WrongCharge) -> String {
    match (lang, wrong) {
        (Lang::En, wrong) => wrong.to_string(),
        (Lang::Zh, WrongCharge::NoPrice { id, price_id }) => {
            format!("请求 {id} 按价格 {price_id} 计费，但没有这个价格")
        }
        (Lang::Zh, WrongCharge::Amount { id, stated, computed }) => {
            format!("请求 {id} 收费 {stated}，但按用量和价格应为 {computed}")
        }
        (Lang::Zh, WrongCharge::Usage { id, why }) => format!("请求 {id} 的用量无法计费：{why}"),
    }
}

/// Where tokens of an account are.
pub fn kind(lang: Lang, kind: Kind) -> &'static str {
    match (lang, kind) {
        (Lang::En, kind) => kind.as_str(),
        (Lang::Zh, Kind::Quota) => "免费额度",
        (Lang::Zh, Kind::Pack) => "资源包",
        (Lang::Zh, Kind::Balance) => "余额",
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
