//! What is typed of projects.

use clap::Subcommand;

use super::Place;

#[derive(Debug, Subcommand)]
pub enum Projects {
    Create {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(long, value_name = "WHICH")]
        account: String,
        #[command(flatten)]
        place: Place,
    },
    List {
        #[arg(long, value_name = "WHICH")]
        account: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    Disable {
        #[arg(value_name = "WHICH")]
        which: String,
        #[arg(long, value_name = "WHICH")]
        account: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    Enable {
        #[arg(value_name = "WHICH")]
        which: String,
        #[arg(long, value_name = "WHICH")]
        account: Option<String>,
        #[command(flatten)]
        place: Place,
    },
}
