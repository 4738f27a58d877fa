//! `lode prove`: the proof of one chunk, checked before it is written; with `--whole` it goes on to the
//! chain, whose certificate only who has the genesis file can check.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::json;

use crate::{
    args::ProveArgs,
    client::{Client, parse_root},
    failure::{Failure, Outcome},
    output::Output,
    settled, units,
};

/// Fetches, checks and writes a proof file.
pub fn run(args: &ProveArgs, client: &Client, output: Output) -> Outcome<ExitCode> {
    let root = parse_root(&args.root)?;
    let mut file = client.prove(root, args.chunk, !args.no_data)?;
    if args.whole {
        file = settled::with_chunk(&client.evidence(root)?, &file).map_err(|broken| {
            let next = "do not trust this node with this blob; ask another holder";
            Failure::not_verified(broken.to_string(), next)
        })?;
    }
    let path = args.output.clone().unwrap_or_else(|| {
        let digits: String = root.to_string().chars().skip(2).take(8).collect();
        PathBuf::from(format!("{digits}-{}.lodeproof", args.chunk))
    });
    if path == Path::new("-") {
        let written = io::stdout().lock().write_all(&file);
        written.map_err(|error| Failure::file("stdout", &error))?;
        return Ok(ExitCode::SUCCESS);
    }
    fs::write(&path, &file).map_err(|error| Failure::file(path.display(), &error))?;
    let (name, len) = (
        path.display().to_string(),
        u64::try_from(file.len()).unwrap_or(u64::MAX),
    );
    let json = json!({
        "root": root.to_string(), "chunk": args.chunk, "data": !args.no_data,
        "whole": args.whole, "output": name, "bytes": len,
    });
    let with = if args.whole { " --genesis GENESIS" } else { "" };
    let long = format!(
        "{name}  {} prove chunk {} of {root}; check it anywhere by `lode verify {name}{with}`",
        units::size(len),
        args.chunk
    );
    output.data(&json, &name, &long)?;
    Ok(ExitCode::SUCCESS)
}
