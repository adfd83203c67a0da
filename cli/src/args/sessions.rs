//! `qwenda sessions` and `qwenda templates` as typed.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum Sessions {
    List {
        #[arg(long)]
        json: bool,
    },
    Show {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(long)]
        json: bool,
    },
    Search {
        #[arg(value_name = "TEXT", required = true)]
        text: Vec<String>,
        #[arg(long)]
        json: bool,
    },
    Branch {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(value_name = "NEW")]
        new: String,
        #[arg(long, value_name = "N")]
        turns: Option<usize>,
    },
    Export {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(
            short,
            long,
            value_name = "md|json",
            default_value = "md",
            hide_possible_values = true,
            hide_default_value = true
        )]
        format: ExportFormat,
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    Delete {
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
}

/// What a session is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Md,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Templates {
    List {
        #[arg(long)]
        json: bool,
    },
    Show {
        #[arg(value_name = "NAME")]
        name: String,
    },
}
