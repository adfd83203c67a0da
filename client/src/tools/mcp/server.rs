//! Where an MCP server is, and how one is reached.

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rmcp::{
    model::{ClientCapabilities, Implementation, InitializeRequestParams},
    service::{ClientInitializeError, RoleClient, RunningService, serve_client},
    transport::{
        IntoTransport, StreamableHttpClientTransport, TokioChildProcess,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    task::JoinHandle,
};

use super::text::plain;
use crate::{
    Error, Result, Secret,
    error::Kind,
    transport::{http, within},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const OUTPUT_BYTES_MAX: usize = 256 << 10;
/// How much of what a server complained about is shown when it does not start.
const COMPLAINT_BYTES_MAX: usize = 2 << 10;
const COMPLAINT_WAIT: Duration = Duration::from_secs(1);
/// What a started server gets of our environment. Keys are no part of it.
const INHERITED: [&str; 20] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "USER",
    "APPDATA",
    "HOMEDRIVE",
    "HOMEPATH",
    "LOCALAPPDATA",
    "PATHEXT",
    "PROGRAMFILES",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "USERPROFILE",
];

/// Where an MCP server is: a program to be started, or an address.
#[derive(Clone)]
#[must_use = "nothing is started until it is connected"]
pub struct McpServer {
    way: Way,
    name: Option<String>,
    connect_timeout: Duration,
    pub(super) call_timeout: Duration,
    pub(super) output_bytes_max: usize,
    only: Option<Vec<String>>,
}

#[derive(Clone)]
enum Way {
    Program { program: OsString, args: Vec<OsString>, env: Vec<(OsString, OsString)>, dir: Option<PathBuf> },
    Address { url: String, key: Option<Secret>, headers: Vec<(String, String)> },
}

type Service = RunningService<RoleClient, InitializeRequestParams>;

impl McpServer {
    fn new(way: Way) -> Self {
        Self {
            way,
            name: None,
            connect_timeout: CONNECT_TIMEOUT,
            call_timeout: CALL_TIMEOUT,
            output_bytes_max: OUTPUT_BYTES_MAX,
            only: None,
        }
    }

    /// Starts this program, and speaks with it by its standard input and output. Of the environment it gets what
    /// programs need (`PATH`, `HOME`, the language and the like), and what [`env`](Self::env) adds: no keys.
    pub fn stdio<A: Into<OsString>>(program: impl Into<OsString>, args: impl IntoIterator<Item = A>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self::new(Way::Program { program: program.into(), args, env: Vec::new(), dir: None })
    }

    /// Asks at this address, by streamable HTTP.
    pub fn http(url: impl Into<String>) -> Self {
        Self::new(Way::Address { url: url.into(), key: None, headers: Vec::new() })
    }

    /// What it is called in errors, and before the names of tools that are not the only ones of their name. By
    /// default the program's name, or the host's.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A variable of the program's environment. An address has none.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        if let Way::Program { env, .. } = &mut self.way {
            env.push((name.into(), value.into()));
        }
        self
    }

    /// The folder that the program works in; ours by default. An address has none.
    pub fn dir(mut self, path: impl Into<PathBuf>) -> Self {
        if let Way::Program { dir, .. } = &mut self.way {
            *dir = Some(path.into());
        }
        self
    }

    /// Sent to the address as `Authorization: Bearer …`. A program gets none.
    pub fn key(mut self, secret: impl Into<Secret>) -> Self {
        if let Way::Address { key, .. } = &mut self.way {
            *key = Some(secret.into());
        }
        self
    }

    /// A header of every request to the address. A program gets none.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Way::Address { headers, .. } = &mut self.way {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// How long it may take until the server is there and has told its tools; 30 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long a call may take; 60 s.
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.call_timeout = limit;
        self
    }

    /// Most bytes of a result; what is longer is cut, and says so; 256 KiB.
    pub fn output_bytes_max(mut self, bytes: usize) -> Self {
        self.output_bytes_max = bytes;
        self
    }

    /// Takes the tools of these names alone.
    pub fn only<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.only = Some(names.into_iter().map(Into::into).collect());
        self
    }

    pub(super) fn wants(&self, tool: &str) -> bool {
        self.only.as_ref().is_none_or(|names| names.iter().any(|name| name == tool))
    }

    /// Without what is secret.
    pub(super) fn scrub(&self, text: String) -> String {
        match &self.way {
            Way::Address { key: Some(key), .. } => key.scrub(text),
            _ => text,
        }
    }

    pub(super) fn shown_name(&self) -> String {
        if let Some(name) = &self.name {
            return plain(name);
        }
        match &self.way {
            Way::Program { program, .. } => {
                let path = PathBuf::from(program);
                plain(&path.file_stem().unwrap_or(program).to_string_lossy())
            }
            Way::Address { url, .. } => {
                let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
                plain(host.as_deref().unwrap_or("mcp"))
            }
        }
    }

    /// Connects, and asks for the tools.
    pub(super) async fn open(&self) -> Result<(Service, Vec<rmcp::model::Tool>)> {
        match &self.way {
            Way::Program { program, .. } => {
                let (process, complaints) = self.start().map_err(|error| {
                    Error::config(format!("the MCP server `{}` cannot be started: {error}", program.to_string_lossy()))
                })?;
                let complained = Complaints::listen(complaints);
                match self.greet(process).await {
                    Ok(greeted) => Ok(greeted),
                    Err(error) => Err(complained.add_to(error).await),
                }
            }
            Way::Address { .. } => self.greet(self.address()?).await,
        }
    }

    async fn greet<T, E, A>(&self, transport: T) -> Result<(Service, Vec<rmcp::model::Tool>)>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let name = self.shown_name();
        let failed = |why: String| {
            Error::of(Kind::Connect).say(self.scrub(format!("the MCP server `{name}` does not answer as one: {why}")))
        };
        let us = Implementation::new("qwenda", env!("CARGO_PKG_VERSION"));
        let greeting = async {
            let us = InitializeRequestParams::new(ClientCapabilities::default(), us);
            let service = serve_client(us, transport).await.map_err(|error| failed(in_short(&error)))?;
            let tools = service.list_all_tools().await.map_err(|error| failed(error.to_string()))?;
            Ok((service, tools))
        };
        let limit = self.connect_timeout;
        within(Some(limit), greeting).await.unwrap_or_else(|| Err(failed(format!("not within {limit:?}"))))
    }

    fn start(&self) -> std::io::Result<(TokioChildProcess, Option<tokio::process::ChildStderr>)> {
        let Way::Program { program, args, env, dir } = &self.way else {
            return Err(std::io::Error::other("it is no program"));
        };
        let mut command = Command::new(program);
        command.args(args).env_clear().kill_on_drop(true);
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = dir {
            command.current_dir(dir);
        }
        TokioChildProcess::builder(command).stderr(Stdio::piped()).spawn()
    }

    fn address(&self) -> Result<StreamableHttpClientTransport<reqwest::Client>> {
        let Way::Address { url, key, headers } = &self.way else {
            return Err(Error::config("it is no address"));
        };
        if !reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(Error::config(format!("the MCP server's address is none of HTTP: `{url}`")));
        }
        let wrong = |name: &str| Error::config(format!("no request can carry the header `{name}`"));
        let mut map = HashMap::new();
        for (name, value) in headers {
            let header = reqwest::header::HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(name))?;
            map.insert(header, reqwest::header::HeaderValue::from_str(value).map_err(|_| wrong(name))?);
        }
        let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str()).custom_headers(map);
        if let Some(key) = key {
            if !key.is_sendable() {
                return Err(Error::config("the MCP server's key has characters that no header can carry"));
            }
            config = config.auth_header(key.reveal());
        }
        Ok(StreamableHttpClientTransport::with_client(http::client(url, Some(self.connect_timeout))?, config))
    }
}

impl fmt::Debug for McpServer {
    /// Neither keys nor headers nor variables nor arguments, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer").field("name", &self.shown_name()).finish_non_exhaustive()
    }
}

/// Errors of this kind show whole messages otherwise.
fn in_short(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::ExpectedInitResponse(_) | ClientInitializeError::ExpectedInitResult(_) => {
            "it answers something else".to_owned()
        }
        error => error.to_string(),
    }
}

/// The beginning of what a program writes to its standard error. All of it is read, or the program would wait.
struct Complaints {
    kept: Arc<Mutex<Vec<u8>>>,
    reading: Option<JoinHandle<()>>,
}

impl Complaints {
    fn listen(from: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&kept);
        let reading = from.map(|mut from| {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(read @ 1..) = from.read(&mut buffer).await {
                    let mut kept = written.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = COMPLAINT_BYTES_MAX - kept.len();
                    kept.extend_from_slice(&buffer[..read.min(room)]);
                }
            })
        });
        Self { kept, reading }
    }

    /// The error of a program that is no more, with what it said last.
    async fn add_to(self, error: Error) -> Error {
        if let Some(reading) = self.reading {
            // Whoever it started may live on with its standard error.
            let _ = within(Some(COMPLAINT_WAIT), reading).await;
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let said = String::from_utf8_lossy(&kept).trim().to_owned();
        if said.is_empty() {
            return error;
        }
        let message = format!("{}; it says: {said}", error.message());
        error.say(message)
    }
}
