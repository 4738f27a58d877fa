//! The log of a node or a validator, on stderr.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::{
    failure::{Failure, Outcome},
    settings::Settings,
};

/// Starts logging as the settings say.
pub fn start(settings: &Settings) -> Outcome<()> {
    start_with(&settings.log, settings.log_json)
}

/// Starts logging what `log` lets through, as JSON or for people.
pub fn start_with(log: &str, as_json: bool) -> Outcome<()> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::usage(
            format!("log is {log:?}: {error}"),
            "write error, warn, info or debug",
        )
    };
    let filter = EnvFilter::try_new(log).map_err(|error| bad(&error))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match as_json {
        true => builder.json().try_init(),
        false => builder.with_target(false).with_ansi(false).try_init(),
    };
    started.map_err(|error| bad(&error))
}
