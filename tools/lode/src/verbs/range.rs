//! `lode get --range`: some bytes of a blob. Every chunk that the range touches comes with its proof
//! and is checked before its bytes go on, or the node is trusted.

use std::{
    fs::File,
    io::{self, Write},
    ops::Range,
    path::PathBuf,
};

use lode_edge::range::parse_range;
use lode_proofs::Hash32;

use crate::{
    failure::{Failure, Outcome},
    units,
    verbs::{get::Got, origin::Origin},
};

/// Fetches the range that `text` names of a blob of `size` bytes.
pub fn run(
    origin: &Origin,
    root: Hash32,
    size: u64,
    text: &str,
    trust_node: bool,
    to: Option<PathBuf>,
) -> Outcome<Got> {
    let range = parse(text, size)?;
    let mut sink: Box<dyn Write> = match &to {
        Some(path) => {
            Box::new(File::create(path).map_err(|error| Failure::file(path.display(), &error))?)
        }
        None => Box::new(io::stdout().lock()),
    };
    let name = to
        .as_ref()
        .map_or("stdout".to_owned(), |path| path.display().to_string());
    let failed = |error: io::Error| Failure::file(&name, &error);
    let bytes = range.end - range.start;
    if trust_node {
        origin.fetch(root, range, |bytes| sink.write_all(bytes).map_err(failed))?;
    } else {
        origin.proven(root, range, |bytes| sink.write_all(bytes).map_err(failed))?;
    }
    sink.flush().map_err(failed)?;
    Ok(Got {
        bytes,
        resumed_at: 0,
        verified: !trust_node,
        to,
        is_folder: false,
    })
}

/// Reads `A-B`, `A-` or `-N` as HTTP does.
fn parse(text: &str, size: u64) -> Outcome<Range<u64>> {
    match parse_range(&format!("bytes={text}"), size) {
        Ok(Some(range)) => Ok(range),
        Ok(None) => Err(Failure::usage(
            format!("{text:?} is no range"),
            "write A-B, A- or -N",
        )),
        Err(_) => {
            let what = format!(
                "{text} is outside the blob's {} bytes",
                units::grouped(size)
            );
            Err(Failure::usage(what, "ask for bytes within the blob"))
        }
    }
}
