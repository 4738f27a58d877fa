//! The log of a node or a validator, on stderr.

use std::io;

use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

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
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match as_json {
        true => lines.json().boxed(),
        false => lines.with_target(false).with_ansi(false).boxed(),
    };
    // Consensus opens spans, dozens for a block: keeping their fields as text cost more than voting.
    let events = filter_fn(|metadata| metadata.is_event());
    tracing_subscriber::registry()
        .with(filter)
        .with(events)
        .with(lines)
        .try_init()
        .map_err(|error| bad(&error))
}
