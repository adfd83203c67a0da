//! What errors mean and what to do, in both languages.

use qwenda_types::error::Words;

use super::{Billed, Facts, Kind, Limit, Throttle};

/// A language of the people who read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// 简体中文.
    Zh,
}

impl Lang {
    fn pick(self, words: Words) -> &'static str {
        match self {
            Self::En => words.en,
            Self::Zh => words.zh,
        }
    }
}

const fn words(en: &'static str, zh: &'static str) -> Words {
    Words { en, zh }
}

/// What happened, without a full stop.
pub(super) fn what(kind: Kind) -> Words {
    match kind {
        Kind::Config => words("the client's settings are wrong", "客户端设置有误"),
        Kind::Invalid => words("this is not a request", "请求不合法"),
        Kind::Connect => words("no connection", "无法连接"),
        Kind::Disconnected => words("the connection broke", "连接中断"),
        Kind::Timeout(Limit::FirstByte) => words("the answer did not begin in time", "应答迟迟没有开始"),
        Kind::Timeout(Limit::Idle) => words("the answer stopped coming", "应答中途停止"),
        Kind::Timeout(Limit::Total) => words("the call took too long", "调用超过总时限"),
        Kind::Timeout(Limit::Service) => words("the service ran out of time", "服务端超时"),
        Kind::Throttled(Throttle::Requests) => words("too many requests", "请求过于频繁"),
        Kind::Throttled(Throttle::Tokens) => words("too many tokens in a minute", "每分钟 Token 数超限"),
        Kind::Throttled(Throttle::Burst) => words("requests grew too quickly", "请求增长过快"),
        Kind::Throttled(Throttle::Concurrency) => words("too many requests at once", "并发请求过多"),
        Kind::Throttled(Throttle::Overloaded) => words("the service is overloaded", "服务过载"),
        Kind::Arrears => words("the account is overdue or has not bought the service", "账户欠费或未开通服务"),
        Kind::FreeTierEnded => words("the free quota is used up", "免费额度已用完"),
        Kind::BudgetSpent => words("the budget set at the service is spent", "服务端设置的预算已用完"),
        Kind::Unauthorized => words("the key is missing or wrong", "API Key 缺失或不正确"),
        Kind::Forbidden => words("the key may not do this", "该 API Key 无此权限"),
        Kind::NotFound => words("not found", "未找到"),
        Kind::ContextOverflow => words("the prompt is longer than the model's context", "输入超过模型的上下文长度"),
        Kind::Moderation => words("moderation refused it", "未通过内容审核"),
        Kind::Refused => words("the service refused the request", "服务拒绝了该请求"),
        Kind::Conflict => {
            words("it exists already, or its key was used otherwise", "资源已存在，或幂等键已用于其他请求")
        }
        Kind::Service => words("the service failed", "服务端错误"),
        Kind::Truncated => words("the answer ended before it was whole", "应答不完整"),
        Kind::Malformed => words("the answer cannot be read", "应答无法解析"),
        Kind::TooLarge => words("the answer is larger than the client reads", "应答超过客户端读取上限"),
        Kind::OverBudget => words("the client's budget does not allow it", "超出客户端预算"),
        Kind::Storage => words("what is kept could not be read or written", "本地存储无法读写"),
    }
}

/// What to do, where the service's own advice is not known.
fn advice(kind: Kind) -> Words {
    match kind {
        Kind::Config => words("Correct the setting.", "请修改设置。"),
        Kind::Invalid | Kind::Refused => words("Change the request as the message says.", "请按提示修改请求。"),
        Kind::Connect => words("Check the base URL, the network and the proxy.", "请检查 base URL、网络和代理。"),
        Kind::Disconnected => words(
            "Try again. Where the service does not know idempotency keys, the answer may be paid for twice.",
            "请重试。若服务不支持幂等键，可能会重复计费。",
        ),
        Kind::Timeout(_) => words("Try again, ask for less, or raise the limit.", "请重试、减少请求内容，或调大时限。"),
        Kind::Throttled(Throttle::Burst) => words("Raise the rate slowly.", "请平滑提升请求速率。"),
        Kind::Throttled(Throttle::Concurrency) => words("Wait for some to end.", "请等待部分请求结束。"),
        Kind::Throttled(_) => words("Wait; it usually passes within a minute.", "请等待，通常一分钟内恢复。"),
        Kind::Arrears => words("Top up the account; waiting does not help.", "请充值或开通服务，等待无效。"),
        Kind::FreeTierEnded => {
            words("Allow paid use in the console, or choose another model.", "请在控制台允许付费使用，或更换模型。")
        }
        Kind::BudgetSpent | Kind::OverBudget => {
            words("Raise the budget, or wait for the next period.", "请提高预算或等待下一周期。")
        }
        Kind::Unauthorized => words("Check the key, and that it is of this region.", "请检查 API Key 及其所属地域。"),
        Kind::Forbidden => words("Have it granted, or use another key.", "请申请授权或更换 API Key。"),
        Kind::NotFound => words("Check the name and the base URL.", "请检查名称和 base URL。"),
        Kind::ContextOverflow => words("Shorten the conversation.", "请缩短对话内容。"),
        Kind::Moderation => words("Change the prompt.", "请修改输入内容。"),
        Kind::Conflict => words("Choose another name or key.", "请更换名称或幂等键。"),
        Kind::Service => words(
            "Try again; if it stays, give the operator the request id.",
            "请稍后重试；若持续出现，请将 request id 提供给服务方。",
        ),
        Kind::Truncated => words("Use the part that came, or ask again.", "请使用已收到的部分，或重新请求。"),
        Kind::Malformed => words(
            "Check that the base URL leads to a compatible service, not to a web page.",
            "请确认 base URL 指向兼容的服务，而不是网页。",
        ),
        Kind::TooLarge => words("Ask for less.", "请减少请求内容。"),
        Kind::Storage => words(
            "Check the file or the database: that it is there, may be written, and has space.",
            "请检查文件或数据库是否存在、可写且有剩余空间。",
        ),
    }
}

fn billed(billed: Billed) -> Words {
    match billed {
        Billed::No => words("It is not billed.", "本次调用不计费。"),
        Billed::Yes => words("What came of the answer is billed.", "已生成的部分会计费。"),
        Billed::Unknown => words("It may be billed.", "本次调用可能已计费。"),
    }
}

/// For a person: what, the service's sentence, what to do, the bill, the request id.
pub(super) fn friendly(facts: &Facts, lang: Lang) -> String {
    let (stop, colon, space) = match lang {
        Lang::En => (".", ": ", " "),
        Lang::Zh => ("。", "：", ""),
    };
    let mut text = lang.pick(what(facts.kind)).to_owned();
    if lang == Lang::En
        && let Some(first) = text.get_mut(..1)
    {
        first.make_ascii_uppercase();
    }
    let row = facts.row.map(qwenda_types::error::Code::row);
    match row {
        Some(row) => text = lang.pick(row.means).to_owned(),
        None => text.push_str(stop),
    }
    let advice = lang.pick(row.map_or_else(|| advice(facts.kind), |row| row.advice));
    text = format!("{text}{space}{advice}{space}{}", lang.pick(billed(facts.billed)));
    let mut more = |name: Words, value: &str| {
        if !value.is_empty() {
            text = format!("{text}\n{}{colon}{value}", lang.pick(name));
        }
    };
    more(words("The service says", "服务端信息"), &facts.message);
    more(words("Request id", "请求 ID"), facts.request_id.as_deref().unwrap_or_default());
    let wait = facts.retry_after.map(|wait| format!("{} s", wait.as_secs().max(1)));
    more(words("Wait", "请等待"), &wait.unwrap_or_default());
    text
}
