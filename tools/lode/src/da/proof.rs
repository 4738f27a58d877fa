//! From a file's bytes up to the genesis file: what `lode da prove` adds and `lode da verify` checks.
//!
//! ```text
//!  bytes ─ root ─▶ entry ─ namespace root ─▶ certificate ─ signers ─▶ committee ─ hash ─▶ state ─▶ genesis
//!                                            └───────── shown [D-37] ─────────┘└────── evidence ─────┘
//! ```
//! The proof is evidence as [`lode_chain_light::evidence`] draws it, about the slot of DaSigners that keeps
//! the hash of the epoch's committee; its rest is a [`Shown`].

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::{self, File},
    io::Read as _,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use alloy_primitives::{B256, U256, hex};
use clap::Args;
use lode_chain_light::{Evidence, Fact, Trust};
use lode_chain_link::{
    addresses::DA_SIGNERS,
    certified::Contracts as _,
    da,
    node::{Http, Rpc},
};
use lode_proofs::da::{Certificate, NamespaceProof, Shown, Threshold, blob_root};
use serde_json::json;
use tokio::time::timeout;

use super::ask::{Blob, Cert, read, write};
use crate::{
    failure::{Failure, Outcome},
    output::Output,
    service, settled, units,
};

/// Time for all questions about one committee.
const ASK_TIME: Duration = Duration::from_secs(60);

/// Arguments of `lode da prove`.
#[derive(Args, Debug)]
pub struct ProveArgs {
    /// A file that `post --cert` has written
    pub cert: PathBuf,
    /// The chain that knows who holds
    #[arg(long, value_name = "URL")]
    pub chain: String,
}

/// Arguments of `lode da verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// A file that `prove` has completed
    pub cert: PathBuf,
    /// All that is trusted
    #[arg(long, value_name = "FILE")]
    pub genesis: PathBuf,
    /// The bytes that it is about
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Rows that have to be signed for
    #[arg(long, value_name = "ROWS", default_value_t = 2049)]
    pub rows: u16,
}

/// Asks the chain for each committee once, and writes the proofs into the file.
pub fn prove(args: &ProveArgs, output: Output) -> Outcome<ExitCode> {
    let mut cert = read(&args.cert)?;
    let node = Rpc::http(&args.chain).map_err(|error| {
        let what = format!("chain is {}: {error}", args.chain);
        Failure::usage(what, "correct --chain")
    })?;
    let runtime = service::runtime()?;
    let mut known: BTreeMap<u64, (Evidence, da::QuorumSeats)> = BTreeMap::new();
    for blob in &mut cert.blobs {
        let (evidence, quorum) = match known.entry(blob.epoch) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let ask = committee(&node, blob.epoch);
                let asked = runtime.block_on(async { timeout(ASK_TIME, ask).await });
                let late = |_| Failure::late("the chain does not answer", "try again");
                new.insert(asked.map_err(late)??)
            }
        };
        let wrong = |why: String| Failure::not_verified(why, "do not trust this file");
        let seats = quorum.seats().map_err(|error| wrong(error.to_string()))?;
        let bytes = digits(&blob.certificate)?;
        let certificate = Certificate::decode(&bytes, &seats.assignment());
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        let shown = Shown::new(quorum.committee, &seats, certificate);
        let evidence = Evidence {
            rest: shown.encode().into(),
            ..evidence.clone()
        };
        blob.proof = Some(hex::encode_prefixed(evidence.encode()));
    }
    let json = serde_json::to_value(&cert);
    let json = json.map_err(|error| Failure::other(error.to_string(), "report this"))?;
    write(&args.cert, format!("{json:#}\n").as_bytes())?;
    let long = format!(
        "{} proven; `lode da verify` needs the genesis file alone",
        units::counted(cert.blobs.len(), "blob")
    );
    output.data(&json!({ "blobs": cert.blobs.len() }), "", &long)?;
    Ok(ExitCode::SUCCESS)
}

/// What the chain shows of an epoch's committee.
async fn committee(node: &Http, epoch: u64) -> Outcome<(Evidence, da::QuorumSeats)> {
    let strange = |error: &dyn std::fmt::Display| {
        Failure::other(
            error.to_string(),
            "check that --chain is the chain of these holders",
        )
    };
    let answer = node.ask(DA_SIGNERS, da::committee_call(epoch)).await;
    let answer = answer.map_err(|error| strange(&error))?;
    let quorum = da::committee_at(&answer).map_err(|error| strange(&error))?;
    let certified = node
        .certified(DA_SIGNERS, da::committee_slot(epoch), 1)
        .await;
    let certified = certified.map_err(|error| strange(&error))?;
    let certified = certified.ok_or_else(|| {
        Failure::late(
            "the chain has no block with a certificate yet",
            "try again in a second",
        )
    })?;
    let (header, fact) = settled::shown(&certified).map_err(|why| strange(&why))?;
    let evidence = Evidence {
        header,
        fact: Fact::Slot(fact),
        rest: Vec::new().into(),
    };
    Ok((evidence, quorum))
}

/// Checks every step, and names the first that does not hold.
pub fn verify(args: &VerifyArgs, output: Output) -> Outcome<ExitCode> {
    let threshold = Threshold::new(args.rows);
    let threshold =
        threshold.ok_or_else(|| Failure::usage("--rows is not 2049 to 3072", "leave it out"))?;
    let genesis = fs::read(&args.genesis);
    let genesis = genesis.map_err(|error| Failure::file(args.genesis.display(), &error))?;
    let trust = Trust::read(&genesis).map_err(|error| {
        let what = format!("{}: {error}", args.genesis.display());
        Failure::usage(what, "name the chain's genesis file")
    })?;
    let cert = read(&args.cert)?;
    let mut rows = usize::MAX;
    let mut expiry = u64::MAX;
    for blob in &cert.blobs {
        let shown = certified(blob, &trust, threshold)?;
        rows = rows.min(shown.weight());
        expiry = expiry.min(shown.certificate.statement.expiry);
    }
    if let Some(path) = &args.file {
        compare(path, &cert)?;
    }
    let about = match &args.file {
        Some(path) => format!("{} is", path.display()),
        None => "the blobs are".to_owned(),
    };
    let long = format!(
        "{} in {}: {about} certified by holders of {rows} rows or more, until {expiry}",
        units::size(cert.len),
        units::counted(cert.blobs.len(), "blob")
    );
    let json = json!({
        "bytes": cert.len, "blobs": cert.blobs.len(), "rows": rows, "expiry": expiry,
        "file": args.file.as_ref().map(|path| path.display().to_string()),
    });
    output.data(&json, "", &long)?;
    Ok(ExitCode::SUCCESS)
}

/// A blob's certificate, from the genesis file down to its entry.
fn certified(blob: &Blob, trust: &Trust, threshold: Threshold) -> Outcome<Shown> {
    let wrong = |step: &str, why: &dyn std::fmt::Display| {
        let what = format!("{}: the {step} does not hold: {why}", blob.handle);
        Failure::not_verified(what, "do not trust this file")
    };
    let Some(proof) = &blob.proof else {
        let what = format!("{} has no proof", blob.handle);
        return Err(Failure::usage(
            what,
            "add it by `lode da prove CERT --chain URL`",
        ));
    };
    let evidence = Evidence::decode(&digits(proof)?).map_err(|error| wrong("evidence", &error))?;
    let proven = evidence
        .verify(trust)
        .map_err(|error| wrong("evidence", &error))?;
    let shown = Shown::decode(&evidence.rest).map_err(|error| wrong("certificate", &error))?;
    let quorum = shown.committee.quorum;
    let lode_chain_light::evidence::ProvenFact::Slot {
        address,
        slot,
        value,
    } = proven.fact
    else {
        return Err(wrong("evidence", &"it is about no slot"));
    };
    let hash = U256::from_be_bytes(B256::from(shown.committee.hash().0).0);
    if (address, slot) != (DA_SIGNERS, da::committee_slot(quorum.epoch)) || quorum.quorum > 0 {
        return Err(wrong("evidence", &"it is not about this epoch's committee"));
    }
    if value != hash || quorum.chain_id != trust.chain_id {
        return Err(wrong("committee", &"the chain has another one"));
    }
    shown
        .verify(threshold)
        .map_err(|error| wrong("certificate", &error))?;
    let head = shown.certificate.statement.head;
    if head.id() != blob.container {
        return Err(wrong("certificate", &"it is of another container"));
    }
    let entry = NamespaceProof::decode(&digits(&blob.entry)?);
    let entry = entry.map_err(|error| wrong("entry", &error))?;
    let entries = entry.entries(head.namespace_root);
    let entries = entries.map_err(|error| wrong("entry", &error))?;
    let place = (blob.offset, blob.len, blob.root);
    match entries
        .iter()
        .any(|entry| (entry.offset, entry.len, entry.root) == place)
    {
        true => Ok(shown),
        false => Err(wrong("entry", &"it is of another blob")),
    }
}

/// Whether a file is what the blobs, one after the other, are.
fn compare(path: &PathBuf, cert: &Cert) -> Outcome<()> {
    let failed = |error: std::io::Error| Failure::file(path.display(), &error);
    let mut file = File::open(path).map_err(failed)?;
    let other = || {
        let what = format!("{} is not what was certified", path.display());
        Failure::not_verified(what, "compare it with what `lode da get` fetches")
    };
    for blob in &cert.blobs {
        let mut bytes = Vec::new();
        file.by_ref()
            .take(blob.len)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.is_empty() || blob_root(&bytes) != blob.root {
            return Err(other());
        }
    }
    let mut more = [0];
    match file.read(&mut more).map_err(failed)? {
        0 => Ok(()),
        _ => Err(other()),
    }
}

fn digits(text: &str) -> Outcome<Vec<u8>> {
    hex::decode(text.trim_start_matches("0x")).map_err(|error| {
        let what = format!("the file has bytes that are no hex: {error}");
        Failure::not_verified(what, "do not trust this file")
    })
}
