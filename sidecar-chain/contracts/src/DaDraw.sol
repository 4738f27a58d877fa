// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Who gets which rows of a quorum: SPEC of lode-proofs, [D-31] to [D-34], and draw.rs there, which says
/// why. Costs a hash and a search for each row that is drawn for, fewer than there are holders.
library DaDraw {
    uint256 internal constant ROWS = 3072;
    uint256 internal constant HOLDERS_MAX = 340;
    /// All stakes together are below this.
    uint256 internal constant STAKES_END = 1 << 110;

    /// Rows between one slot and the next, and its inverse modulo ROWS.
    uint256 private constant STEP = 1877;
    uint256 private constant STEP_INVERSE = 509;

    error WrongHolders(uint256 count);
    error WrongStakes(uint256 total);

    /// What follows from a beacon for a quorum of this chain.
    function draw(bytes32 beacon, uint64 epoch, uint32 quorum) internal view returns (bytes32) {
        return sha256(abi.encodePacked("lode/da/1 draw", beacon, uint64(block.chainid), epoch, quorum));
    }

    /// How many rows each holder gets, ROWS together.
    function rowsOf(bytes32 drawn, uint256[] memory stakes) internal pure returns (uint256[] memory rows) {
        uint256 count = stakes.length;
        if (count == 0 || count > HOLDERS_MAX) revert WrongHolders(count);
        uint256 total;
        for (uint256 i = 0; i < count; ++i) total += stakes[i];
        if (total == 0 || total >= STAKES_END) revert WrongStakes(total);
        rows = new uint256[](count);
        // What is left over, of each holder and of all before it.
        uint256[] memory ends = new uint256[](count);
        uint256 left = ROWS;
        uint256 end;
        for (uint256 i = 0; i < count; ++i) {
            uint256 share = stakes[i] * ROWS;
            rows[i] = share / total;
            left -= rows[i];
            ends[i] = end += share % total;
        }
        for (uint256 number = 0; number < left; ++number) {
            uint256 lot = uint256(sha256(abi.encodePacked(drawn, uint16(number)))) % end;
            ++rows[_bearer(ends, lot)];
        }
    }

    /// The slot of a row.
    function slotOf(bytes32 drawn, uint256 row) internal pure returns (uint256) {
        return (row + ROWS - uint256(drawn) % ROWS) * STEP_INVERSE % ROWS;
    }

    /// The row of a slot.
    function rowOf(bytes32 drawn, uint256 slot) internal pure returns (uint256) {
        return (uint256(drawn) % ROWS + STEP * slot) % ROWS;
    }

    /// The first holder whose end is above the lot.
    function _bearer(uint256[] memory ends, uint256 lot) private pure returns (uint256 low) {
        uint256 high = ends.length - 1;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (lot < ends[middle]) high = middle;
            else low = middle + 1;
        }
    }
}
