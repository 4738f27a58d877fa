//! commonware-coding's ReedSolomon over a whole container, at the rate of ours: 34 of 100 shards give
//! it back. One thread, and the library's own hash trees over both hashes that it offers for them.

use std::num::NonZeroU16;

use commonware_coding::{Config, ReedSolomon, Scheme};
use commonware_cryptography::{Blake3, Hasher, Sha256};
use commonware_parallel::Sequential;

use super::{ENCODES, Made, Peer, RESTORES};
use crate::{
    da::{core::spend, turn::same},
    error::{Error, Result},
};

/// A third of the shards, one for each of 100 holders.
const CONFIG: Config = Config {
    minimum_shards: NonZeroU16::new(34).expect("not zero"),
    extra_shards: NonZeroU16::new(66).expect("not zero"),
};

const WITH_BLAKE3: &str = "commonware BLAKE3";
const WITH_SHA256: &str = "commonware SHA-256";

pub fn encoders(made: &Made) -> Vec<Peer<'_>> {
    vec![
        encoder::<Blake3>(WITH_BLAKE3, made),
        encoder::<Sha256>(WITH_SHA256, made),
    ]
}

pub fn decoders(made: &Made) -> Result<Vec<Peer<'_>>> {
    Ok(vec![
        decoder::<Blake3>(WITH_BLAKE3, made)?,
        decoder::<Sha256>(WITH_SHA256, made)?,
    ])
}

fn encoder<'made, H: Hasher>(name: &'static str, made: &'made Made) -> Peer<'made> {
    let work = move || {
        let encode = || ReedSolomon::<H>::encode(&CONFIG, bytes(made), &Sequential);
        let (coded, sample) = spend(made.len(), encode);
        coded.map_err(Error::subject(name))?;
        Ok(sample)
    };
    Peer {
        name,
        factor: ENCODES,
        work: Box::new(work),
    }
}

/// From the last 34 shards, which were checked before; it codes and hashes all of them again, to see
/// that they are a code's.
fn decoder<'made, H: Hasher>(name: &'static str, made: &'made Made) -> Result<Peer<'made>> {
    let refused = Error::subject(name);
    let coded = ReedSolomon::<H>::encode(&CONFIG, bytes(made), &Sequential);
    let (root, shards) = coded.map_err(&refused)?;
    let first = usize::from(CONFIG.extra_shards.get());
    let checked = (66..)
        .zip(&shards[first..])
        .map(|(index, shard)| ReedSolomon::<H>::check(&CONFIG, &root, index, shard, &Sequential));
    let checked: Vec<_> = checked
        .collect::<std::result::Result<_, _>>()
        .map_err(&refused)?;
    let work = move || {
        let decode = || ReedSolomon::<H>::decode(&CONFIG, &root, checked.iter(), &Sequential);
        let (restored, sample) = spend(made.len(), decode);
        let restored = restored.map_err(Error::subject(name))?;
        same(name, Some(&restored), bytes(made))?;
        Ok(sample)
    };
    Ok(Peer {
        name,
        factor: RESTORES,
        work: Box::new(work),
    })
}

/// The container's bytes, without what fills its last rows.
fn bytes(made: &Made) -> &[u8] {
    let len = usize::try_from(made.len()).expect("at most 128 MiB");
    &made.container.rows()[..len]
}
