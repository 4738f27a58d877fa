//! What proves a block of the settlement chain final: the committee's signature over where consensus
//! stood and the block's hash, and its signature over the view, which nobody could foretell.
//!
//! ```text
//!  at   bytes  field
//!   0      8   epoch         little-endian
//!   8      8   view          little-endian
//!  16      8   parent_view   little-endian
//!  24     32   block         keccak of the header's RLP
//!  56     48   vote          G1, compressed: the committee on this proposal
//! 104     48   seed          G1, compressed: the committee on epoch and view
//! ```
//! Both signatures are by one key, that of the committee as a whole (BLS12-381, threshold), and it
//! stays the same when members change.
//!
//! What is signed is written here byte for byte (SPEC, Finality); feature `bls` adds the module
//! `committee`, which checks the signatures.

use alloc::vec::Vec;

/// Bytes of a finality proof.
pub const FINALITY_LEN: usize = 152;
/// Bytes of a signature: a point of G1, compressed.
pub const SIGNATURE_LEN: usize = 48;

/// A committee's word that a block is final. Not checked before somebody verifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finality {
    /// Which committee.
    pub epoch: u64,
    /// In which view of that epoch the block was proposed.
    pub view: u64,
    /// In which view its parent was.
    pub parent_view: u64,
    /// The block's hash.
    pub block: [u8; 32],
    /// The committee's signature on all of the above.
    pub vote: [u8; SIGNATURE_LEN],
    /// The committee's signature on epoch and view: source of the beacon.
    pub seed: [u8; SIGNATURE_LEN],
}

impl Finality {
    /// What the vote signs.
    pub fn vote_message(&self, namespace: &[u8]) -> Vec<u8> {
        // [F-3]
        let mut proposal = self.round();
        push_varint(&mut proposal, self.parent_view);
        proposal.extend_from_slice(&self.block);
        signed(namespace, VOTE_SUFFIX, &proposal)
    }

    /// What the seed signs: the same for any block of that view, so that no proposer chooses it.
    pub fn seed_message(&self, namespace: &[u8]) -> Vec<u8> {
        signed(namespace, SEED_SUFFIX, &self.round())
    }

    /// Epoch and view, as they are signed.
    fn round(&self) -> Vec<u8> {
        // [F-3]
        let mut bytes = Vec::new();
        push_varint(&mut bytes, self.epoch);
        push_varint(&mut bytes, self.view);
        bytes
    }

    /// As it is stored and sent.
    pub fn encode(&self) -> [u8; FINALITY_LEN] {
        // [F-1]
        let mut bytes = [0; FINALITY_LEN];
        bytes[..8].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.view.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.parent_view.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.block);
        bytes[56..104].copy_from_slice(&self.vote);
        bytes[104..].copy_from_slice(&self.seed);
        bytes
    }

    /// What was encoded; none if `bytes` has another length. Any content decodes: whether it holds
    /// is for a verifier to say.
    pub fn decode(bytes: &[u8]) -> Option<Finality> {
        let (epoch, rest) = bytes.split_first_chunk()?;
        let (view, rest) = rest.split_first_chunk()?;
        let (parent_view, rest) = rest.split_first_chunk()?;
        let (block, rest) = rest.split_first_chunk()?;
        let (vote, rest) = rest.split_first_chunk()?;
        let seed = rest.try_into().ok()?;
        Some(Finality {
            epoch: u64::from_le_bytes(*epoch),
            view: u64::from_le_bytes(*view),
            parent_view: u64::from_le_bytes(*parent_view),
            block: *block,
            vote: *vote,
            seed,
        })
    }
}

/// A message under its namespace. The length in front makes the border between them plain, so that
/// no two pairs give the same bytes.
fn signed(namespace: &[u8], suffix: &[u8], message: &[u8]) -> Vec<u8> {
    // [F-4]
    let namespace_len = namespace.len() + suffix.len();
    let mut bytes = Vec::with_capacity(VARINT_LEN_MAX + namespace_len + message.len());
    push_varint(
        &mut bytes,
        u64::try_from(namespace_len).expect("memory has no more than 2^64 bytes"),
    );
    bytes.extend_from_slice(namespace);
    bytes.extend_from_slice(suffix);
    bytes.extend_from_slice(message);
    bytes
}

/// Seven bits a byte, lowest first; the top bit says that more follow.
fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    // [F-2]
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// Behind the namespace of votes that finalise.
const VOTE_SUFFIX: &[u8] = b"_FINALIZE";
/// Behind the namespace of seeds.
const SEED_SUFFIX: &[u8] = b"_SEED";
/// Bytes that 64 bits take, seven in each.
const VARINT_LEN_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte has its place, and other lengths are refused.
    #[test]
    fn comes_back() {
        let bytes: [u8; FINALITY_LEN] = core::array::from_fn(|at| at.to_le_bytes()[0]);
        let finality = Finality::decode(&bytes).expect("it is long enough");
        assert_eq!(finality.encode(), bytes);
        assert_eq!(finality.block[0], 24);
        assert_eq!(finality.seed[47], 151);
        assert!(Finality::decode(&bytes[1..]).is_none());
        assert!(Finality::decode(&[0; FINALITY_LEN + 1]).is_none());
    }

    /// Numbers have one form, the shortest, up to the largest: [F-2].
    #[test]
    fn varints() {
        let forms: &[(u64, &[u8])] = &[
            (0, &[0]),
            (0x7f, &[0x7f]),
            (0x80, &[0x80, 1]),
            (300, &[0xac, 2]),
            (0x3fff, &[0xff, 0x7f]),
            (0x4000, &[0x80, 0x80, 1]),
            (
                u64::MAX,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
        ];
        for (number, form) in forms {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, *number);
            assert_eq!(&bytes, form, "{number}");
            assert!(bytes.len() <= VARINT_LEN_MAX);
        }
    }
}
