// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";

/// The chain's randomness, one value per slot of blocks: what the slot's first block carries.
///
/// Nobody chooses a value: it is that of one block, whoever records it and whenever. In that block
/// itself a bare call records it; later the block's header does, as long as its hash is known
/// (8191 blocks, EIP-2935). The last HISTORY slots are kept, two words each.
contract Beacon is Initializable {
    /// Slots that are kept.
    uint64 public constant HISTORY = 4096;
    /// So a slot's header can be shown until the slot after it has begun, at the least.
    uint64 public constant BLOCKS_PER_SLOT_MAX = 4096;

    struct Kept {
        bytes32 random;
        /// The slot plus one, so that zero means none.
        uint64 slotAfter;
    }

    uint64 public blocksPerSlot;
    Kept[HISTORY] private _kept;

    event Recorded(uint64 indexed slot, bytes32 random);

    error WrongSettings();
    error NotFirstBlock(uint256 blockNumber);
    error UnknownHeader(uint256 blockNumber);
    error TooOld(uint64 slot);
    error NotRecorded(uint64 slot);

    /// For a deployment outside of a genesis file: in the transaction that creates the contract,
    /// or somebody else calls it first.
    function initialize(uint64 blocksPerSlot_) external initializer {
        if (blocksPerSlot_ == 0 || blocksPerSlot_ > BLOCKS_PER_SLOT_MAX) revert WrongSettings();
        blocksPerSlot = blocksPerSlot_;
    }

    /// Records the value of the slot that begins with this block.
    function record() external {
        _record(block.number, bytes32(block.prevrandao));
    }

    /// Records the value of the slot that began with the block whose header, in RLP, this is.
    function recordHeader(bytes calldata header) external {
        uint256 number = BlockHeader.getNumber(header);
        if (!BlockHeader.verifyBlockHeader(header)) revert UnknownHeader(number);
        _record(number, BlockHeader.getPrevRandao(header));
    }

    /// The slot of this block.
    function slot() external view returns (uint64) {
        return uint64(block.number / blocksPerSlot);
    }

    /// Whether a slot's value is there.
    function isRecorded(uint64 asked) public view returns (bool) {
        return _kept[asked % HISTORY].slotAfter == asked + 1;
    }

    /// The value of a slot that was recorded and is still kept.
    function randomOf(uint64 asked) external view returns (bytes32) {
        if (!isRecorded(asked)) revert NotRecorded(asked);
        return _kept[asked % HISTORY].random;
    }

    function _record(uint256 number, bytes32 random) private {
        if (number % blocksPerSlot != 0) revert NotFirstBlock(number);
        uint64 asked = uint64(number / blocksPerSlot);
        Kept storage kept = _kept[asked % HISTORY];
        if (kept.slotAfter > asked + 1) revert TooOld(asked);
        if (kept.slotAfter == asked + 1) return;
        (kept.random, kept.slotAfter) = (random, asked + 1);
        emit Recorded(asked, random);
    }
}
