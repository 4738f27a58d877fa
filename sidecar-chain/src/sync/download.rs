//! The state of a block, page by page. Each node of a page is checked against the hash in its parent
//! before it is written; a page is written with the place of the node after it.

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::KECCAK_EMPTY;
use lode_chain_ledger::{Error as LedgerError, Staging, checkpoint::Mark};
use lode_chain_rpc::sync::CODES_MAX;
use lode_chain_state::{
    key::Key,
    walk::{self, Leaf, Place, Walk},
};
use serde_json::json;

use super::{
    Progress,
    chain::Tip,
    source::{Asked, Error, Lie},
};

/// Fetches what is not here yet of the state after a block.
///
/// # Errors
/// When the source does not have it, or lies; what was here before stays.
pub(crate) fn state(
    source: &Asked<'_>,
    tip: &Tip,
    staging: &mut Staging,
    progress: &mut Progress,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(), Error> {
    let mut walk = resume(tip, staging)?;
    while let Some(next) = walk.next() {
        let next = next.clone();
        let page = page(source, tip.hash(), &next, None)?;
        let (mut entries, mut leaves) = (Vec::with_capacity(2 * page.len()), Vec::new());
        for node in page {
            let place = walk
                .accept(&node, &mut leaves)
                .map_err(|refused| source.lie(refused))?;
            progress.nodes += 1;
            progress.bytes += u64::try_from(node.len()).unwrap_or(0);
            entries.push((place.key(), node));
        }
        // Before the page: who goes on behind it does not look for what came before.
        fetch_codes(source, staging, &leaves, &mark(tip, Some(&next)), progress)?;
        entries.extend(leaves.iter().map(Leaf::entry));
        staging.put(entries, &mark(tip, walk.next()))?;
        progress.parts = walk.parts_done();
        tell(progress);
    }
    Ok(())
}

/// Where it was left, or the beginning.
fn resume(tip: &Tip, staging: &mut Staging) -> Result<Walk, Error> {
    let root = tip.state_root();
    let Some(Mark { next, .. }) = staging.mark()? else {
        let walk = Walk::new(root);
        staging.put([], &mark(tip, walk.next()))?;
        return Ok(walk);
    };
    let Some(next) = next else {
        return Ok(Walk::at_end());
    };
    Walk::at(root, &next, &staging.state()).map_err(|error| match error {
        walk::Error::State(error) => Error::Ledger(error.into()),
        walk::Error::Refused(_) => Error::Ledger(LedgerError::Damaged("a state that is synced")),
    })
}

fn mark(tip: &Tip, next: Option<&Place>) -> Mark {
    Mark {
        header: tip.bytes().clone(),
        finality: tip.finality(),
        next: next.cloned(),
    }
}

/// Nodes of the state after a block, from a place on: one at least.
///
/// # Errors
/// When the source does not have them.
pub(crate) fn page(
    source: &Asked<'_>,
    block: B256,
    place: &Place,
    count: Option<&str>,
) -> Result<Vec<Bytes>, Error> {
    let params = match count {
        Some(count) => json!([block, place.to_string(), count]),
        None => json!([block, place.to_string()]),
    };
    let page: Vec<Bytes> = source.ask("lode_getStateNodes", &params)?;
    if page.is_empty() {
        return Err(source.lie(Lie::NoNode(place.to_string())));
    }
    Ok(page)
}

/// Code of accounts, unless it is here.
fn fetch_codes(
    source: &Asked<'_>,
    staging: &mut Staging,
    leaves: &[Leaf],
    mark: &Mark,
    progress: &mut Progress,
) -> Result<(), Error> {
    let mut missing: Vec<B256> = Vec::new();
    for leaf in leaves {
        let Leaf::Account { account, .. } = leaf else {
            continue;
        };
        let hash = account.code_hash;
        if hash != KECCAK_EMPTY && !staging.has_code(&hash)? {
            missing.push(hash);
        }
    }
    missing.sort_unstable();
    missing.dedup();
    let mut left = &missing[..];
    while !left.is_empty() {
        let codes = codes(source, &left[..left.len().min(CODES_MAX)])?;
        left = &left[codes.len()..];
        for code in codes {
            progress.bytes += u64::try_from(code.len()).unwrap_or(0);
            staging.put([(Key::code(&keccak256(&code)), code)], mark)?;
        }
    }
    Ok(())
}

/// Code by its hashes: as much of it as the source gives at once, from the first on.
///
/// # Errors
/// When the source does not have it, or lies.
pub(crate) fn codes(source: &Asked<'_>, hashes: &[B256]) -> Result<Vec<Bytes>, Error> {
    let found: Vec<Option<Bytes>> = source.ask("lode_getCodes", &json!([hashes]))?;
    if found.is_empty() || found.len() > hashes.len() {
        let what = format!(
            "{} codes where {} were asked for",
            found.len(),
            hashes.len()
        );
        return Err(source.lie(Lie::Form(what)));
    }
    let checked = found.into_iter().zip(hashes).map(|(code, hash)| {
        code.filter(|code| keccak256(code) == *hash)
            .ok_or_else(|| source.lie(Lie::Code(*hash)))
    });
    checked.collect()
}
