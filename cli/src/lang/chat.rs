//! The sentences of `chat` with services, sessions, tools and templates.

use super::Lang;

texts! {
    // Who answers.
    welcome_service(model: &str) {
        "{model} at a service · /help lists the commands, Ctrl-D leaves",
        "{model}（远程服务）· /help 查看命令，Ctrl-D 退出"
    }
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
}
