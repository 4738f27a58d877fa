// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Shape} from "./Shape.sol";
import {SubmissionNode} from "./IFlow.sol";
import {ZeroRoots} from "./ZeroRoots.sol";

/// The flow's tree: sectors in one row, of which only the left edge is kept.
///
///  length = 0b1101      branch[3]          root over 16: what is missing on the right is empty
///                       /      \
///                   8 sectors   branch[2], then branch[0]
///
/// branch[h] is the root of the complete subtree of height h that ends the row's binary ones; it
/// means something only where bit h of the length is set. Leaf 0 is 32 zero bytes (0G wire, 1.7).
/// Each insertion writes one slot, and one more if there was a gap before it.
library FlowTree {
    using ZeroRoots for bytes;

    /// Sectors in the row never reach this, so that no height reaches 64.
    uint256 internal constant LENGTH_MAX = 1 << 62;

    struct Edge {
        bytes32[64] branch;
    }

    /// Where a blob of these nodes begins: aligned to its first node, and within one chunk if it
    /// is smaller than a chunk.
    /// @return start the first sector
    /// @return alignment log2 of what `start` is the next multiple of
    function place(uint256 length, uint256 height, uint256 sectors)
        internal
        pure
        returns (uint256 start, uint256 alignment)
    {
        alignment = height;
        start = _align(length, alignment);
        uint256 lastChunk = (start + sectors - 1) >> Shape.CHUNK_HEIGHT;
        if (start % Shape.SECTORS_PER_CHUNK != 0 && start >> Shape.CHUNK_HEIGHT != lastChunk) {
            alignment = Shape.CHUNK_HEIGHT;
            start = _align(length, alignment);
        }
    }

    /// Fills the row with empty sectors, up to the next multiple of 2^alignment.
    function fill(Edge storage edge, uint256 length, uint256 alignment, bytes memory zeros) internal {
        if (length & ((1 << alignment) - 1) == 0) return;
        uint256 height = _lowestOne(length);
        bytes32 node = zeros.rootAt(height);
        for (; height < alignment; ++height) {
            // A node that is a left child has nothing but empty sectors beside it.
            node = (length >> height) & 1 == 1
                ? Hashes.efficientKeccak256(edge.branch[height], node)
                : Hashes.efficientKeccak256(node, zeros.rootAt(height));
        }
        insert(edge, length >> alignment << alignment, alignment, node);
    }

    /// Appends a subtree at `position`, which is a multiple of 2^height.
    function insert(Edge storage edge, uint256 position, uint256 height, bytes32 node) internal {
        while ((position >> height) & 1 == 1) {
            node = Hashes.efficientKeccak256(edge.branch[height], node);
            ++height;
        }
        edge.branch[height] = node;
    }

    /// Root over the row, completed with empty sectors to a power of two.
    function root(Edge storage edge, uint256 length, bytes memory zeros) internal view returns (bytes32 node) {
        uint256 lowest = _lowestOne(length);
        uint256 depth = Math.log2(length, Math.Rounding.Ceil);
        node = edge.branch[lowest];
        for (uint256 height = lowest; height < depth; ++height) {
            node = height > lowest && (length >> height) & 1 == 1
                ? Hashes.efficientKeccak256(edge.branch[height], node)
                : Hashes.efficientKeccak256(node, zeros.rootAt(height));
        }
    }

    function _align(uint256 length, uint256 height) private pure returns (uint256) {
        return Math.ceilDiv(length, 1 << height) << height;
    }

    /// Place of the lowest binary one; `length` is not 0.
    function _lowestOne(uint256 length) private pure returns (uint256) {
        unchecked {
            return Math.log2(length & (0 - length));
        }
    }
}
