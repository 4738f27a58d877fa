// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// What 0G's precompile at the same address answers, as far as it means something here: names, shapes and
/// selectors are its own. Its keys are points of BN254, ours of BLS12-381, which have no room in
/// these shapes: `pkG1` and `pkG2` are zeros, and DaSigners says the keys. `registerSigner` and `getAggPkG1`, whose
/// arguments or answers are such points and nothing else, are not there.
interface IDASigners {
    struct G1Point {
        uint256 X;
        uint256 Y;
    }

    struct G2Point {
        uint256[2] X;
        uint256[2] Y;
    }

    struct SignerDetail {
        address signer;
        string socket;
        G1Point pkG1;
        G2Point pkG2;
    }

    struct Params {
        uint256 tokensPerVote;
        uint256 maxVotesPerSigner;
        uint256 maxQuorums;
        uint256 epochBlocks;
        uint256 encodedSlices;
    }

    event SocketUpdated(address indexed signer, string socket);

    function params() external view returns (Params memory);
    function epochNumber() external view returns (uint256);
    function quorumCount(uint256 epoch) external view returns (uint256);
    function isSigner(address account) external view returns (bool);
    function getSigner(address[] memory accounts) external view returns (SignerDetail[] memory);
    function getQuorum(uint256 epoch, uint256 quorumId) external view returns (address[] memory);
    function getQuorumRow(uint256 epoch, uint256 quorumId, uint32 rowIndex) external view returns (address);
    function updateSocket(string memory socket) external;
    function registeredEpoch(address account, uint256 epoch) external view returns (bool);
    function registerNextEpoch(G1Point memory signature) external;
    function makeEpoch() external;
}
