//! Blocks of the chain that is synced, each proven by a certificate: its own, or that of a block above
//! it and the hashes between.

use alloy_consensus::{Header, ReceiptEnvelope, proofs::calculate_receipt_root};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{B256, Bytes, U64, keccak256};
use alloy_rlp::Decodable as _;
use lode_chain_ledger::checkpoint::HEADERS_MAX;
use lode_chain_light::{HeaderProof, Refusal, Trust};
use lode_chain_types::{Block, FINALITY_LEN, Finality, Height};
use serde::Deserialize;
use serde_json::json;

use super::source::{Asked, Error, Lie};

/// Blocks above one without a certificate of its own that are looked at for one with it.
const ABOVE_MAX: u64 = 1024;

/// A block that is final, with its certificate.
#[derive(Clone, Debug)]
pub struct Tip {
    bytes: Bytes,
    header: Header,
    hash: B256,
    finality: Finality,
}

/// A block that is final.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) header: Header,
    pub(crate) hash: B256,
}

/// As `lode_getFinality` and `lode_getCheckpoint` answer.
#[derive(Deserialize)]
struct Finalized {
    header: Bytes,
    finality: Option<Bytes>,
}

impl Tip {
    /// A header with its certificate, if the committee has made it final.
    ///
    /// # Errors
    /// Why it has not.
    pub fn check(
        bytes: Bytes,
        finality: Finality,
        trust: &Trust,
        blocks_per_epoch: u64,
    ) -> Result<Tip, Lie> {
        let proof = HeaderProof {
            header: bytes,
            finality,
        };
        let block = proof
            .verify(trust)
            .map_err(|refusal| Lie::Header { block: 0, refusal })?;
        if block.number() / blocks_per_epoch != finality.epoch || block.number() == 0 {
            return Err(Lie::Place(block.number()));
        }
        Ok(Tip {
            bytes: proof.header,
            header: block.header().clone(),
            hash: block.hash(),
            finality,
        })
    }

    /// Its number.
    pub fn number(&self) -> Height {
        self.header.number
    }

    /// Its hash.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// Root of the state after it.
    pub fn state_root(&self) -> B256 {
        self.header.state_root
    }

    /// RLP of its header.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What proves it final.
    pub fn finality(&self) -> Finality {
        self.finality
    }

    /// Its epoch.
    pub fn epoch(&self) -> u64 {
        self.finality.epoch
    }

    pub(crate) fn proven(&self) -> Proven {
        Proven {
            header: self.header.clone(),
            hash: self.hash,
        }
    }
}

/// The newest block with a certificate that a source has.
///
/// # Errors
/// When it has none, or lies.
pub(crate) fn newest(
    source: &Asked<'_>,
    trust: &Trust,
    blocks_per_epoch: u64,
) -> Result<Tip, Error> {
    let found: Option<Finalized> = source.ask("lode_getCheckpoint", &json!([]))?;
    let found = found.and_then(|found| Some((found.header, found.finality?)));
    let (header, finality) = found.ok_or_else(|| source.uncertified("any block"))?;
    let finality = certificate(source, &finality)?;
    Tip::check(header, finality, trust, blocks_per_epoch).map_err(|lie| source.lie(lie))
}

/// A block at or below `tip`.
///
/// # Errors
/// When the source does not have it, or lies.
pub(crate) fn proven(
    source: &Asked<'_>,
    tip: &Tip,
    number: Height,
    trust: &Trust,
) -> Result<Proven, Error> {
    let top = tip.number().min(number.saturating_add(ABOVE_MAX));
    for certified in number..=top {
        let above = if certified == tip.number() {
            tip.proven()
        } else {
            let found: Option<Finalized> =
                source.ask("lode_getFinality", &json!([U64::from(certified)]))?;
            let Some((header, finality)) =
                found.and_then(|found| Some((found.header, found.finality?)))
            else {
                continue;
            };
            let finality = certificate(source, &finality)?;
            final_header(header, finality, certified, trust).map_err(|lie| source.lie(lie))?
        };
        let mut below = above;
        for header in headers(source, &below.header, certified - number)? {
            let hash = below.header.parent_hash;
            below = Proven { header, hash };
        }
        return Ok(below);
    }
    Err(source.uncertified(format!("block {number} or one shortly above it")))
}

fn final_header(
    header: Bytes,
    finality: Finality,
    number: Height,
    trust: &Trust,
) -> Result<Proven, Lie> {
    let block = HeaderProof { header, finality }
        .verify(trust)
        .map_err(|refusal| Lie::Header {
            block: number,
            refusal,
        })?;
    if block.number() != number {
        return Err(Lie::Place(number));
    }
    Ok(Proven {
        header: block.header().clone(),
        hash: block.hash(),
    })
}

fn certificate(source: &Asked<'_>, bytes: &Bytes) -> Result<Finality, Error> {
    let finality = (bytes.len() == FINALITY_LEN)
        .then(|| Finality::decode(bytes))
        .flatten();
    finality.ok_or_else(|| {
        let what = format!("a certificate of {} bytes", bytes.len());
        source.lie(Lie::Form(what))
    })
}

/// The headers below a block that contracts may ask for the hashes of, the youngest first.
///
/// # Errors
/// When the source does not have them, or lies.
pub(crate) fn headers_below(source: &Asked<'_>, header: &Header) -> Result<Vec<Header>, Error> {
    headers(source, header, (HEADERS_MAX - 1).min(header.number))
}

/// So many headers below one, each the one that the one above lies on.
fn headers(source: &Asked<'_>, above: &Header, count: u64) -> Result<Vec<Header>, Error> {
    let mut linked: Vec<Header> = Vec::new();
    let (mut number, mut hash, mut left) = (above.number, above.parent_hash, count);
    while left > 0 {
        let params = json!([U64::from(number - 1), U64::from(left)]);
        let page: Vec<Bytes> = source.ask("lode_getHeaders", &params)?;
        if page.is_empty() {
            return Err(source.uncertified(format!("block {}", number - 1)));
        }
        for bytes in page
            .iter()
            .take(usize::try_from(left).unwrap_or(usize::MAX))
        {
            let header = link(bytes, number - 1, hash).map_err(|lie| source.lie(lie))?;
            (number, hash) = (header.number, header.parent_hash);
            left -= 1;
            linked.push(header);
        }
    }
    Ok(linked)
}

/// The header of that number and hash.
fn link(mut bytes: &[u8], number: Height, hash: B256) -> Result<Header, Lie> {
    if keccak256(bytes) != hash {
        return Err(Lie::Link(number));
    }
    match Header::decode(&mut bytes) {
        Ok(header) if bytes.is_empty() && header.number == number => Ok(header),
        Ok(_) => Err(Lie::Link(number)),
        Err(error) => Err(Lie::Header {
            block: number,
            refusal: Refusal::Header(error),
        }),
    }
}

/// A whole block.
///
/// # Errors
/// When the source does not have it, or has another one.
pub(crate) fn block(source: &Asked<'_>, proven: &Proven) -> Result<Block, Error> {
    let number = proven.header.number;
    let bytes: Option<Bytes> = source.ask("lode_getBlock", &json!([proven.hash]))?;
    let bytes = bytes.ok_or_else(|| source.uncertified(format!("block {number}")))?;
    match Block::decode(&bytes) {
        Ok(block) if block.hash() == proven.hash => Ok(block),
        _ => Err(source.lie(Lie::Block(number))),
    }
}

/// What became of a block's transactions.
///
/// # Errors
/// When the source has something else.
pub(crate) fn receipts(source: &Asked<'_>, block: &Block) -> Result<Vec<ReceiptEnvelope>, Error> {
    let lie = || source.lie(Lie::Receipts(block.height()));
    let all: Vec<Bytes> = source.ask("debug_getRawReceipts", &json!([block.hash()]))?;
    let decoded = all
        .iter()
        .map(|bytes| ReceiptEnvelope::decode_2718_exact(bytes).map_err(|_| lie()));
    let receipts: Vec<ReceiptEnvelope> = decoded.collect::<Result<_, _>>()?;
    if receipts.len() != block.transactions().len()
        || calculate_receipt_root(&receipts) != block.header().receipts_root
    {
        return Err(lie());
    }
    Ok(receipts)
}
