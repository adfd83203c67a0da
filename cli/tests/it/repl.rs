//! The conversation, held by a person at a terminal.

use qwenda_testkit::TinyModel;
use serde_json::{Value, json};

use crate::{
    asks::{Asks, answer, begun},
    common::Home,
    terminal::{ALT_ENTER, BACK_TAB, BACKSPACE, CTRL_C, CTRL_D, DOWN, ENTER, ESC, TAB, Terminal, UP},
};

const TINY: [&str; 5] = ["chat", "--model", "tiny.gguf", "--max-tokens", "5"];

fn start(home: &Home) -> Terminal {
    let mut terminal = Terminal::start(home, &TINY);
    terminal.sees("tiny on this machine · /help lists the commands");
    terminal.sees("> ");
    terminal
}

/// Asks and waits for the usage line and the next prompt: a key such as Ctrl-D means something else
/// to the terminal before the prompt is there; returns the tokens of the prompt.
#[track_caller]
fn ask(terminal: &mut Terminal, text: &str) -> u32 {
    terminal.enters(text);
    answered(terminal)
}

#[track_caller]
fn answered(terminal: &mut Terminal) -> u32 {
    let shown = terminal.sees(" tokens in, ");
    terminal.sees("> ");
    shown.rsplit('[').next().unwrap().parse().unwrap()
}

/// Asks and presses Ctrl-C as soon as there is a sign of life: before it, the key would still be part of
/// the line.
#[track_caller]
fn stop(terminal: &mut Terminal, text: &str) {
    terminal.enters(text);
    terminal.sees(&format!("{text}\r\n"));
    terminal.sees_more();
    terminal.types(CTRL_C);
    terminal.sees("(stopped)");
    terminal.sees("> ");
}

/// The messages as `/save` writes them.
fn saved(terminal: &mut Terminal, home: &Home, name: &str) -> Vec<Value> {
    terminal.enters(&format!("/save {name}"));
    terminal.sees(&format!("saved to {name}"));
    terminal.sees("> ");
    let text = std::fs::read(home.path().join(name)).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["messages"].as_array().unwrap().clone()
}

fn asked(messages: &[Value]) -> Vec<&str> {
    let of_user = messages.iter().filter(|message| message["role"] == "user");
    of_user.map(|message| message["content"].as_str().unwrap()).collect()
}

#[test]
fn a_conversation_remembers_until_it_is_cleared_and_ends_with_ctrl_d() {
    let home = Home::new();
    let mut terminal = start(&home);
    let first = ask(&mut terminal, "hello");
    let second = ask(&mut terminal, "hello");
    assert!(second > first + 5, "{second} {first}");
    terminal.enters("/clear");
    terminal.sees("a new conversation begins");
    assert_eq!(ask(&mut terminal, "hello"), first);
    terminal.enters("");
    terminal.sees("> ");
    terminal.types(CTRL_D);
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn a_command_nobody_knows_is_answered_with_help() {
    let home = Home::new();
    let mut terminal = start(&home);
    terminal.enters("/modle x");
    terminal.sees("there is no command /modle");
    terminal.sees("/save FILE");
    terminal.enters("/help");
    terminal.sees("/system [TEXT]");
    terminal.enters("/quit");
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn a_text_can_have_several_lines_in_four_ways() {
    let home = Home::new();
    let mut terminal = start(&home);
    terminal.types("\"\"\"one");
    terminal.types(ENTER);
    ask(&mut terminal, "two\"\"\"");
    terminal.types("three \\");
    terminal.types(ENTER);
    ask(&mut terminal, "four");
    terminal.types("five");
    terminal.types(ALT_ENTER);
    ask(&mut terminal, "six");
    ask(&mut terminal, "\x1b[200~seven\neight\x1b[201~");
    let messages = saved(&mut terminal, &home, "a.json");
    assert_eq!(asked(&messages), ["one\ntwo", "three \nfour", "five\nsix", "seven\neight"]);
}

#[test]
fn a_character_two_columns_wide_is_one_character() {
    let home = Home::new();
    let mut terminal = start(&home);
    terminal.types("你好吗");
    terminal.types(BACKSPACE);
    ask(&mut terminal, "！");
    let messages = saved(&mut terminal, &home, "a.json");
    assert_eq!(asked(&messages), ["你好！"]);
}

#[test]
fn what_is_typed_while_it_answers_is_asked_next() {
    let home = Home::new();
    let mut terminal = start(&home);
    terminal.types("一二三\r四五六\r七八九\r");
    for _ in 0..3 {
        terminal.sees(" tokens in, ");
    }
    let messages = saved(&mut terminal, &home, "a.json");
    assert_eq!(asked(&messages), ["一二三", "四五六", "七八九"]);
}

#[test]
fn bytes_that_are_no_text_cost_a_line_and_not_the_conversation() {
    let home = Home::new();
    let mut terminal = start(&home);
    terminal.presses(&[0xc4, 0xe3, 0xba, 0xc3]);
    terminal.sees("that was not UTF-8 text");
    terminal.enters("/clear");
    terminal.sees("a new conversation begins");
    assert!(ask(&mut terminal, "hello") > 1);
}

#[test]
fn ctrl_c_at_the_prompt_throws_the_line_away_and_nothing_else() {
    let home = Home::new();
    let mut terminal = start(&home);
    ask(&mut terminal, "hello");
    terminal.types("not this");
    terminal.sees("not this");
    terminal.types(CTRL_C);
    terminal.sees("Ctrl-D or /quit leaves");
    ask(&mut terminal, "but this");
    let messages = saved(&mut terminal, &home, "a.json");
    assert_eq!(asked(&messages), ["hello", "but this"]);
}

#[test]
fn ctrl_c_stops_an_answer_and_keeps_it_in_the_conversation() {
    let home = Home::new();
    // Long enough that nobody waits for its end, wherever this runs.
    std::fs::write(home.tiny(), TinyModel::endless(32_768).bytes()).unwrap();
    let args = ["chat", "--model", "tiny.gguf", "--max-tokens", "30000", "--temperature", "0", "--system", "go on"];
    let mut terminal = Terminal::start(&home, &args);
    terminal.sees("> ");
    stop(&mut terminal, "hello");
    let messages = saved(&mut terminal, &home, "a.json");
    assert_eq!(
        messages[..2],
        [json!({"role": "system", "content": "go on"}), json!({"role": "user", "content": "hello"})]
    );
    assert_eq!(messages[2]["role"], "assistant");
    // And the engine is free for the next question.
    stop(&mut terminal, "again");
    terminal.types(CTRL_D);
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn the_system_prompt_can_be_set_shown_and_taken_away() {
    let home = Home::new();
    let mut terminal = start(&home);
    terminal.enters("/system");
    terminal.sees("there is no system prompt");
    terminal.enters("/system be brief");
    terminal.sees("the system prompt is set");
    terminal.enters("/system");
    terminal.sees("the system prompt is: be brief");
    let messages = saved(&mut terminal, &home, "a.json");
    assert_eq!(messages, [json!({"role": "system", "content": "be brief"})]);
    terminal.enters("/system -");
    terminal.sees("the system prompt is gone");
    assert!(saved(&mut terminal, &home, "a.json").is_empty());
}

#[test]
fn the_model_can_be_changed_and_a_wrong_name_changes_nothing() {
    let home = Home::new();
    TinyModel::qwen3().write(&home.path().join("other.gguf")).unwrap();
    let mut terminal = start(&home);
    ask(&mut terminal, "hello");
    terminal.enters("/model");
    terminal.sees("tiny answers");
    terminal.sees("qwen2.5-coder-0.5b-instruct");
    terminal.enters("/model gpt-9");
    terminal.sees("there is no model `gpt-9`");
    ask(&mut terminal, "still there?");
    terminal.enters("/model other.gguf");
    terminal.sees("other answers");
    ask(&mut terminal, "and now?");
    let messages = saved(&mut terminal, &home, "a.json");
    assert_eq!(asked(&messages), ["hello", "still there?", "and now?"]);
}

#[test]
fn save_overwrites_only_what_it_wrote_itself() {
    let home = Home::new();
    std::fs::write(home.path().join("mine.md"), "precious").unwrap();
    let mut terminal = start(&home);
    ask(&mut terminal, "hello");
    terminal.enters("/save mine.md");
    terminal.sees("mine.md exists");
    assert_eq!(std::fs::read_to_string(home.path().join("mine.md")).unwrap(), "precious");
    for _ in 0..2 {
        terminal.enters("/save new.md");
        terminal.sees("saved to new.md");
    }
    assert!(std::fs::read_to_string(home.path().join("new.md")).unwrap().starts_with("# tiny\n\n## Me\n\nhello\n"));
    terminal.enters("/save /no/such/folder/a.md");
    terminal.sees("cannot write /no/such/folder/a.md");
    terminal.enters("/save");
    terminal.sees("where to?");
}

#[test]
fn a_conversation_that_outgrows_the_context_leaves_out_its_oldest_part_and_says_so() {
    let home = Home::new();
    let mut terminal = start(&home);
    // The tiny model takes 512 tokens; each question is about 150.
    let question = |n: u32| format!("{n} {}", "你好".repeat(60));
    ask(&mut terminal, &question(1));
    ask(&mut terminal, &question(2));
    for n in 3..8 {
        terminal.enters(&question(n));
    }
    terminal.sees("the conversation outgrew the model's 512 tokens");
    let first = saved(&mut terminal, &home, "a.json");
    assert!(!asked(&first).iter().any(|text| text.starts_with("1 ")));
    // One question alone that is too long is an error, and is not kept.
    terminal.enters(&format!("\x1b[200~{}\x1b[201~", "太长".repeat(150)));
    terminal.sees("more than the 511 that the model takes");
    assert_eq!(saved(&mut terminal, &home, "a.json"), first);
}

#[test]
fn what_was_typed_comes_back_with_up_also_the_next_day() {
    let home = Home::new();
    let mut terminal = start(&home);
    ask(&mut terminal, "remember me");
    ask(&mut terminal, " but not me");
    terminal.types(UP);
    ask(&mut terminal, "!");
    let messages = saved(&mut terminal, &home, "a.json");
    assert_eq!(asked(&messages), ["remember me", "but not me", "remember me!"]);
    terminal.types(CTRL_D);
    assert_eq!(terminal.ends().0, 0);
    let mut terminal = start(&home);
    terminal.types(UP);
    terminal.types(UP);
    ask(&mut terminal, "");
    let messages = saved(&mut terminal, &home, "b.json");
    assert_eq!(asked(&messages), ["remember me!"]);
}

#[test]
fn tab_completes_commands_and_models() {
    let home = Home::new();
    let mut terminal = start(&home);
    terminal.types("/sy");
    terminal.types(TAB);
    terminal.enters(" be kind");
    terminal.sees("the system prompt is set");
    terminal.types("/model qwen2.5-coder-0");
    terminal.types(TAB);
    terminal.sees("/model qwen2.5-coder-0.5b-instruct");
}

#[test]
fn a_menu_shows_what_can_be_completed_and_is_walked_through() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("notes")).unwrap();
    for name in ["one.txt", "two words.txt"] {
        std::fs::write(home.path().join("notes").join(name), name).unwrap();
    }
    let mut terminal = start(&home);
    terminal.types("/s");
    terminal.types(TAB);
    terminal.sees("> /system");
    terminal.sees("show or set the system prompt");
    terminal.sees("/session");
    terminal.types(DOWN);
    terminal.sees("go on with another");
    // What was typed comes back; then the last one is chosen, going round.
    terminal.types(ESC);
    terminal.sees("> /s\r");
    terminal.types(TAB);
    terminal.sees("> /system");
    terminal.types(BACK_TAB);
    terminal.sees("> /save");
    terminal.types(ENTER);
    terminal.types(ENTER);
    terminal.sees("where to?");
    terminal.types("/role ");
    terminal.types(TAB);
    terminal.sees("a careful editor of texts");
    terminal.types(TAB);
    terminal.types(ENTER);
    terminal.types(ENTER);
    terminal.sees("the role is `programmer`");
    // A folder is gone into, and a name with a space is quoted.
    terminal.types("what is in @no");
    terminal.types(TAB);
    terminal.types(TAB);
    terminal.types(TAB);
    terminal.sees("@\"notes/two words.txt\"");
    terminal.types(ENTER);
    ask(&mut terminal, "?");
    // Ctrl-C leaves the menu first, and then the line.
    terminal.types("/s");
    terminal.types(TAB);
    terminal.types(CTRL_C);
    terminal.types("y");
    terminal.types(TAB);
    terminal.enters(" - ");
    terminal.sees("the system prompt is gone");
    let messages = saved(&mut terminal, &home, "a.json");
    let question = asked(&messages)[0];
    assert!(question.starts_with("<file name=\"notes/two words.txt\">"), "{question}");
}

#[test]
fn a_conversation_speaks_chinese_to_who_reads_it() {
    let home = Home::new();
    let mut terminal = Terminal::start(&home, &[&TINY[..], &["--lang", "zh"]].concat());
    terminal.sees("/help 查看命令");
    terminal.enters("你好");
    terminal.sees("输出 5 token");
    terminal.enters("/help");
    terminal.sees("列出模型");
    terminal.sees("> ");
    terminal.types(CTRL_D);
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn who_answers_is_named_before_anything_leaves_the_machine() {
    let asks = Asks::new();
    let host = asks.url().split('/').nth(2).unwrap().to_owned();
    let mut terminal = Terminal::start_with(&asks.home, &["chat"], &asks.env());
    terminal.sees(&format!("qwen-plus at {host} · /help"));
    terminal.enters("/model tiny.gguf");
    terminal.sees("tiny answers");
    terminal.enters("/model qwen-max");
    terminal.sees(&format!("qwen-max at {host} answers"));
    drop(terminal);
    start(&asks.home).types(CTRL_D);
    let said = |args: &[&str]| {
        asks.reply(answer("", &["Yes."]));
        Terminal::start_with(&asks.home, &[&["chat", "why?"], args].concat(), &asks.env()).ends().1
    };
    let asking = format!("asking qwen-plus at {host}");
    assert!(said(&[]).contains(&asking));
    assert!(said(&["--lang", "zh"]).contains(&host));
    assert!(!said(&["--quiet"]).contains(&asking));
    // Who reads a pipe has said what is to be asked.
    asks.reply(answer("", &["Yes."]));
    assert!(!asks.run(&["why?"]).stderr.contains("asking"));
}

#[test]
fn a_role_is_taken_and_left_in_mid_conversation() {
    let home = Home::new();
    let mut terminal = start(&home);
    terminal.enters("/role");
    terminal.sees("teacher");
    terminal.enters("/role nobody");
    terminal.sees("there is no template or role `nobody`");
    terminal.sees("there are editor, programmer, teacher\r\n");
    terminal.enters("/role translate");
    terminal.sees("`translate` has no instructions");
    terminal.enters("/role editor");
    terminal.sees("the role is `editor`");
    let messages = saved(&mut terminal, &home, "a.json");
    assert!(messages[0]["content"].as_str().unwrap().starts_with("You are a careful editor."), "{messages:?}");
    terminal.enters("/role -");
    terminal.sees("the role is gone");
    assert!(saved(&mut terminal, &home, "a.json").is_empty());
}

#[test]
fn a_template_takes_the_next_prompt_or_the_text_behind_it() {
    let asks = Asks::new();
    std::fs::create_dir(asks.home.path().join("templates")).unwrap();
    let template = "system = 'rhyme'\nprompt = '{{ how }}: {{ input }}'\ndescription = 'mine'\n";
    std::fs::write(asks.home.path().join("templates/verse.toml"), template).unwrap();
    std::fs::write(asks.home.path().join("templates/joke.toml"), "prompt = 'Tell a joke.'").unwrap();
    std::fs::write(asks.home.path().join("a.txt"), "A").unwrap();
    let mut terminal = Terminal::start_with(&asks.home, &["chat"], &asks.env());
    terminal.sees("> ");
    let said = |n: usize| {
        let messages = asks.asked()[n].body["messages"].as_array().unwrap().clone();
        (messages[0]["content"].clone(), messages.last().unwrap()["content"].clone())
    };
    let asked = |terminal: &mut Terminal, line: &str| {
        asks.reply(answer("", &["Yes."]));
        ask(terminal, line);
    };
    terminal.enters("/template nothing");
    terminal.sees("there is no template or role `nothing`");
    terminal.sees("explain, extract, joke, polish");
    terminal.enters("/template verse hello");
    terminal.sees("wants a value for `how`: /template verse how=…");
    asked(&mut terminal, "/template verse how=\"in short\" x=1 @a.txt");
    assert_eq!(said(0), ("rhyme".into(), "in short: <file name=\"a.txt\">\nA\n</file>\n\nx=1 @a.txt".into()));
    terminal.enters("/template verse how=long");
    terminal.sees("the next prompt goes into `verse`");
    asked(&mut terminal, "the sea");
    assert_eq!(said(1).1, "long: the sea");
    asked(&mut terminal, "the sky");
    assert_eq!(said(2).1, "the sky");
    asked(&mut terminal, "/template joke");
    assert_eq!(said(3).1, "Tell a joke.");
    terminal.enters("/template verse how=long");
    terminal.sees("the next prompt goes into");
    terminal.enters("/template -");
    terminal.sees("no template is used");
    asked(&mut terminal, "plain");
    assert_eq!(said(4).1, "plain");
}

#[test]
fn what_the_conversation_took_stands_under_each_answer_also_the_next_day() {
    let asks = Asks::new();
    let args = ["chat", "--session", "work"];
    let mut terminal = Terminal::start_with(&asks.home, &args, &asks.env());
    terminal.sees("> ");
    asks.reply(answer("", &["Yes."]));
    terminal.enters("one");
    terminal.sees("1000 tokens in, 500 out");
    terminal.sees("[so far 1000 in, 500 out, 0.0048 CNY; context 1% of 100000]");
    asks.reply(answer("", &["No."]));
    terminal.enters("two");
    terminal.sees("[so far 2000 in, 1000 out, 0.0096 CNY; context 1% of 100000]");
    terminal.sees("> ");
    terminal.types(CTRL_D);
    assert_eq!(terminal.ends().0, 0);
    let turn = &asks.home.run(&["sessions", "show", "work", "--json"]).json()["turns"][1];
    let cost = json!({"amount": "0.0048", "currency": "CNY"});
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 500, "context_tokens": 1500, "cost": cost});
    assert_eq!(turn["usage"], usage);
    let mut terminal = Terminal::start_with(&asks.home, &args, &asks.env());
    terminal.sees("session `work`, 2 turn(s)");
    terminal.sees("[so far 2000 in, 1000 out, 0.0096 CNY; context 1% of 100000]");
    terminal.sees("> ");
    terminal.enters("/clear");
    terminal.sees("a new conversation begins");
    asks.reply(answer("", &["Maybe."]));
    terminal.enters("three");
    terminal.sees("[so far 1000 in, 500 out, 0.0048 CNY;");
}

#[test]
fn summaries_are_asked_for_in_mid_conversation() {
    let home = Home::new();
    let mut terminal = start(&home);
    terminal.enters("/summarize");
    terminal.sees("what outgrows the context is left out");
    terminal.enters("/summarize on");
    terminal.sees("is summarised by tiny");
    // A model that talks nonsense up to its limit has told nothing, and that is said.
    let question = |n: u32| format!("{n} {}", "你好".repeat(60));
    for n in 1..6 {
        terminal.enters(&question(n));
    }
    terminal.sees("there is no summary of what is left out");
    terminal.sees("the conversation outgrew the model's 512 tokens");
    terminal.enters("/summarize off");
    terminal.sees("is left out");
}

#[test]
fn what_was_stopped_stays_in_the_session_and_is_marked() {
    let asks = Asks::new();
    asks.reply(begun("Because of "));
    let mut terminal = Terminal::start_with(&asks.home, &["chat", "--session", "work"], &asks.env());
    terminal.sees("session `work`, 0 turn(s)");
    terminal.sees("> ");
    terminal.enters("why?");
    terminal.sees("Because of");
    terminal.types(CTRL_C);
    terminal.sees("(stopped)");
    terminal.sees("> ");
    // It is on the disk before the prompt is back: killing the program now loses nothing.
    drop(terminal);
    let shown = asks.home.run(&["sessions", "show", "work", "--json"]).json();
    let turn = &shown["turns"][0];
    assert_eq!(turn["cut"], true);
    let said = json!([{"role": "user", "content": "why?"}, {"role": "assistant", "content": "Because of "}]);
    assert_eq!(turn["messages"], said);
    assert!(asks.home.run(&["sessions", "show", "work"]).ok().contains("(stopped)"));
    let mut terminal = Terminal::start_with(&asks.home, &["chat", "-c"], &asks.env());
    terminal.sees("session `work`, 1 turn(s)");
}

#[test]
fn a_conversation_becomes_a_session_and_another_can_be_joined() {
    let home = Home::new();
    let mut terminal = start(&home);
    ask(&mut terminal, "hello");
    terminal.enters("/session");
    terminal.sees("kept nowhere");
    terminal.enters("/session ../x");
    terminal.sees("is no name for a session");
    terminal.enters("/session one");
    terminal.sees("session `one`, 1 turn(s)");
    let more = ask(&mut terminal, "hello again");
    terminal.types(CTRL_D);
    assert_eq!(terminal.ends().0, 0);
    let mut terminal = start(&home);
    terminal.enters("/session one");
    terminal.sees("session `one`, 2 turn(s)");
    assert!(ask(&mut terminal, "hello again") > more);
    terminal.enters("/clear");
    terminal.sees("a new conversation begins");
    assert!(ask(&mut terminal, "hello again") < more);
}

#[test]
fn the_editor_key_hands_the_text_to_the_persons_editor() {
    let asks = Asks::new();
    let script = asks.home.path().join("editor.sh");
    std::fs::write(&script, "#!/bin/sh\nprintf '%s, please\\nnow' \"$(cat \"$1\")\" > \"$1\"\n").unwrap();
    let mut env = asks.env().to_vec();
    env.extend([
        ("EDITOR".to_owned(), format!("/bin/sh {}", script.display())),
        ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
    ]);
    asks.reply(answer("", &["Yes."]));
    let mut terminal = Terminal::start_with(&asks.home, &["chat"], &env);
    terminal.sees("> ");
    terminal.types("tell me");
    terminal.types("\x0f");
    terminal.sees("please");
    terminal.types(ENTER);
    terminal.sees("Yes.");
    assert_eq!(asks.asked()[0].body["messages"][0]["content"], "tell me, please\nnow");
}

#[test]
fn the_history_is_searched_and_files_and_sessions_are_completed() {
    let home = Home::new();
    std::fs::write(home.path().join("a-long-name.txt"), "x").unwrap();
    let mut terminal = start(&home);
    ask(&mut terminal, "a needle in the haystack");
    ask(&mut terminal, "something else");
    terminal.types("\x12");
    terminal.types("needle");
    terminal.types(ENTER);
    terminal.types(ENTER);
    answered(&mut terminal);
    terminal.types("what is in @a-lo");
    terminal.types(TAB);
    ask(&mut terminal, "?");
    let messages = saved(&mut terminal, &home, "a.json");
    let asked = asked(&messages);
    assert_eq!(asked[2], "a needle in the haystack");
    assert!(asked[3].ends_with("what is in @a-long-name.txt?") && asked[3].starts_with("<file name="), "{asked:?}");
    terminal.enters("/session kept-for-later");
    terminal.sees("session `kept-for-later`");
    terminal.types(CTRL_D);
    assert_eq!(terminal.ends().0, 0);
    let mut terminal = start(&home);
    terminal.types("/session kept");
    terminal.types(TAB);
    terminal.types(ENTER);
    terminal.sees("session `kept-for-later`, 4 turn(s)");
}
