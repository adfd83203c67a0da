//! What administrators type: their own keys, and the rotation of those of callers.

use clap::{Args, Subcommand};

use super::Place;

#[derive(Debug, Subcommand)]
pub enum Admin {
    Keys {
        #[command(subcommand)]
        command: AdminKeys,
    },
}

#[derive(Debug, Subcommand)]
pub enum AdminKeys {
    Create {
        #[arg(long, value_name = "owner|admin|billing|developer|viewer")]
        role: String,
        #[arg(short, long, value_name = "NAME")]
        name: Option<String>,
        #[arg(long)]
        signing: bool,
        #[command(flatten)]
        place: Place,
    },
    List {
        #[command(flatten)]
        place: Place,
    },
    Revoke {
        #[arg(value_name = "ID|NAME|LAST4")]
        which: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub struct Rotate {
    #[arg(value_name = "ID|NAME|LAST4")]
    pub which: String,
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub overlap: Option<String>,
    #[command(flatten)]
    pub place: Place,
}
