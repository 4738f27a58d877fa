//! The node's log, on stderr.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::{
    failure::{Failure, Outcome},
    settings::Settings,
};

/// Starts logging as the settings say.
pub fn start(settings: &Settings) -> Outcome<()> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::usage(
            format!("log is {:?}: {error}", settings.log),
            "write error, warn, info or debug",
        )
    };
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| bad(&error))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match settings.log_json {
        true => builder.json().try_init(),
        false => builder.with_target(false).with_ansi(false).try_init(),
    };
    started.map_err(|error| bad(&error))
}
