// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {AnchorNode, AnchorTree, Entry} from "./AnchorTree.sol";
import {IMarket} from "./IMarket.sol";

/// The batch lane: one call settles as many blobs as a tree has leaves, and pays for all of them.
///
/// A poster, usually a storage node, states the root over its entries, how many there are and how
/// many sectors they take. What it pays is right for every entry that can ever be proven, because
/// the tree sums its sectors (see AnchorTree). So the chain needs no entry, and the call costs the
/// same for one blob as for a million.
///
/// Entries are not published in calldata. Ten thousand of them are 680 kB, which costs some 27
/// million gas (EIP-7623) and fits no transaction (EIP-7825); and it would add nothing: the root
/// fixes them all, whoever holds them proves each in 20 hashes, and the data plane, which has to
/// keep the blobs anyway, keeps them. An auditor fetches them there and folds them to the root.
///
/// The same root settles once per poster, and each call carries the poster's next nonce, so that a
/// call that is sent twice counts once. Nobody else's call changes what a poster can settle.
contract Anchors is Initializable {
    /// Entries of an anchor: 2^20.
    uint32 public constant COUNT_MAX = 1 << 20;

    /// An anchor, in one slot.
    struct Record {
        /// Number among all anchors, from 0.
        uint64 index;
        uint32 count;
        uint64 sectors;
        uint64 blockNumber;
    }

    struct Account {
        uint128 deposit;
        uint64 nonce;
    }

    address public market;
    /// Anchors so far.
    uint64 public count;

    mapping(address poster => Account) private _accounts;
    mapping(bytes32 key => Record) private _records;

    event Anchored(
        address indexed poster,
        bytes32 indexed root,
        uint64 index,
        uint64 nonce,
        uint32 count,
        uint64 sectors,
        uint256 fee
    );
    event Deposited(address indexed poster, uint256 amount);
    event Withdrawn(address indexed poster, uint256 amount);

    error WrongNonce(uint64 expected, uint64 found);
    error AlreadyAnchored(address poster, bytes32 root);
    error WrongCount(uint32 count);
    error NoSectors();
    /// Deposit and value together do not pay `price` for each of `amount` sectors.
    error NotEnoughFee(uint256 price, uint256 amount, uint256 paid);
    error NotEnoughDeposit(uint256 deposit, uint256 asked);
    error DepositTooLarge();
    error WithdrawRefused(uint256 amount);

    /// For a deployment outside of a genesis file: in the transaction that creates the contract,
    /// or somebody else calls it first.
    function initialize(address market_) external initializer {
        market = market_;
    }

    /// Settles the entries under `root`. Value is added to the deposit, from which the fee goes.
    /// @param nonce the caller's anchors so far
    /// @return index number of the anchor
    function anchor(bytes32 root, uint32 entries, uint64 sectors, uint64 nonce)
        external
        payable
        returns (uint64 index)
    {
        if (entries == 0 || entries > COUNT_MAX) revert WrongCount(entries);
        if (sectors == 0) revert NoSectors();
        Account memory account = _accounts[msg.sender];
        if (nonce != account.nonce) revert WrongNonce(account.nonce, nonce);
        Record storage record = _records[_key(msg.sender, root)];
        if (record.count != 0) revert AlreadyAnchored(msg.sender, root);

        IMarket to = IMarket(market);
        uint256 price = to.pricePerSector();
        uint256 fee = price * sectors;
        uint256 funds = account.deposit + msg.value;
        if (funds < fee) revert NotEnoughFee(price, sectors, funds);
        _accounts[msg.sender] = Account(_amount(funds - fee), nonce + 1);
        index = count;
        count = index + 1;
        (record.index, record.count, record.sectors, record.blockNumber) =
            (index, entries, sectors, uint64(block.number));
        emit Anchored(msg.sender, root, index, nonce, entries, sectors, fee);
        to.chargeFee{value: fee}(0, sectors, 0);
    }

    /// Adds the value to a poster's deposit.
    function deposit(address poster) external payable {
        Account storage account = _accounts[poster];
        account.deposit = _amount(account.deposit + msg.value);
        emit Deposited(poster, msg.value);
    }

    /// Takes back from the caller's deposit.
    function withdraw(uint256 amount) external {
        Account storage account = _accounts[msg.sender];
        uint256 left = account.deposit;
        if (left < amount) revert NotEnoughDeposit(left, amount);
        account.deposit = uint128(left - amount);
        emit Withdrawn(msg.sender, amount);
        (bool taken,) = msg.sender.call{value: amount}("");
        if (!taken) revert WithdrawRefused(amount);
    }

    /// What a poster has paid in and not used, in wei.
    function depositOf(address poster) external view returns (uint256) {
        return _accounts[poster].deposit;
    }

    /// The nonce of a poster's next anchor.
    function nonceOf(address poster) external view returns (uint64) {
        return _accounts[poster].nonce;
    }

    /// What was settled under a root; a count of 0 means nothing.
    function recordOf(address poster, bytes32 root) external view returns (Record memory) {
        return _records[_key(poster, root)];
    }

    /// Whether `entry` is number `place` of those that a poster settled under `root`.
    function verifyEntry(
        address poster,
        bytes32 root,
        uint32 place,
        Entry memory entry,
        AnchorNode[] memory siblings
    ) external view returns (bool) {
        Record memory record = _records[_key(poster, root)];
        if (place >= record.count || entry.size == 0) return false;
        (AnchorNode memory top, bool complete) =
            AnchorTree.climb(AnchorTree.leaf(entry), place, record.count, siblings);
        return complete && top.hash == root && top.sectors == record.sectors;
    }

    /// A poster's roots are its own: the same root by somebody else is another anchor.
    function _key(address poster, bytes32 root) private pure returns (bytes32) {
        return keccak256(abi.encode(poster, root));
    }

    function _amount(uint256 amount) private pure returns (uint128) {
        if (amount > type(uint128).max) revert DepositTooLarge();
        return uint128(amount);
    }
}
