//! A real MCP server, made with the official SDK.

use std::sync::{Arc, Mutex};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What the tests see of it.
#[derive(Clone, Default)]
pub(crate) struct Server {
    /// Names of the calls that were begun.
    pub(crate) called: Arc<Mutex<Vec<String>>>,
    pub(crate) hangs: Arc<Notify>,
    pub(crate) given_up: Arc<Notify>,
}

fn tool(name: &'static str, description: &'static str, properties: Value) -> Tool {
    let schema = json!({"type": "object", "properties": properties});
    let Value::Object(schema) = schema else { unreachable!("it is an object") };
    Tool::new(name, description, Arc::<JsonObject>::new(schema))
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let abilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(abilities).with_instructions("Add before you shout.")
    }

    /// In two pages.
    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let first = request.and_then(|page| page.cursor).is_none();
        let tools = if first {
            vec![
                tool("add", "Adds two numbers.", json!({"a": {"type": "number"}, "b": {"type": "number"}})),
                tool("text/shout", "Says it louder.", json!({"text": {"type": "string"}})),
            ]
        } else {
            vec![
                tool("fail", "Always fails.", json!({})),
                tool("hang", "Never ends.", json!({})),
                tool("environment", "Names of what it was given.", json!({})),
                tool("exit", "Ends the server.", json!({})),
            ]
        };
        let mut result = ListToolsResult::with_all_items(tools);
        result.next_cursor = first.then(|| "second".to_owned());
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.called.lock().unwrap().push(request.name.to_string());
        let arguments = request.arguments.unwrap_or_default();
        let number = |name: &str| arguments.get(name).and_then(Value::as_f64);
        let text = match request.name.as_ref() {
            "add" => match (number("a"), number("b")) {
                (Some(a), Some(b)) => (a + b).to_string(),
                _ => return Err(ErrorData::invalid_params("`a` and `b` are numbers", None)),
            },
            "text/shout" => arguments.get("text").and_then(Value::as_str).unwrap_or_default().to_uppercase(),
            "fail" => return Ok(CallToolResult::error(vec![ContentBlock::text("the disk is full")]).into()),
            "hang" => {
                self.hangs.notify_one();
                context.ct.cancelled().await;
                self.given_up.notify_one();
                String::new()
            }
            "environment" => {
                let names: Vec<String> = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into()).collect();
                names.join(" ")
            }
            "exit" => std::process::exit(3),
            name => return Err(ErrorData::invalid_params(format!("no tool is called {name}"), None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}
