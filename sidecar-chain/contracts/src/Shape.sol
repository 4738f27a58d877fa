// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// Sizes of a blob, as in `shape.rs` of lode-proofs (0G wire, 1.1 and 1.2).
library Shape {
    uint256 internal constant SECTOR_LEN = 256;
    uint256 internal constant CHUNK_HEIGHT = 10;
    uint256 internal constant SECTORS_PER_CHUNK = 1 << CHUNK_HEIGHT;

    /// A blob is padded to a multiple of a sixteenth of the next power of two.
    uint256 internal constant PADDING_LOG2 = 4;

    /// Sectors that a blob of `size` bytes takes with its padding; 0 for an empty one.
    function paddedSectors(uint64 size) internal pure returns (uint256) {
        uint256 sectors = Math.ceilDiv(size, SECTOR_LEN);
        if (sectors == 0) return 0;
        uint256 log2 = Math.log2(sectors, Math.Rounding.Ceil);
        uint256 unit = log2 < PADDING_LOG2 ? 1 : 1 << (log2 - PADDING_LOG2);
        return Math.ceilDiv(sectors, unit) * unit;
    }
}
