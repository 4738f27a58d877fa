//! `lode epoch`: the store's coarse clock, read or set.

use std::process::ExitCode;

use serde_json::json;

use crate::{args::EpochArgs, client::Client, failure::Outcome, output::Output};

/// Sets the epoch if one is given; prints the one that holds.
pub fn run(args: &EpochArgs, client: &Client, output: Output) -> Outcome<ExitCode> {
    let epoch = match args.epoch {
        Some(epoch) => client.set_epoch(epoch)?,
        None => client.epoch()?,
    };
    let json = json!({ "epoch": epoch });
    output.data(&json, &epoch.to_string(), &format!("epoch {epoch}"))?;
    Ok(ExitCode::SUCCESS)
}
