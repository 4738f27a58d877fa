//! `lode stat`: one blob, or as much of it as there is, or the node's figures.

use std::process::ExitCode;

use lode_edge::schema::UploadState;
use lode_proofs::{Hash32, chunks};
use serde_json::json;

use crate::{
    args::StatArgs,
    client::{Client, parse_root},
    failure::{Exit, Failure, Outcome},
    output::Output,
    units,
    verbs::wait,
};

/// Prints what the node knows.
pub fn run(args: &StatArgs, client: &Client, output: Output) -> Outcome<ExitCode> {
    match &args.root {
        Some(root) => blob(root, client, output)?,
        None => node(client, output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn blob(root: &str, client: &Client, output: Output) -> Outcome<()> {
    let root = parse_root(root)?;
    let (size, expiry) = match client.head(root) {
        Err(failure) if failure.exit == Exit::NotFound => {
            return upload(root, client, output, failure);
        }
        found => found?,
    };
    let mut json = json!({
        "root": root.to_string(), "size": size, "chunks": chunks(size), "expiry": expiry,
        "stored": true,
    });
    let mut long = format!(
        "{root}  {} B  {} chunks  {}",
        units::grouped(size),
        chunks(size),
        units::until(expiry)
    );
    // That the chain is away, or that there is none, says nothing against the blob.
    if let Ok(Some(state)) = client.anchor(root) {
        let lines = wait::lines(std::slice::from_ref(&state));
        let pending = || vec!["in no anchor yet".to_owned()];
        let lines = if lines.is_empty() { pending() } else { lines };
        long = format!("{long}\n{}", lines.join("\n"));
        json["anchor"] = json!(state);
    }
    output.data(&json, &size.to_string(), &long)
}

/// There is no such blob. What there is of it is shown, and it stays a failure: whoever asks for a
/// blob must not take a part of one for it.
fn upload(root: Hash32, client: &Client, output: Output, mut failure: Failure) -> Outcome<()> {
    let Ok(UploadState {
        size,
        offset,
        stored: false,
        expiry,
        ..
    }) = client.upload(root)
    else {
        return Err(failure);
    };
    let json = json!({
        "root": root.to_string(), "size": size, "chunks": chunks(size), "expiry": expiry,
        "stored": false, "offset": offset,
    });
    let long = format!(
        "{root}  {} of {} B  unfinished  {}",
        units::grouped(offset),
        units::grouped(size),
        units::until(expiry)
    );
    output.data(&json, "", &long)?;
    failure.next = "run `lode put` again where the file is: it resumes".to_owned();
    Err(failure)
}

fn node(client: &Client, output: Output) -> Outcome<()> {
    let figures = client.stat()?;
    let width = figures.keys().map(String::len).max().unwrap_or(0);
    let line = |(name, value): (&String, &serde_json::Value)| {
        let number = value.as_u64().unwrap_or(0);
        let human = match name.contains("bytes") && number >= 1 << 20 {
            true => format!("  ({})", units::size(number)),
            false => String::new(),
        };
        format!("{name:width$}  {}{human}", units::grouped(number))
    };
    let lines: Vec<String> = figures.iter().map(line).collect();
    output.data(&json!(figures), "", &lines.join("\n"))
}
