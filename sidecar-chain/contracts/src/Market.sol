// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControlEnumerable} from "@openzeppelin/contracts/access/extensions/AccessControlEnumerable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IMarket} from "./IMarket.sol";

/// One price for every sector, and the purse into which fees go until they are passed on as
/// rewards. Its balance is what was charged and given, less what was passed on; it pays nobody else.
contract Market is IMarket, AccessControlEnumerable, Initializable {
    bytes32 public constant PARAMS_ADMIN_ROLE = keccak256("PARAMS_ADMIN_ROLE");

    /// Keeps price times sectors far from overflow: both factors are below 2^128.
    uint256 public constant PRICE_MAX = type(uint128).max;

    uint256 public pricePerSector;
    /// The two contracts that may charge.
    address public flow;
    address public anchors;
    /// Where fees go.
    address payable public rewards;

    event PriceSet(uint256 pricePerSector);
    event Collected(uint256 amount);

    error NotCharger(address caller);
    error WrongFee(uint256 fee, uint256 paid);
    error PriceTooHigh(uint256 price);
    error NothingToCollect();
    error CollectRefused(uint256 amount);

    /// For a deployment outside of a genesis file: in the transaction that creates the contract,
    /// or somebody else calls it first. The caller becomes admin and may set the price.
    function initialize(uint256 price, address flow_, address anchors_, address payable rewards_)
        external
        initializer
    {
        _grantRole(DEFAULT_ADMIN_ROLE, msg.sender);
        _grantRole(PARAMS_ADMIN_ROLE, msg.sender);
        _setPrice(price);
        flow = flow_;
        anchors = anchors_;
        rewards = rewards_;
    }

    /// What is given without being charged goes the same way.
    receive() external payable {}

    /// Sets wei for one sector; 0 makes storage free.
    function setPricePerSector(uint256 price) external onlyRole(PARAMS_ADMIN_ROLE) {
        _setPrice(price);
    }

    /// The value is the fee for `uploadSectors`, to the wei. Where they lie does not change it.
    function chargeFee(uint256, uint256 uploadSectors, uint256) external payable {
        if (msg.sender != flow && msg.sender != anchors) revert NotCharger(msg.sender);
        uint256 fee = uploadSectors * pricePerSector;
        if (msg.value != fee) revert WrongFee(fee, msg.value);
    }

    /// Passes all there is on to the rewards. Anybody may ask for it.
    function collect() external {
        uint256 amount = address(this).balance;
        if (amount == 0) revert NothingToCollect();
        (bool taken,) = rewards.call{value: amount}("");
        if (!taken) revert CollectRefused(amount);
        emit Collected(amount);
    }

    function _setPrice(uint256 price) private {
        if (price > PRICE_MAX) revert PriceTooHigh(price);
        pricePerSector = price;
        emit PriceSet(price);
    }
}
