//! The command line as typed. The texts of `--help` are in `lang/help.rs`, in both languages, and are
//! put in before parsing; what a missing flag means is in `settings.rs`.

mod admin;
mod projects;
mod sessions;

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::{
    admin::{Admin, AdminKeys, Rotate},
    projects::Projects,
    sessions::{ExportFormat, Sessions, Templates},
};
use crate::lang::Lang;

#[derive(Debug, Parser)]
#[command(name = "qwenda", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    #[arg(long, global = true, value_name = "LANG", hide_possible_values = true)]
    pub lang: Option<Lang>,
    #[arg(short, long, global = true)]
    pub quiet: bool,
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Chat(Box<Chat>),
    Sessions {
        #[command(subcommand)]
        command: Sessions,
    },
    Templates {
        #[command(subcommand)]
        command: Templates,
    },
    Serve(Serve),
    Pull(Pull),
    Models(Models),
    Tokens(Tokens),
    Score(Score),
    Bench(Bench),
    Keys {
        #[command(subcommand)]
        command: Keys,
    },
    Limits(Box<Limits>),
    Admin {
        #[command(subcommand)]
        command: Admin,
    },
    Accounts {
        #[command(subcommand)]
        command: Accounts,
    },
    Projects {
        #[command(subcommand)]
        command: Projects,
    },
    Topup(Topup),
    Grant(Grant),
    Usage(Usage),
    Bill(Bill),
    Audit(Place),
    Backup(Backup),
    Prices {
        #[command(subcommand)]
        command: Prices,
    },
    Man {
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    Completions {
        #[arg(value_name = "SHELL", hide_possible_values = true)]
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct Chat {
    #[arg(value_name = "PROMPT")]
    pub prompt: Vec<String>,
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,
    #[arg(short, long, value_name = "PATH|DIR|URL")]
    pub file: Vec<String>,
    #[arg(short, long, value_name = "NAME")]
    pub role: Option<String>,
    #[arg(short = 'T', long, value_name = "NAME")]
    pub template: Option<String>,
    #[arg(short = 'v', long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    #[command(flatten)]
    pub model: ModelArg,
    #[arg(long)]
    pub local: bool,
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    #[arg(short = 'c', long = "continue", conflicts_with = "session")]
    pub go_on: bool,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[arg(long, value_name = "TOKENS")]
    pub context: Option<u32>,
    #[arg(long, value_name = "MODEL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub summarize: Option<String>,
    #[arg(long)]
    pub think: bool,
    #[arg(long, conflicts_with = "think")]
    pub no_think: bool,
    #[arg(long, value_name = "FILE|JSON")]
    pub schema: Option<String>,
    #[arg(long = "tool", value_name = "NAME")]
    pub tools: Vec<String>,
    #[arg(long)]
    pub yes: bool,
    #[arg(short, long, conflicts_with_all = ["json", "schema", "tools", "template", "session", "go_on"])]
    pub exec: bool,
    #[arg(long)]
    pub reasoning: bool,
    #[arg(long)]
    pub plain: bool,
    #[arg(long)]
    pub json: bool,
    #[arg(long)]
    pub no_stream: bool,
}

#[derive(Debug, Args)]
pub struct ModelArg {
    #[arg(short, long, value_name = "NAME_OR_PATH")]
    pub model: Option<String>,
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
pub struct SamplingArgs {
    #[arg(short, long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub top_p: Option<f64>,
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub top_k: Option<i64>,
    #[arg(short = 'n', long, value_name = "N")]
    pub max_tokens: Option<u32>,
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Serve {
    #[arg(short, long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    #[arg(short, long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    #[arg(short, long = "model", value_name = "NAME_OR_PATH")]
    pub models: Vec<String>,
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    #[arg(long, value_name = "TOKENS")]
    pub context: Option<u32>,
    #[arg(long, value_name = "TOKENS")]
    pub kv_tokens: Option<u32>,
    #[arg(long, value_name = "N")]
    pub sequences: Option<u32>,
    #[arg(long)]
    pub no_guess: bool,
    #[arg(long, value_name = "NAME_OR_PATH", conflicts_with = "no_guess")]
    pub draft: Option<String>,
    #[arg(long)]
    pub share_prefixes: bool,
    #[arg(long = "alias", value_name = "NAME=MODEL")]
    pub aliases: Vec<String>,
    #[arg(long)]
    pub stand_in: bool,
    #[arg(long, value_name = "auto|qwen|openai")]
    pub strictness: Option<String>,
    #[arg(long)]
    pub no_auth: bool,
}

#[derive(Debug, Args)]
pub struct Pull {
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    #[arg(long, value_name = "FILE_OR_FOLDER")]
    pub from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Models {
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Tokens {
    #[arg(value_name = "TEXT|-|@FILE")]
    pub text: Option<String>,
    #[arg(short, long, value_name = "NAME_OR_PATH")]
    pub model: Option<String>,
    #[arg(long, value_name = "MESSAGES.json", conflicts_with = "text")]
    pub chat: Option<PathBuf>,
    #[arg(long, value_name = "TOOLS.json", requires = "chat")]
    pub tools: Option<PathBuf>,
    #[arg(long, requires = "chat")]
    pub render: bool,
    #[arg(long, conflicts_with = "render")]
    pub ids: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Score {
    #[arg(value_name = "TEXT|-|@FILE")]
    pub text: Option<String>,
    #[command(flatten)]
    pub model: ModelArg,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Bench {
    #[command(flatten)]
    pub model: ModelArg,
    #[arg(long, value_name = "SECTIONS", value_delimiter = ',', hide_possible_values = true)]
    pub only: Vec<Section>,
    #[arg(long, value_name = "N")]
    pub rounds: Option<NonZeroU32>,
    #[arg(long, value_name = "N")]
    pub callers: Option<NonZeroU32>,
    #[arg(long)]
    pub deep: bool,
    #[arg(long)]
    pub quick: bool,
    #[arg(long)]
    pub json: bool,
}

/// A table of `bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Section {
    Prefill,
    Decode,
    Batch,
    Http,
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    Create(Box<CreateKey>),
    List {
        #[arg(short, long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    Rotate(Rotate),
    Revoke {
        #[arg(value_name = "ID|NAME|LAST4")]
        which: String,
        #[arg(short, long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
}

/// Where keys and accounts are, and how the answer is written.
#[derive(Debug, Args)]
pub struct Place {
    #[arg(short, long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CreateKey {
    #[arg(short, long, value_name = "NAME")]
    pub name: Option<String>,
    #[arg(long, value_name = "WHICH")]
    pub account: Option<String>,
    #[arg(long, value_name = "WHICH")]
    pub project: Option<String>,
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    pub models: Vec<String>,
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    pub networks: Vec<String>,
    #[arg(long, value_name = "WHEN", allow_negative_numbers = true)]
    pub expires: Option<String>,
    #[arg(long, value_name = "en|zh", hide_possible_values = true)]
    pub language: Option<Lang>,
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub rpm: Option<String>,
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub tpm: Option<String>,
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub concurrency: Option<String>,
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    pub budget_day: Option<String>,
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    pub budget_month: Option<String>,
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    pub budget_total: Option<String>,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct Limits {
    #[arg(
        value_name = "ID|NAME|LAST4",
        required_unless_present_any = ["account", "project"],
        conflicts_with_all = ["account", "project"]
    )]
    pub which: Option<String>,
    #[arg(long, value_name = "WHICH")]
    pub account: Option<String>,
    #[arg(long, value_name = "WHICH")]
    pub project: Option<String>,
    #[arg(long, value_name = "en|zh", hide_possible_values = true)]
    pub language: Option<Lang>,
    #[arg(long, value_name = "MODEL")]
    pub of_model: Option<String>,
    #[arg(long, value_name = "minute|second|strict", hide_possible_values = true)]
    pub pace: Option<Pace>,
    #[arg(long, value_name = "true|false", hide_possible_values = true)]
    pub burst_guard: Option<bool>,
    #[arg(long, value_name = "N|none", allow_negative_numbers = true)]
    pub rpm: Option<String>,
    #[arg(long, value_name = "N|none", allow_negative_numbers = true)]
    pub tpm: Option<String>,
    #[arg(long, value_name = "N|none", allow_negative_numbers = true)]
    pub concurrency: Option<String>,
    #[arg(long, value_name = "AMOUNT|none", allow_negative_numbers = true)]
    pub budget_day: Option<String>,
    #[arg(long, value_name = "AMOUNT|none", allow_negative_numbers = true)]
    pub budget_month: Option<String>,
    #[arg(long, value_name = "AMOUNT|none", allow_negative_numbers = true)]
    pub budget_total: Option<String>,
    #[arg(long, value_name = "PATTERNS|any", value_delimiter = ',')]
    pub models: Vec<String>,
    #[arg(long, value_name = "NETWORKS|any", value_delimiter = ',')]
    pub networks: Vec<String>,
    #[arg(long, value_name = "WHEN|never", allow_negative_numbers = true)]
    pub expires: Option<String>,
    #[command(flatten)]
    pub place: Place,
}

/// How much of a minute's worth may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    Minute,
    Second,
    Strict,
}

impl Pace {
    /// As terms have it; nothing for what is usual.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Minute => None,
            Self::Second => Some("second"),
            Self::Strict => Some("strict"),
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Accounts {
    Create {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(long, value_name = "CNY|USD")]
        currency: Option<String>,
        #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
        credit: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    List {
        #[command(flatten)]
        place: Place,
    },
    Show {
        #[arg(value_name = "WHICH")]
        which: String,
        #[command(flatten)]
        place: Place,
    },
    Set {
        #[arg(value_name = "WHICH")]
        which: String,
        #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
        credit: Option<String>,
        #[arg(long, value_name = "true|false", hide_possible_values = true)]
        quota_stops: Option<bool>,
        #[arg(long, value_name = "true|false", hide_possible_values = true)]
        suspended: Option<bool>,
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
        keep_content: Option<i64>,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub struct Topup {
    #[arg(value_name = "WHICH")]
    pub which: String,
    #[arg(value_name = "AMOUNT")]
    pub amount: String,
    #[command(flatten)]
    pub label: Label,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct Grant {
    #[arg(value_name = "WHICH")]
    pub which: String,
    #[arg(value_name = "TOKENS")]
    pub tokens: String,
    #[arg(long, value_name = "PATTERN")]
    pub models: Option<String>,
    #[arg(long, value_name = "WHEN", allow_negative_numbers = true)]
    pub expires: Option<String>,
    #[arg(long)]
    pub pack: bool,
    #[command(flatten)]
    pub label: Label,
    #[command(flatten)]
    pub place: Place,
}

/// What tells one top-up from another.
#[derive(Debug, Args)]
pub struct Label {
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

#[derive(Debug, Args)]
pub struct Usage {
    #[arg(long, value_name = "WHICH")]
    pub account: Option<String>,
    #[arg(long, value_name = "WHICH", conflicts_with = "key")]
    pub project: Option<String>,
    #[arg(long, value_name = "ID|NAME")]
    pub key: Option<String>,
    #[arg(long, value_name = "minute|hour|day", hide_possible_values = true)]
    pub by: Option<Grain>,
    #[arg(long, value_name = "WHEN", allow_negative_numbers = true)]
    pub from: Option<String>,
    #[arg(long, value_name = "WHEN", allow_negative_numbers = true)]
    pub until: Option<String>,
    #[command(flatten)]
    pub place: Place,
}

/// A time that usage is summed up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Grain {
    Minute,
    Hour,
    Day,
}

impl Grain {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// How much is shown when nothing is said: an hour, a day, thirty days.
    pub fn usual_seconds(self) -> i64 {
        match self {
            Self::Minute => 3_600,
            Self::Hour => 86_400,
            Self::Day => 30 * 86_400,
        }
    }
}

#[derive(Debug, Args)]
pub struct Bill {
    #[arg(value_name = "WHICH")]
    pub which: String,
    #[arg(long, value_name = "YYYY-MM")]
    pub month: String,
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct SetPrice {
    #[arg(value_name = "MODEL")]
    pub model: String,
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    pub input: String,
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    pub output: String,
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    pub thinking: Option<String>,
    #[arg(long, value_name = "TOKENS:INPUT:OUTPUT[:THINKING]")]
    pub tier: Vec<String>,
    #[arg(long, value_name = "CNY|USD")]
    pub currency: Option<String>,
    #[arg(long, value_name = "WHICH")]
    pub account: Option<String>,
    #[arg(long, value_name = "WHEN", allow_negative_numbers = true)]
    pub from: Option<String>,
    #[arg(long, value_name = "WHEN", allow_negative_numbers = true)]
    pub until: Option<String>,
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true, requires = "cost_output")]
    pub cost_input: Option<String>,
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true, requires = "cost_input")]
    pub cost_output: Option<String>,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub struct Backup {
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Subcommand)]
pub enum Prices {
    Set(Box<SetPrice>),
    List {
        #[arg(long, value_name = "CNY|USD")]
        currency: Option<String>,
        #[arg(long, value_name = "PATTERN")]
        model: Option<String>,
        #[command(flatten)]
        place: Place,
    },
}
