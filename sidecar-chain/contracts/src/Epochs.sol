// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControlEnumerable} from "@openzeppelin/contracts/access/extensions/AccessControlEnumerable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {IFlow, EpochRange, EpochRangeWithContextDigest, MineContext} from "./IFlow.sol";

/// The flow's epochs, and the context that miners work on (0G wire, 5.2).
///
///  firstBlock        + blocksPerEpoch     + 2 blocksPerEpoch
///      |---- epoch 0 ----|---- epoch 1 ----|---- epoch 2 ----
///            blobs A           blobs B  ^ makeContext: epoch 1, over A, whenever it is called
///
/// Making a context is one step however many epochs nobody asked for: they are left out, and
/// their blobs belong to the range of the next context that is made. What the row was when an
/// epoch began is fixed by the first submission after it, so the context's caller chooses nothing.
abstract contract Epochs is IFlow, AccessControlEnumerable, Pausable, Initializable {
    /// Block hashes can be had this far back (EIP-2935), so every context has its own.
    uint256 public constant BLOCKS_PER_EPOCH_MAX = 8191;
    /// Roots that rootHistory answers for.
    uint256 private constant ROOTS_KEPT = 1000;
    /// Digest of the context before the first: keccak of nothing.
    bytes32 private constant EMPTY_DIGEST = keccak256("");

    /// Where the row ends, in one slot.
    struct Tail {
        uint64 length;
        /// Length and submissions when `epoch` began.
        uint64 lengthAtEpoch;
        uint40 submissions;
        uint40 submissionsAtEpoch;
        /// In which epoch the last submission came.
        uint48 epoch;
    }

    /// Shares a slot with `_paused`, so that a submission reads its settings at once.
    address private _market;
    uint16 private _blocksPerEpoch;
    uint64 private _firstBlock;

    Tail private _end;
    mapping(uint256 txSeq => bytes32) private _rootByTxSeq;

    MineContext private _context;
    mapping(bytes32 digest => EpochRange) private _ranges;
    EpochRangeWithContextDigest[] private _rangeHistory;
    bytes32[ROOTS_KEPT] private _roots;

    modifier launched() {
        require(block.number >= _firstBlock, "Contract has not launched.");
        _;
    }

    /// Makes the context of the newest epoch that has begun, if that is not the one there is.
    function makeContext() public whenNotPaused launched {
        uint256 newest = _epochNow();
        if (newest <= _context.epoch) return;
        (uint256 length, uint256 submissions) = _whenEpochBegan(newest);
        bytes32 root = submissions == 0 ? bytes32(0) : _rootByTxSeq[submissions - 1];
        uint256 mineStart = _firstBlock + newest * _blocksPerEpoch;
        bytes32 blockDigest = Blockhash.blockHash(mineStart);
        bytes32 digest = keccak256(abi.encode(blockDigest, root, length));

        EpochRange memory range = EpochRange(uint128(epochStartPosition()), uint128(length));
        _ranges[digest] = range;
        _roots[_rangeHistory.length % ROOTS_KEPT] = root;
        _rangeHistory.push(EpochRangeWithContextDigest(range.start, range.end, digest));
        _context = MineContext(newest, mineStart, root, length, blockDigest, digest);
        emit NewEpoch(msg.sender, newest, root, submissions, length, digest);
    }

    /// The same as makeContext, which never has more than one step to do.
    function makeContextFixedTimes(uint256) external {
        makeContext();
    }

    /// Makes the context and returns it.
    function makeContextWithResult() external returns (MineContext memory) {
        makeContext();
        return _context;
    }

    /// The context in whose range a position lies. Makes the context first.
    function queryContextAtPosition(uint128 targetPosition)
        external
        returns (EpochRangeWithContextDigest memory range)
    {
        makeContext();
        require(targetPosition < _end.length, "Queried position exceeds upper bound");
        uint256 low = 0;
        uint256 high = _rangeHistory.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (_rangeHistory[middle].end <= targetPosition) low = middle + 1;
            else high = middle;
        }
        require(low < _rangeHistory.length, "Can not find proper context");
        return _rangeHistory[low];
    }

    /// Fills settings that are still zero; what is set stays as it is.
    function setParams(uint256 blocksPerEpoch_, uint256 firstBlock_, address) external onlyRole(DEFAULT_ADMIN_ROLE) {
        require(blocksPerEpoch_ <= BLOCKS_PER_EPOCH_MAX, "Epoch too long");
        if (_blocksPerEpoch == 0) _blocksPerEpoch = uint16(blocksPerEpoch_);
        if (_firstBlock == 0) _firstBlock = uint64(firstBlock_);
    }

    function market() public view returns (address payable) {
        return payable(_market);
    }

    function blocksPerEpoch() external view returns (uint256) {
        return _blocksPerEpoch;
    }

    function firstBlock() external view returns (uint256) {
        return _firstBlock;
    }

    function submissionIndex() external view returns (uint256) {
        return _end.submissions;
    }

    function numSubmissions() external view returns (uint256) {
        return _end.submissions;
    }

    /// Root over the row after a submission; zero if there is none of that number.
    function getFlowRootByTxSeq(uint256 txSeq) external view returns (bytes32) {
        return _rootByTxSeq[txSeq];
    }

    /// Epoch of the context.
    function epoch() external view returns (uint256) {
        return _context.epoch;
    }

    /// Where the next context's range begins.
    function epochStartPosition() public view returns (uint256) {
        uint256 count = _rangeHistory.length;
        return count == 0 ? 0 : _rangeHistory[count - 1].end;
    }

    /// The newest context that was made.
    function getContext() external view returns (MineContext memory context) {
        context = _context;
        if (context.epoch == 0) {
            return MineContext(0, _firstBlock, bytes32(0), 1, EMPTY_DIGEST, EMPTY_DIGEST);
        }
    }

    /// Range of the context with that digest; empty if there is none.
    function getEpochRange(bytes32 digest) external view returns (EpochRange memory) {
        return _ranges[digest];
    }

    /// Range of the context that was made as number `index`, from 0.
    function getEpochRangeHistory(uint256 index) external view returns (EpochRangeWithContextDigest memory) {
        return _rangeHistory[index];
    }

    /// Who answers `available` and `rootAt`: this contract.
    function rootHistory() external view returns (address) {
        return address(this);
    }

    /// Whether the root of context number `index` is kept.
    function available(uint256 index) public view returns (bool) {
        uint256 count = _rangeHistory.length;
        return index < count && index + ROOTS_KEPT >= count;
    }

    /// Flow root of context number `index`, which is available.
    function rootAt(uint256 index) external view returns (bytes32) {
        require(available(index), "Root not available");
        return _roots[index % ROOTS_KEPT];
    }

    function _setEpochs(address market_, uint256 blocksPerEpoch_, uint256 firstBlock_) internal {
        require(blocksPerEpoch_ > 0 && blocksPerEpoch_ <= BLOCKS_PER_EPOCH_MAX, "Epoch too long");
        _market = market_;
        _blocksPerEpoch = uint16(blocksPerEpoch_);
        _firstBlock = uint64(firstBlock_);
        _end.length = 1;
    }

    function _tail() internal view returns (Tail memory) {
        return _end;
    }

    /// The tail, for a submission that is about to change it.
    function _tailForAppend() internal view returns (Tail memory tail) {
        tail = _end;
        uint256 newest = _epochNow();
        if (newest != tail.epoch) {
            tail.epoch = uint48(newest);
            tail.lengthAtEpoch = tail.length;
            tail.submissionsAtEpoch = tail.submissions;
        }
    }

    /// Stores the tail after its last submission, and the root there.
    function _setTail(Tail memory tail, bytes32 root) internal {
        _end = tail;
        _rootByTxSeq[tail.submissions - 1] = root;
    }

    /// The newest epoch whose first block has a hash by now.
    function _epochNow() private view returns (uint256) {
        if (block.number <= _firstBlock || _blocksPerEpoch == 0) return 0;
        return (block.number - 1 - _firstBlock) / _blocksPerEpoch;
    }

    /// Length and submissions when the newest epoch began.
    function _whenEpochBegan(uint256 newest) private view returns (uint256 length, uint256 submissions) {
        Tail memory tail = _end;
        return tail.epoch == newest
            ? (tail.lengthAtEpoch, tail.submissionsAtEpoch)
            : (tail.length, tail.submissions);
    }
}
