//! What the next request of a conversation would be: [`Plan`].

use std::fmt;

use qwenda_types::chat::Message;

use crate::{Cost, Lang};

/// What the next request would be.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// All that is sent.
    pub messages: Vec<Message>,
    /// How many tokens it has: about, or exactly if they were [`counted`](Self::counted).
    pub input_tokens: u64,
    /// Whether a service has counted them.
    pub counted: bool,
    /// The most it can cost; `None` where the answer has no bound or the model no price.
    pub most: Option<Cost>,
    /// Turns that are left out.
    pub turns_left_out: usize,
    /// Turns at the beginning that the summary tells of.
    pub turns_summarised: usize,
    /// Results of tools that are left out of turns which are sent.
    pub results_left_out: usize,
    /// Pieces of what is left out that a memory brings back.
    pub recalled: usize,
    /// Messages at the beginning that are those of the request before: what a cache can have.
    pub messages_as_before: usize,
    /// About how many tokens these have.
    pub tokens_as_before: u64,
    /// Whether it is within the policy; what cannot be left out may be too much alone.
    pub fits: bool,
}

impl Plan {
    /// The plan in words.
    pub fn explain(&self, lang: Lang) -> String {
        let Self { turns_left_out: turns, turns_summarised: summarised, results_left_out: results, .. } = self;
        let (sent, tokens, recalled) = (self.messages.len(), self.input_tokens, self.recalled);
        let (same, cached) = (self.messages_as_before, self.tokens_as_before);
        let most = self.most.as_ref().map(ToString::to_string);
        match lang {
            Lang::Zh => {
                let about = if self.counted { "共" } else { "约" };
                let most = most.map_or_else(String::new, |most| format!("最多 {most}。"));
                let over = if self.fits { "" } else { "超出策略上限：不能再省略。" };
                format!(
                    "发送 {sent} 条消息，{about} {tokens} Token；省略 {turns} 轮对话（摘要涵盖 {summarised} 轮）和 {results} \
                     个工具结果，从记忆中取回 {recalled} 段；开头 {same} 条、约 {cached} Token 与上次请求相同。{most}{over}"
                )
            }
            Lang::En => {
                let about = if self.counted { "" } else { "about " };
                let most = most.map_or_else(String::new, |most| format!(" At most {most}."));
                let over = if self.fits { "" } else { " More than the policy allows: nothing else can be left out." };
                format!(
                    "{sent} messages of {about}{tokens} tokens; {turns} turns ({summarised} of them in the summary) and \
                     {results} tool results are left out, {recalled} pieces come back from memory; the first {same} \
                     messages, about {cached} tokens, are those of the request before.{most}{over}"
                )
            }
        }
    }
}

impl fmt::Debug for Plan {
    /// Without the messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("explained", &self.explain(Lang::En)).field("fits", &self.fits).finish()
    }
}
