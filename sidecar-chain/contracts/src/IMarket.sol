// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// What the flow and the anchors need of the market.
interface IMarket {
    /// Wei for one sector of 256 bytes.
    function pricePerSector() external view returns (uint256);

    /// Takes the fee for `uploadSectors` that follow `beforeLength` sectors and a gap of
    /// `paddingSectors`, which costs nothing. The value must be the exact fee.
    function chargeFee(uint256 beforeLength, uint256 uploadSectors, uint256 paddingSectors) external payable;
}
