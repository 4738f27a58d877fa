// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControlEnumerable} from "@openzeppelin/contracts/access/extensions/AccessControlEnumerable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Epochs} from "./Epochs.sol";
import {FlowTree} from "./FlowTree.sol";
import {IFlow, MineContext, Submission, SubmissionData, SubmissionNode} from "./IFlow.sol";
import {IMarket} from "./IMarket.sol";
import {Shape} from "./Shape.sol";
import {ZeroRoots} from "./ZeroRoots.sol";

/// The append-only row of all blobs, and what a blob in it costs.
///
/// Both generations of 0G's clients find their `submit`, and see its events and errors (0G wire,
/// 2.2 and 2.3). It differs from the contract they know where that one does harm:
///
/// - The fee is paid by the call's own value, and what is too much goes back.
/// - A submission does no work for epochs. It notes, in the slot that it writes anyway, how long
///   the row was when the epoch began, so whoever makes the context later gets the same one.
/// - SubmitBy names who sent a submission, beside the submitter that a caller can invent.
contract Flow is IFlow, Epochs {
    /// Heights of a submission's nodes lie this close to each other (0G wire, 1.5).
    uint256 private constant HEIGHTS_SPANNED = 4;

    /// Whether this deployment waits after it was made: it does not.
    uint256 public constant deployDelay = 0;

    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    FlowTree.Edge private _edge;

    using FlowTree for FlowTree.Edge;

    /// For a deployment outside of a genesis file: in the transaction that creates the contract,
    /// or somebody else calls it first. The caller becomes admin and may pause.
    function initialize(address market_, uint256 blocksPerEpoch_) external initializer {
        _setEpochs(market_, blocksPerEpoch_, block.number);
        _grantRole(DEFAULT_ADMIN_ROLE, msg.sender);
        _grantRole(PAUSER_ROLE, msg.sender);
    }

    /// Stops submissions and contexts.
    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// Lets them go on.
    function unpause() external onlyRole(PAUSER_ROLE) {
        _unpause();
    }

    /// Appends a blob in the name of `submission.submitter`.
    function submit(Submission calldata submission)
        external
        payable
        whenNotPaused
        launched
        returns (uint256 index, bytes32 digest, uint256 startIndex, uint256 length)
    {
        uint256 before = _tail().length;
        (index, digest, startIndex, length) = _append(submission.data, submission.submitter);
        _settle(before, length, startIndex - before);
    }

    /// Appends a blob in the name of the caller: the form of the older clients.
    function submit(SubmissionData calldata data)
        external
        payable
        whenNotPaused
        launched
        returns (uint256 index, bytes32 digest, uint256 startIndex, uint256 length)
    {
        uint256 before = _tail().length;
        (index, digest, startIndex, length) = _append(data, msg.sender);
        _settle(before, length, startIndex - before);
    }

    /// Appends blobs, in this order, for one payment.
    function batchSubmit(Submission[] calldata submissions)
        external
        payable
        whenNotPaused
        launched
        returns (
            uint256[] memory indexes,
            bytes32[] memory digests,
            uint256[] memory startIndexes,
            uint256[] memory lengths
        )
    {
        indexes = new uint256[](submissions.length);
        digests = new bytes32[](submissions.length);
        startIndexes = new uint256[](submissions.length);
        lengths = new uint256[](submissions.length);
        uint256 before = _tail().length;
        uint256 sectors;
        for (uint256 i = 0; i < submissions.length; ++i) {
            (indexes[i], digests[i], startIndexes[i], lengths[i]) =
                _append(submissions[i].data, submissions[i].submitter);
            sectors += lengths[i];
        }
        _settle(before, sectors, _tail().length - before - sectors);
    }

    /// Sectors in the row, and the height up to which its hashes are known: all of them always are.
    function tree() external view returns (uint256 currentLength, uint256 unstagedHeight) {
        currentLength = _tail().length;
        unstagedHeight = 1;
        while (1 << (unstagedHeight - 1) < currentLength) ++unstagedHeight;
    }

    /// Root over the row as it is.
    function computeFlowRoot() external view returns (bytes32) {
        return _edge.root(_tail().length, ZeroRoots.load());
    }

    function _append(SubmissionData calldata data, address submitter)
        private
        returns (uint256 index, bytes32 digest, uint256 start, uint256 sectors)
    {
        sectors = _validSectors(data, submitter);
        bytes memory zeros = ZeroRoots.load();
        Tail memory tail = _tailForAppend();
        uint256 alignment;
        (start, alignment) = FlowTree.place(tail.length, data.nodes[0].height, sectors);
        require(start + sectors < FlowTree.LENGTH_MAX, "Invalid submission");
        _edge.fill(tail.length, alignment, zeros);
        digest = _insertAll(data.nodes, start);

        index = tail.submissions;
        tail.length = uint64(start + sectors);
        tail.submissions = uint40(index + 1);
        _setTail(tail, _edge.root(start + sectors, zeros));
        emit Submit(submitter, digest, index, start, sectors, data);
        emit SubmitBy(index, msg.sender);
    }

    /// Inserts the nodes one after the other; returns the submission's identity.
    function _insertAll(SubmissionNode[] calldata nodes, uint256 position) private returns (bytes32) {
        bytes32[] memory roots = new bytes32[](nodes.length);
        for (uint256 i = 0; i < nodes.length; ++i) {
            roots[i] = nodes[i].root;
            _edge.insert(position, nodes[i].height, roots[i]);
            position += 1 << nodes[i].height;
        }
        return keccak256(abi.encodePacked(roots));
    }

    /// Sectors of a submission that keeps the rules (0G wire, 1.5): its nodes are those of exactly
    /// one padded length, and the bytes need that much padding and no more.
    function _validSectors(SubmissionData calldata data, address submitter) private pure returns (uint256 sectors) {
        uint256 count = data.nodes.length;
        require(submitter != address(0) && count > 0, "Invalid submission");
        uint256 first = data.nodes[0].height;
        require(first < ZeroRoots.HEIGHTS, "Invalid submission");
        sectors = 1 << first;
        for (uint256 i = 1; i < count; ++i) {
            uint256 height = data.nodes[i].height;
            require(height < data.nodes[i - 1].height && first - height < HEIGHTS_SPANNED, "Invalid submission");
            sectors += 1 << height;
        }
        require(data.length <= sectors * Shape.SECTOR_LEN, "Invalid submission");
        require(data.length > (sectors - _paddingUnit(sectors, first, count)) * Shape.SECTOR_LEN, "Invalid submission");
    }

    /// A blob of fewer sectors by this many would have been padded to less.
    function _paddingUnit(uint256 sectors, uint256 first, uint256 count) private pure returns (uint256) {
        if (sectors < 1 << HEIGHTS_SPANNED) return 1;
        return count == 1 ? sectors >> HEIGHTS_SPANNED : 1 << (first + 1 - HEIGHTS_SPANNED);
    }

    /// Pays for `sectors` and gives back the rest. Comes last: the caller's code runs in it.
    function _settle(uint256 before, uint256 sectors, uint256 gap) private {
        IMarket to = IMarket(market());
        uint256 price = to.pricePerSector();
        uint256 fee = price * sectors;
        if (msg.value < fee) revert NotEnoughFee(price, sectors, msg.value);
        to.chargeFee{value: fee}(before, sectors, gap);
        uint256 rest = msg.value - fee;
        if (rest == 0) return;
        (bool taken,) = msg.sender.call{value: rest}("");
        if (!taken) revert RefundRefused(rest);
    }
}
