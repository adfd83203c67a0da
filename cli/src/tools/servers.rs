//! MCP servers of the configuration, whose tools models may call.

use std::collections::BTreeMap;

use qwenda::tools::{Mcp, McpServer};
use serde::Deserialize;

use crate::{
    exit::CliError,
    interrupt,
    lang::{Lang, chat as words},
    settings::Env,
};

/// An `[[mcp]]` table as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// What `--tool` calls it.
    pub name: String,
    /// A program and its arguments.
    #[serde(default)]
    command: Vec<String>,
    /// More of its environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// An address, in place of a program.
    url: Option<String>,
    /// The variable that has the key for the address.
    key_env: Option<String>,
    /// Only these of its tools.
    tools: Option<Vec<String>>,
}

impl Written {
    fn server(&self, lang: Lang) -> Result<McpServer, CliError> {
        let mut server = match (self.command.split_first(), &self.url) {
            (Some((program, args)), None) => McpServer::stdio(program, args),
            (None, Some(url)) => McpServer::http(url),
            _ => return Err(CliError::usage(words::mcp_way(lang, &self.name))),
        };
        for (name, value) in &self.env {
            server = server.env(name, value);
        }
        if let Some(variable) = &self.key_env {
            let key = Env.get(variable).ok_or_else(|| CliError::usage(words::mcp_key(lang, &self.name, variable)))?;
            server = server.key(key);
        }
        if let Some(tools) = &self.tools {
            server = server.only(tools.iter().map(String::as_str));
        }
        Ok(server.name(&self.name))
    }

    /// Connects to it. Ctrl-C ends that.
    pub async fn connect(&self, lang: Lang) -> Result<Mcp, CliError> {
        let server = self.server(lang)?;
        tokio::select! {
            connected = Mcp::connect(server) => connected.map_err(|error| {
                CliError::new(crate::who::exit_of(error.kind()), words::mcp_failed(lang, &self.name, error.message()))
            }),
            () = interrupt::ctrl_c() => Err(CliError::interrupted()),
        }
    }
}
