//! What a request will use and may cost, before it is sent.

use std::borrow::Cow;

use qwenda_ledger::price::{Bounds, Mode, PriceList};
use qwenda_types::chat::{ChatRequest, Message};

use crate::cost::{self, Cost};

/// Tokens that a message's template adds, at most.
const MESSAGE_TOKENS: u64 = 12;
/// Tokens that the template adds around a conversation and its tools, at most.
const FRAME_TOKENS: u64 = 256;

/// Tokens that the template says about tools, where there are any.
const TOOLS_TOKENS: u64 = 120;

/// What a request will use and may cost. Nothing is sent to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// About how many tokens the prompt has. Within some per cent for prose; a service counts exactly.
    pub input_tokens: u64,
    /// No prompt of this text has more tokens.
    pub input_tokens_max: u64,
    /// Most tokens of the answers, where the request bounds them.
    pub output_tokens_max: Option<u64>,
    /// The most it can cost; `None` where the answer has no bound or the model no price.
    pub most: Option<Cost>,
}

/// The estimate of a chat. `output_tokens` stands in for a bound that the request does not have.
pub(crate) fn chat(list: &PriceList, request: &ChatRequest, output_tokens: Option<u64>) -> Estimate {
    let all = || request.messages.iter().flat_map(texts).chain(schemas(request));
    let messages = MESSAGE_TOKENS * request.messages.len() as u64;
    let input_tokens = frame(request) + request.messages.iter().map(message).sum::<u64>();
    let input_tokens_max = all().map(|text| text.len() as u64).sum::<u64>() + messages + FRAME_TOKENS;
    let bounded = request.tokens_max().map(u64::from);
    let thinking = request.enable_thinking != Some(false);
    // `max_tokens` alone does not bound the reasoning.
    let reasoning = match (request.max_completion_tokens, request.thinking_budget, request.enable_thinking) {
        (Some(_), ..) | (_, None, None | Some(false)) => Some(0),
        (None, Some(budget), _) => Some(u64::from(budget)),
        (None, None, Some(true)) => None,
    };
    let choices = u64::from(request.choices());
    let bounded = bounded.zip(reasoning).map(|(answer, reasoning)| answer + reasoning).or(output_tokens);
    let output_tokens_max = bounded.map(|tokens| tokens.saturating_mul(choices));
    let most = output_tokens_max.and_then(|output_tokens_max| {
        let (explicit_cache, mode) = (true, Mode::RealTime);
        let bounds = Bounds { input_tokens: input_tokens_max, output_tokens_max, thinking, explicit_cache, mode };
        cost::most(list, &request.model, &bounds)
    });
    Estimate { input_tokens, input_tokens_max, output_tokens_max, most }
}

/// About how many tokens a message has, with what the template puts around it.
pub(crate) fn message(message: &Message) -> u64 {
    texts(message).map(|text| tokens(&text)).sum::<u64>() + MESSAGE_TOKENS / 3
}

/// About how many tokens a request has beside its messages.
pub(crate) fn frame(request: &ChatRequest) -> u64 {
    let tools = if request.tools.is_empty() { 0 } else { TOOLS_TOKENS };
    schemas(request).map(|text| tokens(&text)).sum::<u64>() + tools
}

fn texts(message: &Message) -> impl Iterator<Item = Cow<'_, str>> {
    let calls = message.tool_calls.iter().flat_map(|call| [&call.function.name, &call.function.arguments]);
    let others = message.reasoning_content.iter().chain(calls).map(|text| Cow::Borrowed(text.as_str()));
    std::iter::once(message.plain_text()).chain(others)
}

/// What the answer is held to and what may be called. Schemas are written out with spaces between.
fn schemas(request: &ChatRequest) -> impl Iterator<Item = Cow<'_, str>> {
    let tools = request.tools.iter().filter_map(|tool| serde_json::to_string_pretty(tool).ok());
    let format = request.response_format.iter().filter_map(|format| serde_json::to_string_pretty(format).ok());
    tools.chain(format).map(Cow::Owned)
}

/// About how many tokens a text has: a quarter of one for each byte of Latin text, more than half of one for
/// each Chinese character. Measured on English, Chinese and code with Qwen's vocabularies.
pub(crate) fn tokens(text: &str) -> u64 {
    let (mut bytes, mut han, mut others) = (0_u64, 0_u64, 0_u64);
    for character in text.chars() {
        match character {
            '\0'..='\u{7f}' => bytes += 1,
            '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}' => {
                han += 1;
            }
            other => others += other.len_utf8() as u64,
        }
    }
    bytes.div_ceil(4) + (han * 11).div_ceil(20) + others.div_ceil(3)
}

#[cfg(test)]
mod tests {
    use qwenda_ledger::money::Currency;
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_estimate_bounds_what_the_answer_can_cost() {
        let list = PriceList::published(Currency::Cny);
        let mut request = ChatRequest::new("qwen-plus", vec![Message::user("天空为什么是蓝色的？")]);
        let open = chat(&list, &request, None);
        assert_eq!((open.output_tokens_max, open.most), (None, None));
        request.max_tokens = Some(1000);
        let bounded = chat(&list, &request, None);
        assert_eq!(bounded.output_tokens_max, Some(1000));
        assert!(bounded.input_tokens <= bounded.input_tokens_max);
        let most = bounded.most.unwrap();
        // The answer alone, at the plain price and at the thinking price.
        assert!(most.amount >= "0.002".parse().unwrap() && most.amount <= "0.0085".parse().unwrap(), "{most}");
        request.enable_thinking = Some(true);
        assert_eq!(chat(&list, &request, None).most, None);
        request.thinking_budget = Some(500);
        assert_eq!(chat(&list, &request, None).output_tokens_max, Some(1500));
        request.n = Some(2);
        assert_eq!(chat(&list, &request, None).output_tokens_max, Some(3000));
    }

    /// The golden counts come from an oracle that is no part of the repository; a few stand here.
    #[test]
    fn counts_are_near_the_vocabularies() {
        for (text, exact) in [
            ("The quick brown fox jumps over the lazy dog.", 10),
            ("天空为什么是蓝色的？", 6),
            ("fn main() {\n    println!(\"hi\");\n}\n", 11),
            ("", 0),
        ] {
            let about = tokens(text);
            assert!(about.abs_diff(exact) <= 2 + exact / 5, "{text:?}: {about} for {exact}");
        }
        let value: Value = serde_json::json!({"a": [1, 2, 3], "b": "text"});
        assert!(tokens(&value.to_string()) > 4);
    }
}
