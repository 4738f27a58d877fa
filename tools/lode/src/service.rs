//! What programs that serve until a signal have in common.

use std::io::{self, Write};

use serde_json::Value;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use crate::{
    failure::{Failure, Outcome},
    output::Output,
};

/// A runtime with a thread per core.
pub fn runtime() -> Outcome<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| Failure::file("threads", &error))
}

/// Says that it is ready, at once: programs wait for that line.
pub fn announce(json: &Value, short: &str, long: &str, output: Output) -> Outcome<()> {
    output.data(json, short, long)?;
    io::stdout()
        .flush()
        .map_err(|error| Failure::file("stdout", &error))
}

/// Waits for SIGTERM or SIGINT.
pub async fn told_to_stop() -> Outcome<()> {
    let heard = |kind| signal(kind).map_err(|error| Failure::file("signals", &error));
    let mut terminate = heard(SignalKind::terminate())?;
    let mut interrupt = heard(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    Ok(())
}
