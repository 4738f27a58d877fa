// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// The beacon, as far as others ask it.
interface IBeacon {
    function blocksPerSlot() external view returns (uint64);
    function isRecorded(uint64 slot) external view returns (bool);
    function randomOf(uint64 slot) external view returns (bytes32);
    function record() external;
    function recordHeader(bytes calldata header) external;
}
