//! Texts of accounts, what they pay and what a key may spend, each in English and 简体中文, side by side.

use std::fmt::Display;

use qwenda_server::{
    accounts::{AccountsError, Difference, WrongCharge},
    backup::BackupError,
    keys::{BadTerm, Kind, MoneyError, Nanos},
    prices::{BookError, PriceError, PricesError},
};

use super::{
    Lang,
    help::{Text, t},
    messages::{bad_keys, bad_store, cannot_write},
};

texts! {
    list_accounts() { "`qwenda accounts list` shows them", "`qwenda accounts list` 可查看所有账户" }
    no_accounts() { "there are no accounts; `qwenda accounts create NAME` makes one", "还没有账户；用 `qwenda accounts create 名称` 创建" }
    account_made(name: &str, currency: &str) { "made the account `{name}` ({currency}); this is its id", "已创建账户 `{name}`（{currency}），其 id 为" }
    accounts_headings() {
        "NAME  CURRENCY  >BALANCE  >HELD  >CREDIT  >CAN SPEND  STATE  ID",
        "名称  币种  >余额  >冻结  >信用额度  >可用  状态  ID"
    }
    account_facts() {
        "account  id  currency  balance  held  credit  can spend  stops without quota  state  days content is kept  made",
        "账户  id  币种  余额  冻结  信用额度  可用  免费额度用完即停  状态  内容保留天数  创建时间"
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
        "key  id  account  models  networks  expires  requests a minute  tokens a minute  requests at one time  pace  burst guard  budget of the day  budget of the month  budget in all",
        "key  id  账户  模型  来源网段  失效时间  每分钟请求数  每分钟 token 数  同时的请求数  节奏  突发保护  今日预算  本月预算  总预算"
    }
    not_limited() { "not limited", "不限" }
    budget_spent(budget: &str, spent: &str) { "{budget}, spent {spent}", "{budget}，已用 {spent}" }
    key_headings() {
        "ID  LAST4  STATE  NAME  ACCOUNT  TERMS",
        "ID  末四位  状态  名称  账户  限制"
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
    let field = match error.field {
        "model_limits" => "--of-model".to_owned(),
        field => format!("--{}", field.replace('_', "-")),
    };
    let why = match (lang, error.field) {
        (Lang::En, _) => error.why.clone(),
        (Lang::Zh, "models" | "model_limits") => "应为模型名称，或以一个 `*` 结尾的前缀，不含空白".to_owned(),
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
        (Lang::Zh, AccountsError::OfKeys { field }) => format!("`{field}` 只用于 key；账户与项目没有"),
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
            format!("{key_id} 的预算 {period} 的 {what} 记为 {stated}，但其冻结合计为 {summed}")
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

/// What `--help` prints.
pub const HELP: &[Text] = &[
    t(
        "limits",
        "Show what a key, a project or an account may do and spend, or change it",
        "查看或修改 key、项目或账户的权限、限制与预算",
    ),
    t("limits.which", "Its id, its name, or its last four characters", "id、名称或末四位"),
    t("limits.rpm", "Most requests per minute", "每分钟最多请求数"),
    t("limits.tpm", "Most tokens per minute, prompts and answers together", "每分钟最多 token 数，提示词与回答合计"),
    t("limits.concurrency", "Most requests at one time", "同时进行的最多请求数"),
    t("limits.budget_day", "Most it may spend in a day (UTC)", "每天（UTC）最多花费"),
    t("limits.budget_month", "Most it may spend in a month (UTC)", "每月（UTC）最多花费"),
    t("limits.budget_total", "Most it may spend, from now on or since it has this budget", "从有此预算起总共最多花费"),
    t(
        "limits.models",
        "Models it may use, with commas; `qwen3-*` is all that begin so",
        "可用的模型，用逗号分隔；`qwen3-*` 表示以此开头的全部模型",
    ),
    t(
        "limits.networks",
        "Networks it may be used from, with commas, as 10.0.0.0/8",
        "允许的来源网段，用逗号分隔，如 10.0.0.0/8",
    ),
    t(
        "limits.expires",
        "When it ends: 2026-12-31, Unix seconds, or 30d from now",
        "失效时间：2026-12-31、Unix 秒，或从现在起 30d",
    ),
    t(
        "limits.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("limits.json", "As JSON", "输出 JSON"),
    t("accounts", "Make, show and change the accounts that pay for requests", "创建、查看、修改为请求付款的账户"),
    t("accounts create", "Make an account with nothing in it and print its id", "创建空账户并打印其 id"),
    t("accounts create.name", "What to call it; no two have the same name", "名称，不能与其他账户相同"),
    t("accounts create.currency", "CNY or USD (default: CNY); it stays so", "CNY 或 USD（默认 CNY），之后不能更改"),
    t("accounts create.credit", "How far below zero its balance may go (default: 0)", "余额最多可以透支多少（默认 0）"),
    t(
        "accounts create.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("accounts create.json", "As JSON", "输出 JSON"),
    t("accounts list", "List the accounts with what they have", "列出所有账户及其余额"),
    t(
        "accounts list.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("accounts list.json", "As JSON", "输出 JSON"),
    t(
        "accounts show",
        "Show one account: balance, credit, quotas and packs",
        "查看一个账户：余额、信用额度、免费额度与资源包",
    ),
    t("accounts show.which", "Id or name of the account", "账户的 id 或名称"),
    t(
        "accounts show.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("accounts show.json", "As JSON", "输出 JSON"),
    t("accounts set", "Change an account", "修改账户"),
    t("accounts set.which", "Id or name of the account", "账户的 id 或名称"),
    t("accounts set.credit", "How far below zero its balance may go", "余额最多可以透支多少"),
    t(
        "accounts set.quota_stops",
        "Whether its requests are refused once its free quota is used up",
        "免费额度用完后是否拒绝请求",
    ),
    t("accounts set.suspended", "Whether its requests are refused", "是否停用，停用后拒绝其请求"),
    t(
        "accounts set.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("accounts set.json", "As JSON", "输出 JSON"),
    t("topup", "Pay money into an account, or back", "向账户充值，或退款"),
    t("topup.which", "Id or name of the account", "账户的 id 或名称"),
    t(
        "topup.amount",
        "As 100 or 0.5, in its currency; `-- -100` pays back",
        "如 100 或 0.5，以账户币种计；`-- -100` 表示退款",
    ),
    t("topup.id", "Of your making; the same id again does nothing", "自定的编号；相同的编号不会重复执行"),
    t("topup.note", "Kept with it", "备注"),
    t(
        "topup.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("topup.json", "As JSON", "输出 JSON"),
    t("grant", "Give an account tokens", "向账户发放 token"),
    t("grant.which", "Id or name of the account", "账户的 id 或名称"),
    t("grant.tokens", "How many", "数量"),
    t(
        "grant.models",
        "Models they pay for; `qwen3-*` is all that begin so (default: all)",
        "可用于哪些模型；`qwen3-*` 表示以此开头的全部模型（默认全部）",
    ),
    t(
        "grant.expires",
        "When they end: 2026-12-31, Unix seconds, or 30d from now (default: never)",
        "失效时间：2026-12-31、Unix 秒，或从现在起 30d（默认不失效）",
    ),
    t(
        "grant.pack",
        "They are paid for in advance, not free: free ones are used first",
        "作为预付的资源包，而不是免费额度；免费额度先用",
    ),
    t("grant.id", "Of your making; the same id again does nothing", "自定的编号；相同的编号不会重复执行"),
    t("grant.note", "Kept with it", "备注"),
    t(
        "grant.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("grant.json", "As JSON", "输出 JSON"),
    t("audit", "Add up every balance and every charge again, and compare", "重新核算每一笔余额与费用，并加以比对"),
    t(
        "audit.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("audit.json", "As JSON", "输出 JSON"),
    t(
        "backup",
        "Copy keys, accounts and books into a new file, also while a service runs",
        "将 key、账户与账目备份到新文件，服务运行时也可以",
    ),
    t("backup.file", "The new file; one that is there is not overwritten", "新文件；不会覆盖已有的文件"),
    t(
        "backup.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("backup.json", "As JSON", "输出 JSON"),
    t("usage", "Show how many requests, tokens and how much money were used", "查看请求数、token 数与费用"),
    t("usage.account", "Of one account, by id or name (default: all)", "只看一个账户（id 或名称；默认全部）"),
    t("usage.key", "Of one key, by id or name (default: all)", "只看一个 key（id 或名称；默认全部）"),
    t("usage.by", "Summed up by minute, hour or day (default: day)", "按 minute、hour 或 day 汇总（默认 day）"),
    t(
        "usage.from",
        "From when: 2026-02-28, Unix seconds, or 7d before now (default: an hour, a day or 30 days back)",
        "起始时间：2026-02-28、Unix 秒，或现在之前的 7d（默认为一小时、一天或 30 天之前）",
    ),
    t("usage.until", "Up to when, without it (default: now)", "截止时间，不含（默认到现在）"),
    t(
        "usage.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("usage.json", "As JSON", "输出 JSON"),
    t("bill", "Print the statement of an account for a month", "打印账户某月的账单"),
    t("bill.which", "Id or name of the account", "账户的 id 或名称"),
    t("bill.month", "The month (UTC), as 2026-02", "月份（UTC），如 2026-02"),
    t("bill.csv", "As CSV, one row for each request", "输出 CSV，每个请求一行"),
    t(
        "bill.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("bill.json", "As JSON", "输出 JSON"),
    t("prices", "Show what models cost, and set prices of your own", "查看模型价格，设定自己的价格"),
    t(
        "prices set",
        "Make a price of a million tokens that holds from now or later on; older ones stay for what they were asked under",
        "设定每百万 token 的价格，从现在或之后起生效；此前的请求仍按当时的价格",
    ),
    t("prices set.model", "The name that callers ask for, in full", "调用者所写的模型全名"),
    t("prices set.input", "Price of a million tokens of input, as 0.8", "每百万输入 token 的价格，如 0.8"),
    t("prices set.output", "Price of a million tokens of output", "每百万输出 token 的价格"),
    t(
        "prices set.thinking",
        "Price of a million tokens of output where the model reasoned (default: as --output)",
        "思考模式下每百万输出 token 的价格（默认同 --output）",
    ),
    t(
        "prices set.tier",
        "Other prices for requests of at most so many tokens of input, as 131072:0.8:2; may be repeated, the smallest first",
        "输入不超过若干 token 的请求另外定价，如 131072:0.8:2；可重复，从小到大",
    ),
    t("prices set.currency", "CNY or USD (default: the account's, or CNY)", "CNY 或 USD（默认为账户的币种，或 CNY）"),
    t(
        "prices set.account",
        "Only for this account, by id or name (default: all)",
        "只用于此账户（id 或名称；默认全部）",
    ),
    t(
        "prices set.from",
        "From when: 2026-12-31, Unix seconds, or 30d from now (default: now)",
        "生效时间：2026-12-31、Unix 秒，或从现在起 30d（默认现在）",
    ),
    t(
        "prices set.until",
        "Up to when, without it (default: no end); then what held before holds again",
        "截止时间，不含（默认没有）；之后恢复此前的价格",
    ),
    t(
        "prices set.cost_input",
        "What the upstream takes for a million tokens of input, in the same currency",
        "上游对每百万输入 token 收取的价格，币种相同",
    ),
    t(
        "prices set.cost_output",
        "What the upstream takes for a million tokens of output",
        "上游对每百万输出 token 收取的价格",
    ),
    t(
        "prices set.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("prices set.json", "As JSON", "输出 JSON"),
    t(
        "prices list",
        "List prices per million tokens: the published ones and your own",
        "列出每百万 token 的价格：公开价格与自定价格",
    ),
    t("prices list.currency", "Only those in CNY or in USD", "只看 CNY 或 USD"),
    t(
        "prices list.model",
        "Only those of this model; `qwen3-*` is all that begin so",
        "只看此模型；`qwen3-*` 表示以此开头的全部模型",
    ),
    t(
        "prices list.data_dir",
        "Folder of keys and state (default: server in QWENDA_HOME)",
        "保存 key 与状态的文件夹（默认 QWENDA_HOME 下的 server）",
    ),
    t("prices list.json", "As JSON", "输出 JSON"),
];
