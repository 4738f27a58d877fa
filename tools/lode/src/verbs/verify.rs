//! `lode verify`: proof files against themselves and, if given, a root. Needs no node.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use lode_proofs::{Hash32, ProofFile};
use serde_json::{Value, json};

use crate::{
    args::VerifyArgs,
    client::parse_root,
    failure::{Exit, Failure, Outcome},
    output::Output,
    units,
};

/// Checks every file; any that does not verify makes the exit code 4.
pub fn run(args: &VerifyArgs, output: Output) -> Outcome<ExitCode> {
    let root = args.root.as_deref().map(parse_root).transpose()?;
    let mut results = Vec::new();
    let mut worst: Option<Failure> = None;
    for path in &args.files {
        let name = path.display().to_string();
        match verify(path, root) {
            Ok((entry, long)) => {
                if !output.json {
                    output.data(&entry, "", &format!("{name}  {long}"))?;
                }
                results.push(json!({ "path": name, "verified": true, "proof": entry }));
            }
            Err(mut failure) => {
                failure.what = format!("{name}: {}", failure.what);
                if !output.json {
                    output.failure(&failure);
                }
                results
                    .push(json!({ "path": name, "verified": false, "error": failure.to_json() }));
                // A proof that is wrong outweighs a file that cannot be read.
                match &worst {
                    Some(known) if known.exit == Exit::NotVerified => {}
                    _ => worst = Some(failure),
                }
            }
        }
    }
    if output.json {
        output.data(&json!({ "proofs": results }), "", "")?;
    }
    Ok(worst.map_or(ExitCode::SUCCESS, |failure| failure.exit.into()))
}

fn verify(path: &Path, root: Option<Hash32>) -> Outcome<(Value, String)> {
    let bytes = read(path).map_err(|error| Failure::file("cannot be read", &error))?;
    let refused =
        |why: String| Failure::not_verified(why, "get the proof again, from another holder");
    let file = ProofFile::decode(&bytes).map_err(|error| refused(error.to_string()))?;
    let (blob, index) = (file.proof().blob(), file.proof().index());
    if root.is_some_and(|root| root != blob.root) {
        return Err(refused(format!(
            "the proof is about {}, another blob",
            blob.root
        )));
    }
    let with = if file.chunk().is_some() {
        "with its bytes"
    } else {
        "without its bytes"
    };
    let long = format!(
        "verified: chunk {index} of {}, {with}, is part of {} ({} B)",
        blob.shape.chunks(),
        blob.root,
        units::grouped(blob.shape.size())
    );
    let json = json!({
        "root": blob.root.to_string(), "size": blob.shape.size(), "chunk": index,
        "chunk_root": file.proof().chunk_root().to_string(), "data": file.chunk().is_some(),
    });
    Ok((json, long))
}

/// At most one byte more than a proof file can have: then it is too long whatever follows.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(ProofFile::ENCODED_LEN_MAX).unwrap_or(u64::MAX) + 1;
    let mut bytes = Vec::new();
    match path == Path::new("-") {
        true => io::stdin().lock().take(limit).read_to_end(&mut bytes)?,
        false => File::open(path)?.take(limit).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}
