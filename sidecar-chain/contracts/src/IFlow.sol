// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// A perfect subtree of a blob's tree. `height` is log2 of the sectors under it.
struct SubmissionNode {
    bytes32 root;
    uint256 height;
}

/// What is known of a blob: its length in bytes, free tags, and its subtrees from left to right.
struct SubmissionData {
    uint256 length;
    bytes tags;
    SubmissionNode[] nodes;
}

/// The form of the newer clients, who name a submitter. Nobody checks that name.
struct Submission {
    SubmissionData data;
    address submitter;
}

/// What a miner works on: the flow as it stood when an epoch began.
struct MineContext {
    uint256 epoch;
    uint256 mineStart;
    bytes32 flowRoot;
    uint256 flowLength;
    bytes32 blockDigest;
    bytes32 digest;
}

/// Positions, in sectors, that were appended during an epoch; `end` is exclusive.
struct EpochRange {
    uint128 start;
    uint128 end;
}

/// The same with the digest of the context that closed the range.
struct EpochRangeWithContextDigest {
    uint128 start;
    uint128 end;
    bytes32 digest;
}

/// Events and errors of the flow (0G wire, 2.2 and 2.3).
interface IFlow {
    /// A blob was appended. `sender` is whom the caller named, see SubmitBy for who called;
    /// `length` is in sectors, that of `submission` in bytes.
    event Submit(
        address indexed sender,
        bytes32 indexed identity,
        uint256 submissionIndex,
        uint256 startPos,
        uint256 length,
        SubmissionData submission
    );

    /// Who really sent the submission that the Submit before it tells of. Authorise by this one.
    event SubmitBy(uint256 indexed submissionIndex, address indexed caller);

    /// A context was made.
    event NewEpoch(
        address indexed sender,
        uint256 indexed index,
        bytes32 startMerkleRoot,
        uint256 submissionIndex,
        uint256 flowLength,
        bytes32 context
    );

    /// The call paid less than `price` for each of `amount` sectors.
    error NotEnoughFee(uint256 price, uint256 amount, uint256 paid);
    /// The caller does not take back what it paid too much.
    error RefundRefused(uint256 amount);
}
