//! `lode verify`: proof files against themselves and, if given, a root. What goes up to the chain is
//! checked up to the chain's genesis file. Needs no node.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use lode_chain_light::{Trust, evidence::EVIDENCE_LEN_MAX};
use lode_proofs::{BlobId, Hash32, ProofFile};
use serde_json::{Value, json};

use crate::{
    args::VerifyArgs,
    client::parse_root,
    failure::{Exit, Failure, Outcome},
    output::Output,
    settled::{self, Step, Whole},
    units,
};

/// Checks every file; any that does not verify makes the exit code 4.
pub fn run(args: &VerifyArgs, output: Output) -> Outcome<ExitCode> {
    let root = args.root.as_deref().map(parse_root).transpose()?;
    let trust = args.genesis.as_deref().map(trust_in).transpose()?;
    let mut results = Vec::new();
    let mut worst: Option<Failure> = None;
    for path in &args.files {
        let name = path.display().to_string();
        match verify(path, root, trust.as_ref()) {
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

fn refused(why: String) -> Failure {
    Failure::not_verified(why, "get the proof again, from another holder")
}

fn verify(path: &Path, root: Option<Hash32>, trust: Option<&Trust>) -> Outcome<(Value, String)> {
    let bytes = read(path).map_err(|error| Failure::file("cannot be read", &error))?;
    if bytes.starts_with(settled::MAGIC) {
        let trust = trust.ok_or_else(|| {
            let next = "name the chain's genesis file by --genesis: it is all that is trusted";
            Failure::usage("this proof goes up to a chain", next)
        })?;
        let whole = settled::verify(&bytes, trust).map_err(|broken| refused(broken.to_string()))?;
        about(whole.blob, root)?;
        return Ok(tell(&whole, trust));
    }
    let file = ProofFile::decode(&bytes).map_err(|error| refused(error.to_string()))?;
    let (blob, index) = (file.proof().blob(), file.proof().index());
    about(blob, root)?;
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

/// The proof has to be about this blob.
fn about(blob: BlobId, root: Option<Hash32>) -> Outcome<()> {
    match root {
        Some(root) if root != blob.root => Err(refused(format!(
            "the proof is about {}, another blob",
            blob.root
        ))),
        _ => Ok(()),
    }
}

/// What is trusted.
fn trust_in(genesis: &Path) -> Outcome<Trust> {
    let file = fs::read(genesis).map_err(|error| Failure::file(genesis.display(), &error))?;
    Trust::read(&file).map_err(|error| {
        let what = format!("{}: {error}", genesis.display());
        Failure::usage(what, "name the genesis.json of the chain by --genesis")
    })
}

/// The steps of the whole way, for programs and for people.
fn tell(whole: &Whole, trust: &Trust) -> (Value, String) {
    let Whole {
        blob,
        chunk,
        place,
        root,
        poster,
        record,
        block,
    } = whole;
    let (number, hash) = (block.number(), block.hash());
    let mut steps = Vec::new();
    if let Some((chunk, data)) = chunk {
        let with = if *data {
            "with its bytes"
        } else {
            "without its bytes"
        };
        let of = blob.shape.chunks();
        let says = format!("chunk {chunk} of {of}, {with}, is part of {}", blob.root);
        steps.push((Step::Chunk, says));
    }
    let size = units::grouped(blob.shape.size());
    let (entries, sectors) = (record.count, record.sectors);
    steps.push((
        Step::Blob,
        format!(
            "{} ({size} B) is entry {place} of {entries} of anchor {root}",
            blob.root
        ),
    ));
    steps.push((
        Step::Anchor,
        format!(
            "{poster} has settled and paid it, {sectors} sectors, in block {}",
            record.block
        ),
    ));
    steps.push((
        Step::Header,
        format!("so says the state of block {number}, {hash}"),
    ));
    steps.push((
        Step::Certificate,
        format!(
            "the committee of chain {} has made that block final",
            trust.chain_id
        ),
    ));
    let lines = steps
        .iter()
        .map(|(step, says)| format!("  {:<12} {says}", step.to_string()));
    let long = format!(
        "verified up to {}\n{}",
        trust.genesis,
        lines.collect::<Vec<_>>().join("\n")
    );
    let named = steps
        .iter()
        .map(|(step, says)| json!({ "step": step.to_string(), "says": says }));
    let json = json!({
        "root": blob.root.to_string(), "size": blob.shape.size(),
        "chunk": chunk.map(|(chunk, _)| chunk), "data": chunk.map(|(_, data)| data),
        "place": place, "anchor": root, "poster": poster, "settled_in": record.block,
        "block": number, "block_hash": hash, "timestamp": block.timestamp(),
        "chain_id": trust.chain_id, "genesis": trust.genesis,
        "steps": named.collect::<Vec<_>>(),
    });
    (json, long)
}

/// At most one byte more than evidence can have: then it is too long whatever follows.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(EVIDENCE_LEN_MAX).unwrap_or(u64::MAX) + 1;
    let mut bytes = Vec::new();
    match path == Path::new("-") {
        true => io::stdin().lock().take(limit).read_to_end(&mut bytes)?,
        false => File::open(path)?.take(limit).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}
