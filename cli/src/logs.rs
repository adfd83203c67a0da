//! Where the logs of the crates below go: stderr. `QWENDA_LOG` says which (`info`,
//! `qwenda_engine=debug`); without it a service tells its life and a command only what went wrong.

use tracing_subscriber::EnvFilter;

use crate::{exit::CliError, output::Ui, settings::Env};

pub fn start(ui: Ui, service: bool) -> Result<(), CliError> {
    let default = match (service, ui.quiet) {
        (true, false) => "info",
        (true, true) => "warn",
        (false, false) => "warn",
        (false, true) => "error",
    };
    let filter = Env.parse::<EnvFilter>(ui.lang, "QWENDA_LOG")?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(default)))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(service);
    // Whoever set a subscriber before us keeps it.
    let _ = if service { logs.try_init() } else { logs.without_time().try_init() };
    Ok(())
}
