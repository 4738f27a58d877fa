//! Keccak against published digests, a foreign implementation, and itself.

use super::*;

/// The published digests of the empty message, of "abc", and of one zero
/// sector (0G's empty sector hash) come out.
#[test]
fn known_digests() {
    let hex = |digest: Digest| digest.map(|byte| std::format!("{byte:02x}")).concat();
    assert_eq!(
        hex(keccak256(b"")),
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    );
    assert_eq!(
        hex(keccak256(b"abc")),
        "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
    );
    assert_eq!(
        hex(keccak256(&[0; 256])),
        "d397b3b043d87fcd6fad1291ff0bfd16401c274896d8c63a923727f077b8e0b5"
    );
}

/// Every length around the block edges agrees with the foreign crate.
#[test]
fn every_length_agrees_with_foreign() {
    let message: std::vec::Vec<u8> = noise(1).take(600).collect();
    for len in 0..message.len() {
        assert_eq!(
            keccak256(&message[..len]),
            foreign(&message[..len]),
            "length {len}"
        );
    }
}

/// Every backend gives the foreign crate's leaves and nodes, for every count
/// from none to three groups and a rest.
#[test]
fn every_backend_agrees_with_foreign() {
    let mut bytes = noise(2);
    let sectors: std::vec::Vec<Sector> = (0..27)
        .map(|_| core::array::from_fn(|_| bytes.next().unwrap()))
        .collect();
    let nodes: std::vec::Vec<Digest> = (0..54)
        .map(|_| core::array::from_fn(|_| bytes.next().unwrap()))
        .collect();
    for backend in Backend::available() {
        for count in 0..=sectors.len() {
            let mut leaves = std::vec![[0u8; 32]; count];
            backend.hash_sectors(&sectors[..count], &mut leaves);
            let expected: std::vec::Vec<_> = sectors[..count].iter().map(|s| foreign(s)).collect();
            assert_eq!(leaves, expected, "{} on {count} sectors", backend.name());
        }
        for count in 0..=nodes.len() {
            let mut level = nodes[..count].to_vec();
            let parents = backend.hash_pairs(&mut level);
            let expected: std::vec::Vec<_> = nodes[..count]
                .chunks_exact(2)
                .map(|p| foreign(p.as_flattened()))
                .collect();
            assert_eq!(
                level[..parents],
                expected,
                "{} on {count} nodes",
                backend.name()
            );
        }
        let pair = [nodes[0], nodes[1]];
        assert_eq!(backend.hash_pair(&pair), foreign(pair.as_flattened()));
    }
}

/// The list starts with the portable backend, ends with the best, and names
/// none twice.
#[test]
fn backends_are_listed_slowest_first() {
    let names: std::vec::Vec<_> = Backend::available().map(Backend::name).collect();
    let order = ["portable", "bmi2", "avx2", "avx512"];
    let sorted: std::vec::Vec<_> = order
        .into_iter()
        .filter(|name| names.contains(name))
        .collect();
    assert_eq!(names, sorted);
    assert_eq!(names.first(), Some(&Backend::portable().name()));
    assert_eq!(names.last(), Some(&Backend::best().name()));
}

fn foreign(message: &[u8]) -> Digest {
    use tiny_keccak::Hasher as _;
    let mut hasher = tiny_keccak::Keccak::v256();
    hasher.update(message);
    let mut digest = [0; 32];
    hasher.finalize(&mut digest);
    digest
}

/// Seeded bytes (splitmix64).
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed;
    core::iter::from_fn(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some((mixed ^ (mixed >> 31)).to_le_bytes()[0])
    })
}
