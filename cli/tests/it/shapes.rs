//! Answers for programs: events, shapes, tools and commands.

use std::fs;

use qwenda_testkit::Reply;
use serde_json::{Value, json};

use crate::{
    asks::{Asks, answer},
    common::Ran,
};

/// An answer that asks for one call.
pub fn calls(name: &str, arguments: &Value) -> Reply {
    let function = json!({"name": name, "arguments": arguments.to_string()});
    let call = json!({"index": 0, "id": "call-1", "type": "function", "function": function});
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).to_string()
    };
    let events = [chunk(json!({"tool_calls": [call]}), Value::Null), chunk(json!({}), "tool_calls".into())];
    Reply::events(&[&events[0], &events[1], "[DONE]"])
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["type"].as_str().unwrap()).collect()
}

#[test]
fn json_is_an_event_a_line_and_the_last_has_it_all() {
    let asks = Asks::new();
    asks.reply(answer("Hm.", &["Be", "cause"]));
    asks.reply(answer("Hm.", &["Be", "cause"]));
    let ran = asks.run(&["why?", "--json", "--quiet"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:#?}");
    let events = lines(&ran);
    assert_eq!(kinds(&events), ["start", "reasoning", "text", "text", "usage", "end"]);
    assert_eq!((&events[2]["text"], &events[3]["text"]), (&json!("Be"), &json!("cause")));
    assert_eq!(events[4]["reasoning_tokens"], 40);
    let end = events.last().unwrap();
    assert_eq!((&end["text"], &end["finish_reason"]), (&json!("Because"), &json!("stop")));
    // In one piece it is the same record.
    let record = asks.run(&["why?", "--json", "--no-stream"]).json();
    assert_eq!(record["text"], "Because");
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&record), fields(end)[1..]);
}

#[test]
fn an_error_is_an_event_too_and_the_exit_code_stays() {
    let asks = Asks::new();
    let body = json!({"error": {"code": "Arrearage", "message": "pay first"}}).to_string();
    asks.reply(Reply::json(400, body).header("x-request-id", "req-7"));
    let ran = asks.run(&["why?", "--json"]);
    assert_eq!(ran.code, Some(7), "{ran:#?}");
    let events = lines(&ran);
    assert_eq!(kinds(&events), ["start", "error"]);
    let error = &events[1];
    assert_eq!((&error["exit"], &error["billed"], &error["request_id"]), (&json!(7), &json!(false), &json!("req-7")));
}

#[test]
fn an_answer_of_another_shape_is_exit_12_and_stdout_stays_empty() {
    let asks = Asks::new();
    for text in [r#"{"n": 4}"#, r#"{"n": "four"}"#, "four", r#"{"n": 4}"#] {
        asks.reply(answer("", &[text]));
    }
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let inline = schema.to_string();
    assert_eq!(asks.run(&["2+2", "--schema", &inline]).ok(), "{\"n\": 4}\n");
    assert_eq!(asks.asked()[0].body["response_format"]["json_schema"]["schema"], schema);
    asks.run(&["2+2", "--schema", &inline]).fails(12, &["does not fit the schema: /n"]);
    asks.run(&["2+2", "--schema", &inline]).fails(12, &["does not fit the schema"]);
    fs::write(asks.home.path().join("n.json"), &inline).unwrap();
    let record = asks.run(&["2+2", "--schema", "n.json", "--json", "--no-stream"]).json();
    assert_eq!(record["value"], json!({"n": 4}));
    asks.run(&["2+2", "--schema", "{]"]).fails(2, &["--schema: "]);
    asks.run(&["2+2", "--schema", r#"{"type": "nothing"}"#]).fails(2, &["--schema: "]);
    asks.run(&["2+2", "--schema", "gone.json"]).fails(2, &["cannot read gone.json"]);
}

#[test]
fn what_only_reads_below_is_called_and_what_nobody_allows_is_not() {
    let asks = Asks::new();
    fs::write(asks.home.path().join("notes.txt"), "4711").unwrap();
    asks.reply(calls("read_file", &json!({"path": "notes.txt"})));
    asks.reply(answer("", &["It says 4711."]));
    let ran = asks.run(&["what do my notes say?", "--tool", "read_file", "--json"]);
    assert_eq!(kinds(&lines(&ran)), ["start", "tool_call", "tool_result", "text", "usage", "end"], "{ran:#?}");
    assert_eq!(lines(&ran)[2]["output"], "4711");
    assert_eq!(asks.asked()[0].body["tools"][0]["function"]["name"], "read_file");
    for (tool, arguments, path) in [
        ("shell", json!({"command": "touch made"}), "made"),
        ("read_file", json!({"path": "/etc/hostname"}), ""),
        ("fetch", json!({"url": "http://127.0.0.1:1/"}), ""),
    ] {
        asks.reply(calls(tool, &arguments));
        asks.reply(answer("", &["I may not."]));
        let ran = asks.run(&["do it", "--tool", "shell", "--tool", "read_file", "--tool", "fetch"]);
        assert_eq!(ran.ok(), "I may not.\n");
        assert!(ran.stderr.contains(&format!("{tool} was not called")), "{ran:#?}");
        assert!(path.is_empty() || !asks.home.path().join(path).exists());
    }
    // `--yes` allows what is not a command.
    asks.reply(calls("shell", &json!({"command": "touch made"})));
    asks.reply(answer("", &["I may not."]));
    asks.run(&["do it", "--tool", "shell", "--yes"]).ok();
    assert!(!asks.home.path().join("made").exists());
    asks.run(&["do it", "--tool", "rm"]).fails(2, &["there is no tool `rm`; there are read_file"]);
}

#[test]
fn a_command_is_only_printed_where_nobody_can_say_yes() {
    let asks = Asks::new();
    asks.reply(answer("", &["```sh\ntouch made\n```"]));
    let ran = asks.run(&["-e", "make a file"]);
    assert_eq!(ran.ok(), "touch made\n");
    assert!(!asks.home.path().join("made").exists());
    asks.reply(answer("", &["touch \u{202e}made"]));
    let ran = asks.run(&["-e", "make a file"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    asks.run(&["-e", "x", "--json"]).fails(2, &["cannot be used with"]);
}

#[cfg(unix)]
mod at_a_terminal {
    use super::*;
    use crate::terminal::{CTRL_C, Terminal};

    fn start(asks: &Asks, args: &[&str]) -> Terminal {
        let mut env = asks.env().to_vec();
        env.extend([("SHELL", "/bin/sh"), ("PATH", "/usr/bin:/bin")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        Terminal::start_with(&asks.home, args, &env)
    }

    #[test]
    fn a_command_runs_after_a_yes_and_only_then() {
        let asks = Asks::new();
        let made = asks.home.path().join("made");
        asks.reply(answer("", &["touch made"]));
        let mut terminal = start(&asks, &["chat", "-e", "make a file"]);
        terminal.sees("run it?");
        terminal.enters("");
        assert_eq!(terminal.ends().0, 0);
        assert!(!made.exists());
        asks.reply(answer("", &["touch made"]));
        asks.reply(answer("", &["It makes a file."]));
        let mut terminal = start(&asks, &["chat", "-e", "make a file"]);
        terminal.sees("run it?");
        terminal.enters("?");
        terminal.sees("It makes a file.");
        terminal.sees("run it?");
        terminal.enters("y");
        assert_eq!(terminal.ends().0, 0);
        assert!(made.exists());
        asks.reply(answer("", &["exit 3"]));
        let mut terminal = start(&asks, &["chat", "-e", "fail"]);
        terminal.sees("run it?");
        terminal.enters("y");
        terminal.sees("the command ended with 3");
        assert_eq!(terminal.ends().0, 1);
    }

    #[test]
    fn a_command_can_be_changed_before_it_runs() {
        let asks = Asks::new();
        asks.reply(answer("", &["touch made"]));
        let mut terminal = start(&asks, &["chat", "-e", "make a file"]);
        terminal.sees("run it?");
        terminal.enters("e");
        terminal.sees("$ touch made");
        terminal.enters("-2");
        terminal.sees("run it?");
        terminal.enters("y");
        assert_eq!(terminal.ends().0, 0);
        assert!(asks.home.path().join("made-2").exists() && !asks.home.path().join("made").exists());
    }

    #[test]
    fn a_tool_is_called_after_a_yes_and_ctrl_c_is_a_no_to_everything() {
        let asks = Asks::new();
        let call = || calls("shell", &json!({"command": "echo done > made; echo out"}));
        asks.reply(call());
        asks.reply(answer("", &["Done."]));
        let mut terminal = start(&asks, &["chat", "do it", "--tool", "shell"]);
        terminal.sees("may it call shell");
        terminal.sees("[y/N]");
        terminal.enters("y");
        terminal.sees("Done.");
        assert_eq!(terminal.ends().0, 0);
        assert!(asks.home.path().join("made").exists());
        let result = asks.asked().last().unwrap().body["messages"][2]["content"].as_str().unwrap().to_owned();
        assert_eq!(result, "exit code: 0\nout\n");
        asks.reply(call());
        let mut terminal = start(&asks, &["chat", "do it", "--tool", "shell"]);
        terminal.sees("[y/N]");
        terminal.types(CTRL_C);
        assert_eq!(terminal.ends().0, 130);
    }
}

/// A server of tools in so few lines that it can be read: it answers what it is asked, by the id.
#[cfg(unix)]
const SERVER: &str = r#"while read -r line; do
  id=${line#*\"id\":}; id=${id%%[,\}]*}
  case $line in
    *'"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"t","version":"1"}}' ;;
    *'"tools/list"'*) result='{"tools":[{"name":"read_file","description":"d","inputSchema":{"type":"object"}}]}' ;;
    *'"tools/call"'*) result='{"content":[{"type":"text","text":"from the server"}]}' ;;
    *) continue ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"#;

#[cfg(unix)]
#[test]
fn the_tools_of_an_mcp_server_are_called_when_they_are_allowed() {
    let asks = Asks::new();
    fs::write(asks.home.path().join("server.sh"), SERVER).unwrap();
    let table = "[[mcp]]\nname = \"notes\"\ncommand = [\"/bin/sh\", \"server.sh\"]\n\n[[mcp]]\nname = \"none\"\n";
    fs::write(asks.home.path().join("qwenda.toml"), table).unwrap();
    // It is called as ours is, and is not ours.
    for (more, said) in [(&[][..], "not allowed"), (&["--yes"], "from the server")] {
        asks.reply(calls("read_file", &json!({"path": "qwenda.toml"})));
        asks.reply(answer("", &["Well."]));
        let ran = asks.run(&[&["what is there?", "--tool", "notes"], more].concat());
        assert_eq!(ran.ok(), "Well.\n", "{ran:#?}");
        let result = asks.asked().last().unwrap().body["messages"][2]["content"].as_str().unwrap().to_owned();
        assert!(result.contains(said), "{result}");
    }
    asks.run(&["x", "--tool", "none"]).fails(2, &["mcp `none` wants either `command` or `url`"]);
    asks.run(&["x", "--tool", "rm"])
        .fails(2, &["there is no tool `rm`; there are read_file, list_dir, fetch, shell, notes"]);
}
