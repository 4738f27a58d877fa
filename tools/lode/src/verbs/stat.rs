//! `lode stat`: one blob, or the node's figures.

use std::process::ExitCode;

use lode_proofs::chunks;
use serde_json::json;

use crate::{
    args::StatArgs,
    client::{Client, parse_root},
    failure::Outcome,
    output::Output,
    units,
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
    let (size, expiry) = client.head(root)?;
    let json = json!({
        "root": root.to_string(), "size": size, "chunks": chunks(size), "expiry": expiry,
    });
    let until = expiry.map_or("until deleted".to_owned(), |epoch| {
        format!("until epoch {epoch}")
    });
    let long = format!(
        "{root}  {} B  {} chunks  {until}",
        units::grouped(size),
        chunks(size)
    );
    output.data(&json, &size.to_string(), &long)
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
