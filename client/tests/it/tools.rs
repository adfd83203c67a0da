//! Functions that a model calls.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use qwenda::{
    Client, Kind, Message, Mock, Retry, ToolCall,
    tools::{Approval, Ended, IntoTools, RunEvent, Tool, ToolError},
    types::chat::Role,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Celsius,
    Fahrenheit,
}

#[derive(Debug, Serialize)]
struct Weather {
    degrees: i32,
    unit: Unit,
}

/// Current weather in a city.
///
/// It is made up.
#[qwenda::tool]
async fn weather(
    /// Name of the city, such as "Hangzhou".
    city: String,
    unit: Option<Unit>,
) -> Result<Weather, ToolError> {
    if city == "Atlantis" {
        return Err(ToolError::new("it sank"));
    }
    Ok(Weather { degrees: city.len() as i32, unit: unit.unwrap_or(Unit::Celsius) })
}

/// Adds numbers.
#[qwenda::tool(name = "add-all")]
fn add(#[serde(default)] numbers: Vec<i64>) -> i64 {
    numbers.iter().sum()
}

/// Never ends.
#[qwenda::tool]
async fn forever() {
    std::future::pending::<()>().await;
}

/// Breaks.
#[qwenda::tool]
async fn breaks() -> String {
    panic!("by design")
}

fn chat(client: &Client) -> qwenda::ChatBuilder {
    client.chat("qwen-plus").user("do it")
}

/// What the model read of each call, in order.
fn results(messages: &[Message]) -> Vec<String> {
    messages
        .iter()
        .filter(|message| message.role == Role::Tool)
        .map(|message| message.plain_text().into_owned())
        .collect()
}

#[test]
fn a_function_and_its_comments_become_a_definition() {
    let definition = serde_json::to_value(weather.definition()).unwrap();
    let parameters = json!({
        "type": "object",
        "properties": {
            "city": {"description": "Name of the city, such as \"Hangzhou\".", "type": "string"},
            "unit": {"type": ["string", "null"], "enum": ["celsius", "fahrenheit", null]},
        },
        "additionalProperties": false,
        "required": ["city"],
    });
    let function = json!({
        "name": "weather", "description": "Current weather in a city.\n\nIt is made up.", "parameters": parameters,
    });
    assert_eq!(definition, json!({"type": "function", "function": function}));
    assert_eq!(add.definition().function.name, "add-all");
    assert_eq!(add::run(vec![1, 2]), 3);
    assert_eq!((weather, add).into_tools().len(), 2);
}

#[tokio::test]
async fn calls_are_made_together_and_their_results_keep_their_order() {
    let calls = [
        ("weather", json!({"city": "Rome", "unit": "fahrenheit"})),
        ("add-all", json!({"numbers": [1, 2, 3]})),
        ("add-all", json!({})),
    ];
    let mock = Mock::new().tool_calls(calls).reply("done");
    let run = chat(&mock.client()).tools((weather, add)).await.unwrap();
    assert_eq!((run.text(), run.ended, run.steps.len()), ("done", Ended::Answered, 2));
    assert_eq!(results(&run.messages), [r#"{"degrees":4,"unit":"fahrenheit"}"#, "6", "0"]);
    let second = &mock.bodies()[1];
    let roles: Vec<&str> = second["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "tool"]);
    assert_eq!(second["parallel_tool_calls"], json!(true));
    assert_eq!(second["messages"][2]["tool_call_id"], second["messages"][1]["tool_calls"][0]["id"]);
    assert_eq!(run.cost.to_string(), "0.000028");
}

/// A call that is reasoned about, and an answer that is.
fn reasoning_mock() -> Mock {
    let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "add-all", "arguments": "{}"}});
    let chunk =
        |delta: Value, finish: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let thinks = |word: &str| chunk(json!({"reasoning_content": word}), Value::Null);
    let calls = [thinks("xyzzy"), chunk(json!({"tool_calls": [call]}), "tool_calls".into())];
    let answers = [thinks("plugh"), chunk(json!({"content": "0"}), "stop".into())];
    Mock::new().events(calls).events(answers).reply("again")
}

#[tokio::test]
async fn what_was_reasoned_goes_along_within_a_turn_and_after_it_only_where_it_is_preserved() {
    for preserve in [false, true] {
        let mock = reasoning_mock();
        let chat = mock.client().chat("qwen3.8-plus").preserve_thinking(preserve);
        let mut talk = chat.conversation(qwenda::Policy::everything());
        talk.run("add nothing", |chat| chat.tools(add)).await.unwrap();
        assert_eq!(talk.send("and again").await.unwrap().text(), "again");
        let reasoned = |request: usize| -> Vec<Value> {
            let messages = mock.bodies()[request]["messages"].as_array().unwrap().clone();
            let said = messages.iter().filter(|message| message["role"] == "assistant");
            said.map(|message| message["reasoning_content"].clone()).collect()
        };
        assert_eq!(reasoned(1), ["xyzzy"], "the model reads its reasoning beside the call");
        let after = if preserve { [json!("xyzzy"), json!("plugh")] } else { [Value::Null, Value::Null] };
        assert_eq!(reasoned(2), after, "preserved: {preserve}");
        assert_eq!(mock.bodies()[2]["preserve_thinking"], json!(preserve));
        let kept = talk.history().iter().filter(|message| message.reasoning_content.is_some()).count();
        assert_eq!(kept, if preserve { 2 } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_with_a_call_is_told_to_the_model() {
    let calls = [
        ("weather", json!({"city": "Atlantis"})),
        ("weather", json!({"town": "Rome"})),
        ("wether", json!({})),
        ("forever", json!({})),
        ("breaks", json!({})),
    ];
    let mock = Mock::new().tool_calls(calls).reply("sorry");
    let tools = (weather, forever, breaks);
    let run = chat(&mock.client()).tools(tools).tool_timeout(Duration::from_secs(5)).await.unwrap();
    let told = results(&run.messages);
    let want = [
        "error: it sank",
        "error: wrong arguments: unknown field `town`",
        "error: there is no tool `wether`; there are weather, forever, breaks",
        "error: no result within 5s",
        "error: the tool failed",
    ];
    for (told, want) in told.iter().zip(want) {
        assert!(told.starts_with(want), "{told} for {want}");
    }
    assert_eq!((told.len(), run.text()), (5, "sorry"));
}

/// A tool of one's own, which counts.
struct Counts(Arc<AtomicUsize>, Arc<AtomicUsize>);

impl Tool for Counts {
    fn definition(&self) -> qwenda::types::chat::Tool {
        let mut definition = forever.definition();
        definition.function.name = "count".to_owned();
        definition
    }

    fn call(&self, _: Value) -> qwenda::tools::Outcome {
        let (now, most) = (Arc::clone(&self.0), Arc::clone(&self.1));
        Box::pin(async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok("counted".to_owned())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_run_at_once_than_allowed() {
    for (parallel, want) in [(1, 1), (3, 3), (20, 8)] {
        let most = Arc::new(AtomicUsize::new(0));
        let mock = Mock::new().tool_calls((0..8).map(|_| ("count", json!({})))).reply("done");
        let counts = Counts(Arc::default(), Arc::clone(&most));
        chat(&mock.client()).tools(counts).parallel(parallel).await.unwrap();
        assert_eq!(most.load(Ordering::SeqCst), want);
    }
}

#[tokio::test]
async fn a_run_ends_by_its_conditions_and_no_call_is_left_without_its_result() {
    let script = || (0..6).fold(Mock::new(), |mock, n| mock.tool_calls([("add-all", json!({"numbers": [n]}))]));
    let steps = chat(&script().client()).tools(add).steps(3).await.unwrap();
    assert_eq!((steps.ended, steps.steps.len()), (Ended::Steps, 3));
    let cost = chat(&script().client()).tools(add).cost("0.00003".parse().unwrap()).await.unwrap();
    assert_eq!((cost.ended, cost.steps.len()), (Ended::Cost, 2));
    let own = chat(&script().client()).tools(add).stop_when(|seen| seen.steps.len() == 4).await.unwrap();
    assert_eq!((own.ended, own.steps.len()), (Ended::Condition, 4));
    let same = (0..6).fold(Mock::new(), |mock, _| mock.tool_calls([("add-all", json!({"numbers": [1]}))]));
    let same = chat(&same.client()).tools(add).await.unwrap();
    assert_eq!((same.ended, same.steps.len()), (Ended::Loop, 3));
    for run in [steps, cost, own, same] {
        let calls: usize = run.messages.iter().map(|message| message.tool_calls.len()).sum();
        assert_eq!(calls, results(&run.messages).len());
    }
}

#[tokio::test]
async fn a_run_that_waits_for_approval_goes_on_from_its_messages_without_calling_again() {
    let calls = [("add-all", json!({"numbers": [1]})), ("weather", json!({"city": "Rome"}))];
    let mock = Mock::new().tool_calls(calls).reply("done");
    let client = mock.client();
    let pause = |call: &ToolCall| {
        let pause = call.name == "weather";
        async move { if pause { Approval::Pause } else { Approval::Run } }
    };
    let paused = chat(&client).tools((weather, add)).approve(pause).await.unwrap();
    assert_eq!((paused.ended, results(&paused.messages)), (Ended::Paused, vec!["1".to_owned()]));
    // Through a file, as another process would.
    let kept = serde_json::to_string(&paused.messages).unwrap();
    let messages: Vec<Message> = serde_json::from_str(&kept).unwrap();
    let called = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&called);
    let listen = move |event: &RunEvent| {
        if let RunEvent::Calling(call) = event {
            told.lock().unwrap().push(call.name.clone());
        }
    };
    let run = client.chat("qwen-plus").messages(messages).tools((weather, add)).listen(listen).await.unwrap();
    assert_eq!((run.ended, run.text()), (Ended::Answered, "done"));
    assert_eq!(*called.lock().unwrap(), ["weather"]);
    assert_eq!(results(&run.messages).len(), 2);
}

#[tokio::test]
async fn what_is_not_allowed_is_told_to_the_model() {
    let mock = Mock::new().tool_calls([("add-all", json!({}))]).reply("well");
    let refuse = |_: &ToolCall| async { Approval::Refuse("not today".to_owned()) };
    let run = chat(&mock.client()).tools(add).approve(refuse).await.unwrap();
    assert_eq!(results(&run.messages), ["error: this call was not allowed: not today"]);
}

#[tokio::test]
async fn an_error_in_the_middle_keeps_what_was_done() {
    let mock = Mock::new().tool_calls([("add-all", json!({"numbers": [5]}))]).error(500, "broken");
    let interrupted = chat(&mock.client()).retry(Retry::none()).tools(add).await.unwrap_err();
    assert_eq!((interrupted.error.kind(), results(&interrupted.run.messages)), (Kind::Service, vec!["5".to_owned()]));
    let error: qwenda::Error = interrupted.into();
    assert_eq!(error.kind(), Kind::Service);
    let twice = chat(&mock.client()).tools((add, add)).await.unwrap_err();
    assert_eq!(twice.error.kind(), Kind::Invalid);
}
