// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// SHA-256 trees of the shape of RFC 6962: SPEC of lode-proofs, [D-6]. A node over n leaves has the largest
/// power of two below n under its left child.
library DaTree {
    function leaf(bytes memory content) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), content));
    }

    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(1), left, right));
    }

    /// The root over some leaves, one or more, which are overwritten.
    function rootOf(bytes32[] memory nodes) internal pure returns (bytes32) {
        for (uint256 count = nodes.length; count > 1; count = (count + 1) / 2) {
            for (uint256 i = 0; i < count; i += 2) {
                // A last one without a partner goes up as it is.
                nodes[i / 2] = i + 1 < count ? node(nodes[i], nodes[i + 1]) : nodes[i];
            }
        }
        return nodes[0];
    }

    /// The largest power of two below `count`, which is 2 or more and below 2^32.
    function leftOf(uint256 count) internal pure returns (uint256 left) {
        left = 1;
        while (left * 2 < count) left *= 2;
    }
}
