//! Functions that a model may call here, and who is asked before.

mod ask;
mod files;
mod page;
pub mod servers;
mod shell;

use std::{path::PathBuf, sync::Arc};

use qwenda::{
    ToolCall,
    tools::{Approval, IntoTools, Outcome, Tool, ToolError},
    types::chat::{Tool as Definition, ToolFunction},
};
use serde_json::{Map, Value, json};

pub use self::{
    ask::{Answered, Question, ask},
    shell::{Shell, run as run_command},
};
use crate::{
    exit::CliError,
    lang::{Lang, chat as words},
    output::{Ui, visible},
    settings::Settings,
};

/// Most bytes of a result that a model is given.
const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// The tools that come along.
const NAMES: [&str; 4] = ["read_file", "list_dir", "fetch", "shell"];

/// A function of this program.
struct Builtin {
    name: &'static str,
    description: &'static str,
    /// Its one argument, and what that is.
    argument: (&'static str, &'static str),
    call: fn(Lang, String) -> Outcome,
    lang: Lang,
}

/// The tool of that name.
fn builtin(lang: Lang, settings: &Settings, name: &str) -> Result<Arc<dyn Tool>, CliError> {
    let of = |name, description, argument, call| Builtin { name, description, argument, call, lang };
    let tool = match name {
        "read_file" => of(
            "read_file",
            "The text of a file.",
            ("path", "Path of the file, from the current folder."),
            (|_, path| Box::pin(files::read(PathBuf::from(path)))) as fn(Lang, String) -> Outcome,
        ),
        "list_dir" => of(
            "list_dir",
            "The names in a folder; those of folders end in `/`.",
            ("path", "Path of the folder, from the current folder."),
            |_, path| Box::pin(files::list(PathBuf::from(path))),
        ),
        "fetch" => of("fetch", "The text of a web page.", ("url", "Its address, with https://."), |lang, url| {
            Box::pin(page::fetch(lang, url))
        }),
        "shell" => of(
            "shell",
            "Runs a command in the person's shell; gives its output and exit code.",
            ("command", "The command."),
            |_, command| Box::pin(shell::output(command)),
        ),
        _ => {
            let servers = settings.mcp().iter().map(|server| server.name.as_str());
            let names: Vec<&str> = NAMES.into_iter().chain(servers).collect();
            return Err(CliError::usage(words::no_tool(lang, name, &names.join(", "))));
        }
    };
    Ok(Arc::new(tool))
}

impl Tool for Builtin {
    fn definition(&self) -> Definition {
        let (name, what) = self.argument;
        let parameters = json!({
            "type": "object", "properties": {name: {"type": "string", "description": what}},
            "required": [name], "additionalProperties": false,
        });
        let function = ToolFunction {
            name: self.name.to_owned(),
            description: Some(self.description.to_owned()),
            parameters: Some(parameters),
            rest: Map::new(),
        };
        Definition { kind: "function".to_owned(), function, rest: Map::new() }
    }

    fn call(&self, arguments: Value) -> Outcome {
        let name = self.argument.0;
        let Some(text) = arguments.get(name).and_then(Value::as_str).map(str::to_owned) else {
            return Box::pin(async move { Err(ToolError::new(format!("`{name}` must be a text"))) });
        };
        (self.call)(self.lang, text)
    }
}

/// A result within its bound; what is cut is said.
fn bounded(mut text: String) -> String {
    if text.len() > OUTPUT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(OUTPUT_BYTES_MAX));
        text += &format!("\n[cut after {OUTPUT_BYTES_MAX} bytes]");
    }
    text
}

/// What models may call, and who decides.
#[derive(Clone)]
pub struct Tools {
    pub list: Vec<Arc<dyn Tool>>,
    pub gate: Gate,
}

impl Tools {
    /// The tools of these names: ours, and those of the MCP servers that are called so.
    pub async fn open(ui: Ui, settings: &Settings, names: &[String], yes: bool) -> Result<Self, CliError> {
        let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (mut list, mut ours) = (Vec::new(), Vec::new());
        for name in wanted {
            match settings.mcp().iter().find(|server| server.name == name) {
                Some(server) => list.extend(server.connect(ui.lang).await?.into_tools()),
                None => {
                    list.push(builtin(ui.lang, settings, name)?);
                    ours.push(name.to_owned());
                }
            }
        }
        Ok(Self { list, gate: Gate { ui, ours: ours.into(), yes, asking: Arc::default() } })
    }
}

/// Decides on calls: what only reads below the current folder is made, all else is the person's to allow.
#[derive(Clone)]
pub struct Gate {
    ui: Ui,
    /// Names that are those of our own tools: another's of the same name has another here.
    ours: Arc<[String]>,
    /// What may be called without asking, but for commands.
    yes: bool,
    /// One question at a time.
    asking: Arc<tokio::sync::Mutex<()>>,
}

impl Gate {
    pub async fn approve(self, call: ToolCall) -> Approval {
        let path = || call.json().ok().and_then(|value| Some(value.get("path")?.as_str()?.to_owned()));
        let own = self.ours.contains(&call.name);
        let harmless = own
            && match call.name.as_str() {
                "read_file" | "list_dir" => path().is_some_and(|path| files::is_below_here(&path)),
                _ => false,
            };
        // A command can do anything: it is always asked for.
        if harmless || (self.yes && call.name != "shell") {
            return Approval::Run;
        }
        let _one = self.asking.lock().await;
        // What was told before belongs on the screen first.
        tokio::task::yield_now().await;
        let lang = self.ui.lang;
        let what = visible(&call.arguments);
        let question = Question { text: words::may_it(lang, &call.name, &what), keys: "yn" };
        match ask(self.ui, question).await {
            Answered::Key('y') => Approval::Run,
            Answered::Key(_) => Approval::Refuse("the person said no".to_owned()),
            Answered::Nobody => {
                self.ui.notice(words::nobody_to_ask(lang, &call.name));
                Approval::Refuse("there is nobody to ask".to_owned())
            }
        }
    }
}
