//! Whose rules count where the contract and OpenAI differ.

use qwenda_testkit::Script;
use qwenda_types::chat::{Strictness, ToolChoice};
use serde_json::{Value, json};

use crate::{
    native::TEXT,
    service::{CHAT, Reply, Service, request},
    tools::tools,
};

const COMPATIBLE: &str = "/compatible-mode/v1/chat/completions";

fn forced(choice: &str) -> Value {
    json!({"tools": tools(), "tool_choice": choice})
}

async fn native(service: &Service, choice: &str) -> Reply {
    let mut parameters = forced(choice);
    parameters["result_format"] = json!("message");
    let input = json!({"messages": [{"role": "user", "content": "a"}]});
    service.native(TEXT, "", &json!({"model": "qwen-scripted", "input": input, "parameters": parameters})).await
}

async fn with(strictness: Strictness) -> Service {
    Service::with(|config| config.strictness = strictness).await
}

#[tokio::test]
async fn a_call_of_any_function_is_forced_where_programs_for_openai_call() {
    let service = Service::start().await;
    for choice in ["required", "any"] {
        service.backend.answer(Script::text(1, &["x"]));
        let reply = service.post(CHAT, request(forced(choice)).to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let asked = service.backend.calls().last().unwrap().request.clone();
        assert_eq!(asked.tool_choice, Some(ToolChoice::Required));
        let reply = service.post(COMPATIBLE, request(forced(choice)).to_string()).await;
        reply.refuses(400, "invalid_parameter_error", "should be [\"none\", \"auto\"]");
        native(&service, choice).await.refuses_natively(400, "InvalidParameter", "\"required\" under /v1");
    }
    // Nothing else is taken over.
    for path in [CHAT, COMPATIBLE] {
        let reply = service.post(path, request(json!({"temperature": 2})).to_string()).await;
        reply.refuses(400, "invalid_parameter_error", "Temperature should be in [0.0, 2.0)");
    }
}

#[tokio::test]
async fn an_operator_s_choice_holds_at_every_address() {
    let service = with(Strictness::Qwen).await;
    for path in [CHAT, COMPATIBLE] {
        let reply = service.post(path, request(forced("required")).to_string()).await;
        reply.refuses(400, "invalid_parameter_error", "should be [\"none\", \"auto\"]");
    }
    native(&service, "required").await.refuses_natively(400, "InvalidParameter", "should be");

    let service = with(Strictness::OpenAi).await;
    for path in [CHAT, COMPATIBLE] {
        for fields in [forced("required"), json!({"temperature": 2})] {
            service.backend.answer(Script::text(1, &["x"]));
            let reply = service.post(path, request(fields).to_string()).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        }
    }
    service.backend.answer(Script::text(1, &["x"]));
    assert_eq!(native(&service, "required").await.status, 200);
}

#[tokio::test]
async fn a_model_here_is_told_whether_it_may_call_several_times() {
    for (strictness, said, want) in [
        (Strictness::Auto, None, false),
        (Strictness::OpenAi, None, true),
        (Strictness::OpenAi, Some(false), false),
        (Strictness::Qwen, Some(true), true),
    ] {
        let service = with(strictness).await;
        service.backend.answer(Script::text(1, &["x"]));
        service.chat(json!({"tools": tools(), "parallel_tool_calls": said})).await;
        assert_eq!(service.backend.calls()[0].request.parallel_tool_calls, Some(want), "{strictness:?}");
    }
}
