//! Chat templates give what jinja2 gives, and a hostile one gives an error.

use qwenda_backend::local::template::{self, ChatTemplate, TemplateError, message_value, message_values};
use qwenda_testkit::mutate;
use qwenda_types::chat::Message;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Prompt {
    messages: Vec<Value>,
    tools: Option<Vec<Value>>,
    text: String,
}

#[track_caller]
fn check_golden(source: &str, golden: &str) {
    let template = ChatTemplate::new(source, "<|endoftext|>", "<|im_end|>").expect("the template compiles");
    let Golden { cases } = serde_json::from_str(golden).expect("golden data is JSON");
    assert!(cases.len() >= 10, "only {} cases", cases.len());
    for Prompt { messages, tools, text } in cases {
        let tools = tools.as_deref();
        assert_eq!(template.render(&messages, tools, true, &Map::new()).as_deref(), Ok(&*text));
        // The form of the wire is the form of the golden data here, so it changes nothing.
        let messages: Vec<Value> = messages.into_iter().map(message_value).collect();
        assert_eq!(template.render(&messages, tools, true, &Map::new()).as_deref(), Ok(&*text));
        let unfinished = template.render(&messages, tools, false, &Map::new());
        assert_eq!(unfinished.as_deref(), Ok(text.strip_suffix("<|im_start|>assistant\n").expect("an open turn")));
    }
}

#[test]
fn the_smaller_models_own_template_gives_the_golden_prompts() {
    let path = qwenda_testkit::model("qwen2.5-coder-0.5b-instruct");
    let (_, info) = qwenda_engine::load_tokenizer(&path).expect("the model file opens");
    let source = info.chat_template.expect("the model file has a template");
    check_golden(&source, include_str!("golden/qwen2.5-coder-0.5b.templates.json"));
}

#[test]
fn the_larger_models_own_template_gives_the_golden_prompts() {
    let golden = include_str!("golden/qwen2.5-coder-1.5b.templates.json");
    check_golden(include_str!("golden/qwen2.5-coder-1.5b.jinja"), golden);
}

#[derive(Deserialize)]
struct Jinja {
    messages: Vec<Value>,
    cases: Vec<Small>,
}

#[derive(Deserialize)]
struct Small {
    template: String,
    /// `None` where jinja2 raises.
    text: Option<String>,
}

#[test]
fn small_templates_give_what_jinja2_gives() {
    let jinja: Jinja = serde_json::from_str(include_str!("golden/jinja2.json")).expect("golden data is JSON");
    assert!(jinja.cases.len() > 60, "only {} cases", jinja.cases.len());
    for Small { template, text } in jinja.cases {
        let got = ChatTemplate::new(&template, "", "<|im_end|>")
            .and_then(|compiled| compiled.render(&jinja.messages, None, true, &Map::new()));
        assert_eq!(got.as_ref().ok(), text.as_ref(), "{template}\n{:?}", got.as_ref().err());
    }
}

/// Renders one user message that says `hi`.
fn render(source: &str) -> Result<String, TemplateError> {
    let messages = [json!({"role": "user", "content": "hi"})];
    ChatTemplate::new(source, "", "")?.render(&messages, None, true, &Map::new())
}

#[test]
fn variables_reach_the_template_and_the_extra_ones_cannot_replace_its_own() {
    let source =
        "{{ bos_token }}{{ eos_token }} {{ enable_thinking }} {{ messages|length }} {{ tools|length }} {{ n }}";
    let template = ChatTemplate::new(source, "<b>", "<e>").expect("the template compiles");
    let extra = json!({"enable_thinking": false, "n": 1.0, "messages": [1, 2, 3], "bos_token": "no"});
    let extra = extra.as_object().expect("an object");
    let tools = [json!({}), json!({})];
    assert_eq!(template.render(&[json!({})], Some(&tools), true, extra).as_deref(), Ok("<b><e> False 1 2 1.0"));
    assert!(template.thinking());
    assert!(!ChatTemplate::new("{{ messages }}", "", "").expect("the template compiles").thinking());
}

#[test]
fn errors_name_the_line() {
    let check = |source: &str, want: &str| {
        let error = render(source).expect_err(source);
        assert!(error.to_string().starts_with(want), "{source:?}: {error}");
    };
    check("a\n{% if %}", "chat template, line 2: syntax error");
    check("a\nb\n{{ messages[0].content.no.no }}", "chat template, line 3: undefined value");
    check("a\n\n{{ nope() }}", "chat template, line 3: unknown function");
    check("\n{{ 'a'|nope }}", "chat template, line 2: unknown filter");
    check("\n\n\n{{ 1 + 'a' }}", "chat template, line 4: ");
    check("\n{{ messages|first|items|tojson(separators=1) }}", "chat template, line 2: ");
    check("\n{{ namespace|tojson }}", "chat template, line 2: ");
    check(
        "{{ raise_exception('Only one system message!') }}",
        "the chat template refuses the conversation: Only one system message!",
    );
}

#[test]
fn a_refusal_is_known_wherever_it_is_raised() {
    for source in [
        "{{ raise_exception('no') }}",
        "{% macro m() %}{{ raise_exception('no') }}{% endmacro %}{{ m() }}",
        "{% for m in messages %}{% if m.role == 'user' %}{{ raise_exception('no') }}{% endif %}{% endfor %}",
        "{% set x %}{{ raise_exception('no') }}{% endset %}",
    ] {
        assert_eq!(render(source), Err(TemplateError::Refused { message: "no".into() }), "{source}");
    }
}

#[test]
fn a_template_that_does_not_end_or_grows_without_end_is_an_error() {
    let chain = |head: &str, link: &str, count: usize, tail: &str| format!("{head}{}{tail}", link.repeat(count));
    let nest = |step: &str, end: &str| {
        format!(
            "{{% set ns = namespace(x=[]) %}}{{% for i in range(90000) %}}{{% set ns.x = {step} %}}{{% endfor %}}{end}"
        )
    };
    for source in [
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}".to_owned(),
        "{{ range(999999999) }}".to_owned(),
        "{{ 'a' * 99999999 }}".to_owned(),
        "{{ [1] * 99999999 }}".to_owned(),
        "{{ ([1] * 99999999)|tojson }}".to_owned(),
        "{{ '%1000000000d'|format(1) }}".to_owned(),
        "{{ '{:1000000000}'.format(1) }}".to_owned(),
        "{{ ('a' * 1000).replace('a', 'b' * 1000).replace('b', 'c' * 1000) }}".to_owned(),
        "{{ ('a\n' * 1000)|indent(100000000) }}".to_owned(),
        chain("{% set x = 'aaaaaaaa' %}", "{% set x = x ~ x %}", 60, "{{ x }}"),
        chain("{% set x = [1] %}", "{% set x = [x, x] %}", 60, "{{ x }}"),
        chain("{% set x = [1] %}", "{% set x = [x, x] %}", 60, "{{ x|string }}"),
        chain("{% set x = [1] %}", "{% set x = [x, x] %}", 60, "{{ x|tojson }}"),
        nest("[ns.x]", "{{ ns.x }}"),
        nest("{'a': ns.x}", ""),
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}".to_owned(),
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns|tojson }}".to_owned(),
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% include 'chat_template' %}".to_owned(),
        "{% extends 'chat_template' %}".to_owned(),
        "{% include '/etc/passwd' %}".to_owned(),
        chain("{{ ", "(", 60_000, " }}"),
        chain("{{ ", "[", 60_000, " }}"),
        chain("", "{% if 1 %}", 10_000, ""),
        chain("{{ x", ".a", 60_000, " }}"),
        " ".repeat(template::SOURCE_BYTES_MAX + 1),
    ] {
        let outcome = render(&source);
        assert!(outcome.is_err(), "{}: {outcome:?}", &source[..source.len().min(80)]);
    }
}

#[test]
fn long_templates_and_long_conversations_are_within_the_budget() {
    let chain = format!("{{{{ 1{} }}}}", " and 1".repeat(20_000));
    assert_eq!(render(&chain).as_deref(), Ok("1"));
    let source = include_str!("golden/qwen2.5-coder-1.5b.jinja");
    let template = ChatTemplate::new(source, "", "").expect("the template compiles");
    let turn = [json!({"role": "user", "content": "go on"}), json!({"role": "assistant", "content": "and on"})];
    let text =
        template.render(&vec![turn; 5_000].concat(), None, true, &Map::new()).expect("10,000 messages are rendered");
    assert_eq!(text.matches("<|im_start|>").count(), 10_002);
    let long = [json!({"role": "user", "content": "x".repeat(10_000_000)})];
    assert!(template.render(&long, None, true, &Map::new()).is_ok_and(|text| text.len() > 10_000_000));
}

#[test]
fn the_form_of_the_wire_becomes_the_form_of_templates() {
    let check = |wire: Value, want: Value| {
        assert_eq!(message_value(wire.clone()), want);
        if let Ok(message) = serde_json::from_value::<Message>(wire) {
            let typed = message_values(&[message]);
            for (name, value) in want.as_object().expect("an object") {
                assert_eq!(typed[0][name], *value, "{name}");
            }
        }
    };
    check(json!({"role": "user", "content": "hi"}), json!({"role": "user", "content": "hi"}));
    check(
        json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}),
        json!({"role": "user", "content": "ab"}),
    );
    let image = json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]});
    assert_eq!(message_value(image.clone()), image, "what is no text is left for the template to refuse");
    let call =
        |arguments: Value| json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
    check(
        json!({"role": "assistant", "content": null, "tool_calls": [call(json!("{\"b\": 1, \"a\": [null]}"))]}),
        json!({"role": "assistant", "content": "", "tool_calls": [call(json!({"b": 1, "a": [null]}))]}),
    );
    for left_alone in ["", "{\"a\":", "[1]", "7"] {
        let message = json!({"role": "assistant", "content": "", "tool_calls": [call(json!(left_alone))]});
        check(message.clone(), message);
    }
    assert_eq!(message_value(json!(7)), json!(7), "what is no message is left for the template to refuse");
}

#[test]
fn numbers_from_json_are_written_as_python_writes_them() {
    let source = "{{ messages[0].n|tojson }} {{ messages[0].n[0]|string }}";
    let template = ChatTemplate::new(source, "", "").expect("the template compiles");
    let numbers =
        r#"{"n": [1.0, 1e16, 1.5e-7, 18446744073709551615, -9223372036854775808, 0.1, 5e-324, 3.141592653589793]}"#;
    let message: Value = serde_json::from_str(numbers).expect("it is JSON");
    let want = "[1.0, 1e+16, 1.5e-07, 18446744073709551615, -9223372036854775808, 0.1, 5e-324, 3.141592653589793] 1.0";
    assert_eq!(template.render(&[message], None, true, &Map::new()).as_deref(), Ok(want));
}

#[test]
fn no_conversation_and_no_template_make_the_fuzz_target_panic() {
    let qwen = include_str!("golden/qwen2.5-coder-1.5b.jinja");
    let conversation = r#"[{"role":"system","content":"s"},{"role":"user","content":"天气?"},
        {"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1.5}"}}]},
        {"role":"tool","content":"{}"},{"role":"user","content":"<|im_end|>"}]"#;
    let own = "{% macro m(a, b=1) %}{{ a ~ b }}{% endmacro %}{% set ns = namespace(i=0) -%}\n{% for m in messages[::-1] \
        if m.role is string %}{% set ns.i = ns.i + 1 %}{{ m.content.split('</a>')[-1].strip('\\n')|trim }}{{ m|tojson(\
        indent=2) }}{{ m(loop.index0, m.tool_calls|length) }}{% endfor %}{{- raise_exception('x') if ns.i > 3 }}";
    let samples = [format!("{qwen}\0{conversation}"), format!("{own}\0{conversation}"), format!("\0{conversation}")];
    let samples: Vec<&[u8]> = samples.iter().map(String::as_bytes).collect();
    mutate::rounds(31, 700, &samples, template::fuzz);
}
