// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Shape} from "./Shape.sol";

/// A blob that was settled, and who pays for it until when (unix seconds; the chain does not act
/// on it). Encoded packed and big-endian: root 32, size 8, payer 20, expiry 8 bytes.
struct Entry {
    bytes32 root;
    uint64 size;
    address payer;
    uint64 expiry;
}

/// A subtree: its hash, and the padded sectors of all entries under it.
struct AnchorNode {
    bytes32 hash;
    uint64 sectors;
}

/// The tree over the entries of an anchor: RFC 6962's shape, keccak, and a sum beside each hash.
///
///  leaf   keccak(0x00 || entry)                                        sectors of the entry
///  inner  keccak(0x01 || left hash || left sum || right hash || right sum)     left + right
///
/// The sums are why a fee can be checked without the entries: the entries that can be proven under
/// a root never take more sectors together than the root states. The twin is `anchor.rs` of
/// lode-proofs; the same vectors check both.
library AnchorTree {
    uint8 private constant LEAF = 0;
    uint8 private constant INNER = 1;

    /// The leaf of an entry.
    function leaf(Entry memory entry) internal pure returns (AnchorNode memory) {
        bytes32 hash = keccak256(abi.encodePacked(LEAF, entry.root, entry.size, entry.payer, entry.expiry));
        return AnchorNode(hash, uint64(Shape.paddedSectors(entry.size)));
    }

    /// The node above two; reverts when the sum does not fit 64 bits.
    function join(AnchorNode memory left, AnchorNode memory right) internal pure returns (AnchorNode memory) {
        bytes32 hash = keccak256(abi.encodePacked(INNER, left.hash, left.sectors, right.hash, right.sectors));
        return AnchorNode(hash, left.sectors + right.sectors);
    }

    /// Root of a tree of `count` leaves with `node` at `place`, from its siblings, bottom to top
    /// (RFC 9162, 2.1.3.2). Not complete if the siblings are too few or too many.
    function climb(AnchorNode memory node, uint256 place, uint256 count, AnchorNode[] memory siblings)
        internal
        pure
        returns (AnchorNode memory, bool complete)
    {
        uint256 last = count - 1;
        for (uint256 i = 0; i < siblings.length; ++i) {
            if (last == 0) return (node, false);
            if (place & 1 == 1 || place == last) {
                node = join(siblings[i], node);
                // At the right border the way skips levels on which it has no sibling.
                while (place & 1 == 0 && place != 0) (place, last) = (place >> 1, last >> 1);
            } else {
                node = join(node, siblings[i]);
            }
            (place, last) = (place >> 1, last >> 1);
        }
        return (node, last == 0);
    }
}
