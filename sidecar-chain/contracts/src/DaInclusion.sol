// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DaRange} from "./DaRange.sol";

/// Says which bytes a blob or a container has, by SHA-256 alone: for any EVM, and for whoever trusts a root
/// already (from a certificate that DaVerifier has checked, or from a record of DaCertificates). Nothing is
/// kept and nothing reverts.
contract DaInclusion {
    /// The bytes that a proof [D-30] shows of the blob with this root and length, and where they begin.
    function blobBytes(bytes32 blobRoot, uint256 length, bytes calldata proof)
        external
        pure
        returns (bool found, uint256 start, bytes memory content)
    {
        return DaRange.ofBlob(blobRoot, length, proof);
    }

    /// The bytes that a proof [D-21] shows of the original rows of the container with this row root and
    /// length. They are what readers get only if their rows are coded rightly: see DaRange.
    function containerBytes(bytes32 rowRoot, uint256 length, bytes calldata proof)
        external
        pure
        returns (bool found, uint256 start, bytes memory content)
    {
        return DaRange.ofContainer(rowRoot, length, proof);
    }

    /// The blob that a proof [D-22] shows in the table with this namespace root.
    function blobOf(bytes32 namespaceRoot, bytes calldata proof)
        external
        pure
        returns (bool found, DaRange.Entry memory entry)
    {
        return DaRange.entry(namespaceRoot, proof);
    }
}
