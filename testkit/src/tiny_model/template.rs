//! ChatML templates with the features of Qwen's own, in words of our own.

use super::TinyModel;

pub(super) fn chat_template(model: &TinyModel) -> String {
    if model.distilled {
        return DISTILLED.to_owned();
    }
    let thinking = if model.architecture.is_qwen3() { NO_THINKING } else { "" };
    [HEAD, TURNS, GENERATION, thinking, END].concat()
}

const HEAD: &str = r#"{%- set asked = namespace(system='You are a tiny model and you answer briefly.') %}
{%- if messages and messages[0].role == 'system' %}
    {%- set asked.system = messages[0].content %}
{%- endif %}
{{- '<|im_start|>system\n' + asked.system }}
{%- if tools %}
    {{- '\n\nThese functions can be called, one JSON description on each line:\n<tools>' }}
    {%- for tool in tools %}
        {{- '\n' }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- '\n</tools>\nTo call one, write:\n<tool_call>\n{"name": <its name>, "arguments": <an object>}\n</tool_call>' }}
{%- endif %}
{{- '<|im_end|>\n' }}
"#;

const TURNS: &str = r#"{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' + message.content + '\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- elif message.role != 'system' or not loop.first %}
        {{- '<|im_start|>' + message.role + '\n' }}
        {%- if message.content %}
            {{- message.content }}
        {%- endif %}
        {%- for call in message.tool_calls or [] %}
            {%- if call.function %}
                {%- set call = call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' + call.name + '", "arguments": ' }}
            {{- call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
"#;

const GENERATION: &str = r#"{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
"#;

const NO_THINKING: &str = r#"    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
"#;

const END: &str = "{%- endif %}\n";

/// What DeepSeek's distillates need: a beginning-of-text token, the system's words before all turns, no
/// newlines, and of an earlier answer only what follows its reasoning.
const DISTILLED: &str = r#"{%- if add_generation_prompt is not defined %}
    {%- set add_generation_prompt = false %}
{%- endif %}
{%- set seen = namespace(system='', results=false) %}
{%- for message in messages if message['role'] == 'system' %}
    {%- set seen.system = message['content'] %}
{%- endfor %}
{{- bos_token }}{{ seen.system }}
{%- for message in messages %}
    {%- if message['role'] == 'user' %}
        {%- set seen.results = false %}
        {{- '<｜User｜>' + message['content'] }}
    {%- elif message['role'] == 'assistant' and message['content'] is not none %}
        {%- set answer = message['content'] %}
        {%- if '</think>' in answer %}
            {%- set answer = answer.split('</think>')[-1] %}
        {%- endif %}
        {{- '<｜Assistant｜>' + answer + eos_token }}
    {%- elif message['role'] == 'tool' %}
        {%- set seen.results = true %}
        {{- '<｜tool▁output▁begin｜>' + message['content'] + '<｜tool▁output▁end｜>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt and not seen.results %}
    {{- '<｜Assistant｜>' }}
{%- endif %}
"#;
