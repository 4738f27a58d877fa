//! From a chunk up to the chain: what `lode prove --whole` writes and `lode verify` checks, with
//! nothing but a genesis file.
//!
//! ```text
//!  chunk ─ proof ─▶ blob root ─ entry ─▶ anchor root ─ record, state ─▶ header ─▶ certificate ─▶ genesis
//!  └──────────────── the rest ─────────────────────┘└────────────── evidence ────────────────┘
//! ```
//! The file is evidence as [`lode_chain_light::evidence`] draws it. Its rest:
//! ```text
//!   0  poster       20  who has posted the anchor
//!  20  anchor root  32
//!  52  length        4  of the entry's proof, little-endian
//!  56  entry proof   e  see lode_proofs::anchor
//!   …  chunk         p  a proof file, up to the end; without one the file is about the blob alone
//! ```
//! Poster and root say which slot of the contract holds the record; the slot that the evidence is
//! about must be that one.

use std::fmt;

use alloy_primitives::{Address, B256, Bytes};
use lode_chain_light::{
    Evidence, Fact, FinalBlock, HeaderProof, Refusal, Trust,
    facts::{SlotProof, TrieAccount},
};
use lode_chain_link::{
    addresses::ANCHORS,
    anchors::{self, Record},
    book::Settlement,
    certified::Certified,
};
use lode_proofs::{
    BlobId, Hash32, ProofFile,
    anchor::{AnchorHead, AnchorNode, EntryProof},
    finality::Finality,
};

/// The first bytes of a file that goes up to the chain.
pub const MAGIC: &[u8; 7] = b"LODEEVD";

/// Bytes before the entry's proof.
const HEAD_LEN: usize = 56;

/// What stands on the record of an anchor. Unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    /// Who has posted the anchor.
    pub poster: Address,
    /// The anchor's root.
    pub root: B256,
    /// The blob's way up to it.
    pub entry: EntryProof,
    /// The proof file of a chunk; empty for none.
    pub chunk: Bytes,
}

/// A part of the way, as failures name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The file can be read.
    File,
    /// The chunk is part of the blob.
    Chunk,
    /// The blob is an entry of the anchor.
    Blob,
    /// The header is the one that was certified.
    Header,
    /// The committee has certified it.
    Certificate,
    /// The state under the header has the anchor's record.
    Anchor,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::File => "file",
            Step::Chunk => "chunk",
            Step::Blob => "blob",
            Step::Header => "header",
            Step::Certificate => "certificate",
            Step::Anchor => "anchor",
        })
    }
}

/// The first step that does not hold, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {step} does not hold: {why}")]
pub struct Broken {
    /// Which.
    pub step: Step,
    /// What is wrong.
    pub why: String,
}

fn broken(step: Step, why: impl fmt::Display) -> Broken {
    let why = why.to_string();
    Broken { step, why }
}

/// The whole way, checked.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The blob.
    pub blob: BlobId,
    /// Number of the chunk, and whether its bytes are there; none if the file is about the blob alone.
    pub chunk: Option<(u64, bool)>,
    /// Place in the anchor.
    pub place: u32,
    /// The anchor's root.
    pub root: B256,
    /// Who has posted it.
    pub poster: Address,
    /// What the chain stores of it.
    pub record: Record,
    /// The block whose state it was seen in.
    pub block: FinalBlock,
}

impl Below {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let entry = self.entry.encode();
        let len = u32::try_from(entry.len()).expect("a way up has at most 20 siblings");
        let mut bytes = Vec::with_capacity(HEAD_LEN + entry.len() + self.chunk.len());
        bytes.extend_from_slice(self.poster.as_slice());
        bytes.extend_from_slice(self.root.as_slice());
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&entry);
        bytes.extend_from_slice(&self.chunk);
        bytes
    }

    /// Reads them; nothing is checked but their form.
    pub fn decode(bytes: &[u8]) -> Result<Below, Broken> {
        let short = || {
            broken(
                Step::File,
                "it ends before the proof of the anchor's entry does",
            )
        };
        let (poster, rest) = bytes.split_first_chunk::<20>().ok_or_else(short)?;
        let (root, rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
        let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| short())?;
        let (entry, chunk) = rest.split_at_checked(len).ok_or_else(short)?;
        Ok(Below {
            poster: poster.into(),
            root: root.into(),
            entry: EntryProof::decode(entry).map_err(|error| broken(Step::File, error))?,
            chunk: Bytes::copy_from_slice(chunk),
        })
    }

    /// Checks the chunk, if there is one, against the blob that the entry is about.
    fn check_chunk(&self) -> Result<Option<(u64, bool)>, Broken> {
        if self.chunk.is_empty() {
            return Ok(None);
        }
        let file = ProofFile::decode(&self.chunk).map_err(|error| broken(Step::Chunk, error))?;
        let (found, blob) = (file.proof().blob(), self.entry.entry.blob);
        if found != blob {
            let why = format!("it is part of {}, not of {}", found.root, blob.root);
            return Err(broken(Step::Chunk, why));
        }
        Ok(Some((file.proof().index(), file.chunk().is_some())))
    }
}

/// What the node's books show of a blob, as evidence without a chunk.
///
/// # Errors
/// When the chain's node gave what is none.
pub fn evidence(settlement: &Settlement) -> Result<Evidence, String> {
    let (header, fact) = shown(&settlement.certified)?;
    let below = Below {
        poster: settlement.poster,
        root: settlement.anchor.root,
        entry: settlement.entry.clone(),
        chunk: Bytes::new(),
    };
    Ok(Evidence {
        header,
        fact: Fact::Slot(fact),
        rest: below.encode().into(),
    })
}

/// What a chain's node shows of a slot, in the words of whoever checks it.
///
/// # Errors
/// When it gave what is no proof of one slot.
pub fn shown(certified: &Certified) -> Result<(HeaderProof, SlotProof), String> {
    let finality = Finality::decode(&certified.finality);
    let finality = finality.ok_or("the certificate has another length")?;
    let [slot] = &certified.proof.storage_proof[..] else {
        return Err("the proof is about no slot, or several".to_owned());
    };
    let proof = &certified.proof;
    let fact = SlotProof {
        address: proof.address,
        account: TrieAccount {
            nonce: proof.nonce,
            balance: proof.balance,
            storage_root: proof.storage_hash,
            code_hash: proof.code_hash,
        },
        account_nodes: proof.account_proof.clone(),
        slot: slot.key.as_b256(),
        value: slot.value,
        slot_nodes: slot.proof.clone(),
    };
    let header = HeaderProof {
        header: certified.header.clone(),
        finality,
    };
    Ok((header, fact))
}

/// Puts the proof of a chunk below a node's evidence, if both are about the same blob.
///
/// # Errors
/// [`Broken`].
pub fn with_chunk(evidence: &[u8], chunk: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut evidence = decode(evidence)?;
    let below = Below {
        chunk: Bytes::copy_from_slice(chunk),
        ..Below::decode(&evidence.rest)?
    };
    below.check_chunk()?;
    entered(&evidence, &below)?;
    evidence.rest = below.encode().into();
    Ok(evidence.encode())
}

/// Checks the whole way, from the chunk up.
///
/// # Errors
/// The first step that does not hold.
pub fn verify(bytes: &[u8], trust: &Trust) -> Result<Whole, Broken> {
    let evidence = decode(bytes)?;
    let below = Below::decode(&evidence.rest)?;
    let chunk = below.check_chunk()?;
    let record = entered(&evidence, &below)?;
    let proven = evidence.verify(trust).map_err(|refusal| {
        let step = match refusal {
            Refusal::Finality(_) => Step::Certificate,
            Refusal::HeaderLen { .. } | Refusal::OtherBlock | Refusal::Header(_) => Step::Header,
            _ => Step::Anchor,
        };
        broken(step, refusal)
    })?;
    Ok(Whole {
        blob: below.entry.entry.blob,
        chunk,
        place: below.entry.place,
        root: below.root,
        poster: below.poster,
        record,
        block: proven.block,
    })
}

fn decode(bytes: &[u8]) -> Result<Evidence, Broken> {
    Evidence::decode(bytes).map_err(|error| broken(Step::File, error))
}

/// Checks that the evidence is about the anchor's record, and the blob in that anchor. That the
/// record is in the chain's state is not known yet.
fn entered(evidence: &Evidence, below: &Below) -> Result<Record, Broken> {
    let not_this = "the evidence is not about the record of this anchor";
    let Fact::Slot(fact) = &evidence.fact else {
        return Err(broken(Step::Anchor, not_this));
    };
    if fact.address != ANCHORS || fact.slot != anchors::record_slot(below.poster, below.root) {
        return Err(broken(Step::Anchor, not_this));
    }
    let record = anchors::record(fact.value)
        .ok_or_else(|| broken(Step::Anchor, "the contract has no record of this anchor"))?;
    let top = AnchorNode {
        hash: Hash32(below.root.0),
        sectors: record.sectors,
    };
    let head = AnchorHead {
        top,
        count: record.count,
    };
    below
        .entry
        .verify(head)
        .map_err(|error| broken(Step::Blob, error))?;
    Ok(record)
}

#[cfg(test)]
#[path = "settled_tests.rs"]
mod tests;
