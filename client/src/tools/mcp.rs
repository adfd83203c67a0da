//! The tools of MCP servers: [`McpServer`] says where one is, [`Mcp`] is the connection, and gives tools as any others.

mod server;
mod text;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::FutureExt;
use qwenda_types::chat::ToolFunction;
use rmcp::{
    model::{CallToolRequestParams, InitializeRequestParams},
    service::{RoleClient, RunningService, ServiceError},
};
use serde_json::{Map, Value};
pub use server::McpServer;

use super::{IntoTools, Outcome, Tool, ToolError};
use crate::{Result, transport::within};

/// A connection to an MCP server. Clones share it; it ends with the last of them and of its tools, and a server that
/// was started for it ends, too.
///
/// Each tool keeps its name. Where two would be called the same in one chat, those of MCP servers get the name of
/// their server before their own.
///
/// # Example
/// ```no_run
/// # async fn run() -> qwenda::Result<()> {
/// use qwenda::tools::{Mcp, McpServer};
///
/// let files = Mcp::connect(McpServer::stdio("mcp-server-filesystem", ["/data"]).name("files")).await?;
/// let search = Mcp::connect(McpServer::http("https://mcp.example/search").key("secret")).await?;
/// let client = qwenda::Client::from_env()?;
/// let run = client.chat("qwen-plus").user("What is in notes.txt?").tools(files).and(search).await?;
/// println!("{}", run.text());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Mcp {
    connection: Arc<Connection>,
    tools: Vec<Arc<McpTool>>,
}

struct Connection {
    name: String,
    service: RunningService<RoleClient, InitializeRequestParams>,
    call_timeout: Duration,
    output_bytes_max: usize,
    server: McpServer,
}

impl Mcp {
    /// Connects, and asks for the tools.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) for a program that cannot be started or an address that is none,
    /// [`Kind::Connect`](crate::Kind::Connect) where the server does not answer as one, or not in time.
    pub async fn connect(server: McpServer) -> Result<Self> {
        let (service, listed) = server.open().await?;
        let mut names = text::Names::default();
        let listed: Vec<_> = listed.into_iter().filter(|tool| server.wants(&tool.name)).collect();
        let connection = Arc::new(Connection {
            name: server.shown_name().to_owned(),
            service,
            call_timeout: server.call_timeout,
            output_bytes_max: server.output_bytes_max,
            server,
        });
        let tools = listed.into_iter().map(|tool| {
            let function = ToolFunction {
                name: names.plain(&tool.name),
                description: tool.description.map(|text| text.into_owned()).or(tool.title),
                parameters: Some(Value::Object(Arc::unwrap_or_clone(tool.input_schema))),
                rest: Map::new(),
            };
            let definition = qwenda_types::chat::Tool { kind: "function".to_owned(), function, rest: Map::new() };
            Arc::new(McpTool { connection: Arc::clone(&connection), name: tool.name.into_owned(), definition })
        });
        let tools = tools.collect();
        Ok(Self { connection, tools })
    }

    /// What the server is called.
    pub fn name(&self) -> &str {
        &self.connection.name
    }

    /// What its tools are called, in its order.
    pub fn tool_names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().map(|tool| tool.definition.function.name.as_str())
    }

    /// What the server says of how to use it all; for the instructions of a chat.
    pub fn instructions(&self) -> Option<String> {
        self.connection.service.peer_info()?.instructions.clone()
    }
}

impl IntoTools for Mcp {
    fn into_tools(self) -> Vec<Arc<dyn Tool>> {
        self.tools.into_iter().map(|tool| tool as Arc<dyn Tool>).collect()
    }
}

impl IntoTools for &[Mcp] {
    fn into_tools(self) -> Vec<Arc<dyn Tool>> {
        self.iter().cloned().flat_map(IntoTools::into_tools).collect()
    }
}

impl fmt::Debug for Mcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mcp").field("name", &self.connection.name).field("tools", &self.tools.len()).finish()
    }
}

struct McpTool {
    connection: Arc<Connection>,
    /// As the server has it.
    name: String,
    definition: qwenda_types::chat::Tool,
}

impl Tool for McpTool {
    fn definition(&self) -> qwenda_types::chat::Tool {
        self.definition.clone()
    }

    fn origin(&self) -> Option<&str> {
        Some(&self.connection.name)
    }

    fn call(&self, arguments: Value) -> Outcome {
        let (connection, name) = (Arc::clone(&self.connection), self.name.clone());
        async move {
            let Value::Object(arguments) = arguments else {
                return Err(ToolError::new("the arguments are no JSON object"));
            };
            connection.call(CallToolRequestParams::new(name).with_arguments(arguments)).await
        }
        .boxed()
    }
}

impl Connection {
    /// Dropping the future tells the server that nobody waits any more.
    async fn call(&self, params: CallToolRequestParams) -> std::result::Result<String, ToolError> {
        let limit = self.call_timeout;
        let called = within(Some(limit), self.service.call_tool(params)).await;
        let called = called.ok_or_else(|| ToolError::new(format!("no result within {limit:?}")))?;
        let result = called.map_err(|error| self.failed(&error))?;
        let text = text::of(&result, self.output_bytes_max);
        if result.is_error == Some(true) { Err(ToolError::new(text)) } else { Ok(text) }
    }

    fn failed(&self, error: &ServiceError) -> ToolError {
        let name = &self.name;
        match error {
            ServiceError::McpError(error) => ToolError::new(self.server.scrub(error.message.to_string())),
            ServiceError::InputRequiredRoundsExceeded { .. } | ServiceError::UnexpectedResponse => {
                ToolError::new(format!("the MCP server `{name}` wants more than a call, which is not supported"))
            }
            _ if self.service.is_transport_closed() => ToolError::new(format!("the MCP server `{name}` is gone")),
            error => ToolError::new(self.server.scrub(format!("the MCP server `{name}`: {error}"))),
        }
    }
}
