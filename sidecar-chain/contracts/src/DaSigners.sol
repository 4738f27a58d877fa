// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Bls} from "./Bls.sol";
import {DaDraw} from "./DaDraw.sol";
import {DaTree} from "./DaTree.sol";
import {IBeacon} from "./IBeacon.sol";
import {IDASigners} from "./IDASigners.sol";

/// Who holds rows of data availability: stakes, keys, and the quorum of each epoch.
///
///   epoch c        c + 1          c + 2
///   fixed          fixed          takes what is bonded and unbonded during c
///
/// Stakes count as in Committee. With an epoch's first block the beacon's slot is known that the quorum
/// is drawn by, and it began after the stakes were fixed: then anybody makes the quorum, once. What is kept
/// of it is the hash of its committee (SPEC of lode-proofs, [D-31] to [D-36]) and, in the code of an account of
/// its own, the committee and who sits in it: an epoch that nobody makes has no quorum, and nothing waits
/// for it.
///
/// A key is registered with a proof that its secret is known [D-28]: without that, a key made from others'
/// keys would sign for all. Records of holders that left stay, so that old quorums can be read.
///
/// What 0G's clients ask is answered as theirs does (IDASigners).
contract DaSigners is Initializable, IDASigners {
    /// Epochs between a change and its effect.
    uint64 public constant LEAD = 2;
    uint256 public constant SOCKET_MAX = 128;
    /// The one quorum of an epoch.
    uint32 public constant QUORUM = 0;

    /// Bytes of a seat in the code that is kept: number of the holder 4, rows 2, stake 14.
    uint256 private constant KEPT_LEN = 20;
    /// Bytes of a committee, and where its draw, number of seats and sum of keys begin.
    uint256 private constant COMMITTEE_LEN = 342;
    uint256 private constant DRAW_AT = 20;
    uint256 private constant SEATS_AT = 52;

    struct Holder {
        address owner;
        /// Stake in the epoch `since`, in the one after it, and in all later ones.
        uint64 since;
        /// Place among those that are registered, from 1; 0 if it has left.
        uint32 place;
        uint128 stake;
        uint128 stakeNext;
        uint128 stakeLater;
        /// Stake on its way out, and the epoch from which it can be had.
        uint128 leaving;
        uint64 leavesAt;
        /// Ed25519 public key, under which it is found.
        bytes32 peerKey;
        /// Point of G2 as EIP-2537 has it.
        bytes key;
        /// Host and port.
        string socket;
    }

    struct Seat {
        address owner;
        bytes key;
        bytes32 peerKey;
        string socket;
        uint128 stake;
        uint16 rows;
    }

    struct Made {
        bytes32 hash;
        address table;
    }

    uint64 public blocksPerEpoch;
    /// Epochs from unbonding to withdrawal, more than LEAD.
    uint64 public unbondEpochs;
    uint128 public stakeMin;
    IBeacon public beacon;
    /// Epoch of the newest quorum, plus one.
    uint64 private _newest;

    /// Holders by number, from 1; they keep it when others leave.
    mapping(uint256 number => Holder) private _holders;
    uint32 public registrations;
    uint32[] private _listed;
    mapping(address owner => uint256) public numberOf;
    mapping(bytes32 keyHash => uint256) private _numberOfKey;
    mapping(uint256 epoch => Made) private _made;

    event Registered(address indexed owner, uint256 indexed number, bytes key, bytes32 peerKey, string socket);
    event PeerKeyUpdated(address indexed owner, bytes32 peerKey);
    event StakeChanged(address indexed owner, uint128 stake, uint64 fromEpoch);
    event Unbonding(address indexed owner, uint128 amount, uint64 leavesAt);
    event Withdrawn(address indexed owner, uint256 amount);
    event Removed(address indexed owner, uint256 indexed number);
    event QuorumMade(uint64 indexed epoch, bytes32 hash, bytes32 draw, uint256 seats);

    error WrongSettings();
    error AlreadyRegistered(address owner);
    error KeyTaken(bytes32 keyHash);
    error NoPeerKey();
    error WrongSocket(uint256 length);
    error NotPossessed();
    error TooManyHolders();
    error NotRegistered(address owner);
    error StakeTooSmall(uint256 stake, uint256 stakeMin);
    error NotEnoughStake(uint256 stake, uint256 asked);
    error StakeTooLarge();
    error StillLeaving(uint64 leavesAt, uint64 epoch);
    error NothingToWithdraw();
    error WithdrawRefused(uint256 amount);
    error NoQuorum(uint256 epoch, uint256 quorum);
    error NoRow(uint256 row);

    /// For a deployment outside of a genesis file: in the transaction that creates the contract, or
    /// somebody else calls it first.
    function initialize(uint64 blocksPerEpoch_, uint64 unbondEpochs_, uint128 stakeMin_, IBeacon beacon_)
        external
        initializer
    {
        // Stakes of an epoch are fixed when the one before it begins; so must its slot not have.
        if (blocksPerEpoch_ == 0 || blocksPerEpoch_ < beacon_.blocksPerSlot()) revert WrongSettings();
        if (unbondEpochs_ <= LEAD || stakeMin_ == 0) revert WrongSettings();
        (blocksPerEpoch, unbondEpochs, stakeMin) = (blocksPerEpoch_, unbondEpochs_, stakeMin_);
        beacon = beacon_;
    }

    /// Registers the caller with the value as its stake.
    /// @param key point of G2, 256 bytes
    /// @param possession signature by it on its compressed form, a point of G1, 128 bytes
    function register(bytes calldata key, bytes calldata possession, bytes32 peerKey, string calldata socket)
        external
        payable
    {
        if (numberOf[msg.sender] != 0) revert AlreadyRegistered(msg.sender);
        bytes32 keyHash = keccak256(key);
        if (_numberOfKey[keyHash] != 0) revert KeyTaken(keyHash);
        if (_listed.length >= DaDraw.HOLDERS_MAX) revert TooManyHolders();
        if (peerKey == 0) revert NoPeerKey();
        _checkSocket(socket);
        if (key.length != Bls.G2_LEN) revert NotPossessed();
        if (!Bls.isSigned(key, possession, Bls.compressG2(key), Bls.POSSESSION_TAG)) revert NotPossessed();
        uint32 number = ++registrations;
        _listed.push(number);
        (numberOf[msg.sender], _numberOfKey[keyHash]) = (number, number);
        Holder storage holder = _holders[number];
        (holder.owner, holder.place) = (msg.sender, uint32(_listed.length));
        (holder.key, holder.peerKey, holder.socket) = (key, peerKey, socket);
        emit Registered(msg.sender, number, key, peerKey, socket);
        _setStake(holder, msg.value);
    }

    /// Adds the value to the caller's stake.
    function bond() external payable {
        Holder storage holder = _registered(msg.sender);
        _setStake(holder, holder.stakeLater + msg.value);
    }

    /// Takes from the caller's stake; what is left is 0 or at least the minimum. A second call before a
    /// withdrawal lets the first amount wait as long as the second.
    function unbond(uint128 amount) external {
        Holder storage holder = _registered(msg.sender);
        uint128 staked = holder.stakeLater;
        if (amount == 0 || amount > staked) revert NotEnoughStake(staked, amount);
        holder.leaving += amount;
        holder.leavesAt = epoch() + unbondEpochs;
        emit Unbonding(msg.sender, amount, holder.leavesAt);
        if (amount == staked) _store(holder, 0);
        else _setStake(holder, staked - amount);
    }

    /// Pays out what has left. A holder without stake is taken off the list with it.
    function withdraw() external {
        Holder storage holder = _registered(msg.sender);
        uint256 amount = holder.leaving;
        if (amount == 0) revert NothingToWithdraw();
        if (epoch() < holder.leavesAt) revert StillLeaving(holder.leavesAt, epoch());
        holder.leaving = 0;
        if (holder.stakeLater == 0) _remove(holder);
        emit Withdrawn(msg.sender, amount);
        (bool taken,) = msg.sender.call{value: amount}("");
        if (!taken) revert WithdrawRefused(amount);
    }

    /// Says where the caller can be reached.
    function updateSocket(string calldata socket) external {
        Holder storage holder = _registered(msg.sender);
        _checkSocket(socket);
        holder.socket = socket;
        emit SocketUpdated(msg.sender, socket);
    }

    /// Says under which key the caller is found.
    function updatePeerKey(bytes32 peerKey) external {
        if (peerKey == 0) revert NoPeerKey();
        _registered(msg.sender).peerKey = peerKey;
        emit PeerKeyUpdated(msg.sender, peerKey);
    }

    /// Nothing to do: a stake counts in all epochs until it leaves.
    function registerNextEpoch(G1Point calldata) external view {
        _registered(msg.sender);
    }

    /// Makes this epoch's quorum, unless it was made. The beacon's value must be recorded, or be that of
    /// this block.
    function makeEpoch() external {
        _make();
    }

    /// The same, with the header of the block that the beacon's value is in.
    function makeEpochWith(bytes calldata header) external {
        beacon.recordHeader(header);
        _make();
    }

    /// The epoch of this block.
    function epoch() public view returns (uint64) {
        return uint64(block.number / blocksPerEpoch);
    }

    /// The slot of the beacon that an epoch's quorum is drawn by: the one that its first block is in.
    function slotOf(uint64 asked) public view returns (uint64) {
        return asked * blocksPerEpoch / beacon.blocksPerSlot();
    }

    /// The hash of a quorum's committee; zero if it was not made.
    function committeeHash(uint256 asked, uint256 quorum) external view returns (bytes32) {
        return quorum == QUORUM ? _made[asked].hash : bytes32(0);
    }

    /// Everything about a quorum that was made: its committee, whose SHA-256 with its tag is its hash, and
    /// the seats in their order, with addresses as they are now.
    function committee(uint256 asked, uint256 quorum) external view returns (bytes memory, Seat[] memory seats) {
        bytes memory kept = _read(asked, quorum);
        seats = new Seat[](_seats(kept));
        for (uint256 seat = 0; seat < seats.length; ++seat) {
            (Holder storage holder, uint256 rows, uint256 stake) = _seat(kept, seat);
            seats[seat] = Seat(
                holder.owner, holder.key, holder.peerKey, holder.socket, uint128(stake), uint16(rows)
            );
        }
        assembly ("memory-safe") {
            mstore(kept, COMMITTEE_LEN)
        }
        return (kept, seats);
    }

    /// Everything about one holder, by its number.
    function holderOf(uint256 number) external view returns (Holder memory) {
        return _holders[number];
    }

    /// A holder's stake in an epoch: this one or one of the next two.
    function stakeIn(uint256 number, uint64 asked) external view returns (uint128) {
        uint64 current = epoch();
        if (asked < current || asked > current + LEAD) revert NoQuorum(asked, QUORUM);
        return _stakeIn(_holders[number], asked);
    }

    /// Numbers of all that are registered, in the order in which quorums are drawn from them.
    function listed() external view returns (uint32[] memory) {
        return _listed;
    }

    /// In 0G's words: a vote is the least stake, and no signer has more votes than there are rows.
    function params() external view returns (Params memory) {
        return Params(stakeMin, DaDraw.ROWS, 1, blocksPerEpoch, DaDraw.ROWS);
    }

    /// The newest epoch that has a quorum; 0 if none has.
    function epochNumber() external view returns (uint256) {
        return _newest == 0 ? 0 : _newest - 1;
    }

    /// 1 if the epoch's quorum was made, else 0.
    function quorumCount(uint256 asked) external view returns (uint256) {
        return _made[asked].hash == 0 ? 0 : 1;
    }

    function isSigner(address account) external view returns (bool) {
        return numberOf[account] != 0;
    }

    /// Addresses of signers; the keys are zeros.
    function getSigner(address[] calldata accounts) external view returns (SignerDetail[] memory details) {
        details = new SignerDetail[](accounts.length);
        for (uint256 i = 0; i < accounts.length; ++i) {
            (details[i].signer, details[i].socket) = (accounts[i], _registered(accounts[i]).socket);
        }
    }

    /// Whose each row is, from row 0 on.
    function getQuorum(uint256 asked, uint256 quorum) external view returns (address[] memory owners) {
        bytes memory kept = _read(asked, quorum);
        bytes32 drawn = _draw(kept);
        owners = new address[](DaDraw.ROWS);
        uint256 slot;
        for (uint256 seat = 0; seat < _seats(kept); ++seat) {
            (Holder storage holder, uint256 rows,) = _seat(kept, seat);
            address owner = holder.owner;
            for (uint256 end = slot + rows; slot < end; ++slot) owners[DaDraw.rowOf(drawn, slot)] = owner;
        }
    }

    /// Whose a row is.
    function getQuorumRow(uint256 asked, uint256 quorum, uint32 row) external view returns (address owner) {
        if (row >= DaDraw.ROWS) revert NoRow(row);
        bytes memory kept = _read(asked, quorum);
        uint256 slot = DaDraw.slotOf(_draw(kept), row);
        uint256 end;
        for (uint256 seat = 0; slot >= end; ++seat) {
            (Holder storage holder, uint256 rows,) = _seat(kept, seat);
            end += rows;
            owner = holder.owner;
        }
    }

    /// Whether an account has a seat in an epoch's quorum, or, as long as that is not made and known, a
    /// stake in the epoch.
    function registeredEpoch(address account, uint256 asked) external view returns (bool) {
        if (_made[asked].hash == 0) {
            uint64 current = epoch();
            if (asked < current || asked > current + LEAD) return false;
            return _stakeIn(_holders[numberOf[account]], uint64(asked)) != 0;
        }
        bytes memory kept = _read(asked, QUORUM);
        for (uint256 seat = 0; seat < _seats(kept); ++seat) {
            (Holder storage holder,,) = _seat(kept, seat);
            if (holder.owner == account) return true;
        }
        return false;
    }

    function _make() private {
        uint64 current = epoch();
        if (_made[current].hash != 0) return;
        uint64 slot = slotOf(current);
        if (!beacon.isRecorded(slot) && block.number == uint256(slot) * beacon.blocksPerSlot()) beacon.record();
        bytes32 drawn = DaDraw.draw(beacon.randomOf(slot), current, QUORUM);
        uint256[] memory stakes = new uint256[](_listed.length);
        for (uint256 i = 0; i < stakes.length; ++i) stakes[i] = _stakeIn(_holders[_listed[i]], current);
        bytes memory kept = _seated(current, drawn, DaDraw.rowsOf(drawn, stakes), stakes);
        bytes32 hash = _hash(kept);
        _made[current] = Made(hash, _write(kept));
        _newest = current + 1;
        emit QuorumMade(current, hash, drawn, _seats(kept));
    }

    /// The committee of those who have rows, and behind it who they are.
    function _seated(uint64 current, bytes32 drawn, uint256[] memory rows, uint256[] memory stakes)
        private
        view
        returns (bytes memory)
    {
        uint256 seats;
        for (uint256 i = 0; i < rows.length; ++i) if (rows[i] != 0) ++seats;
        bytes32[] memory leaves = new bytes32[](seats);
        bytes memory kept = new bytes(seats * KEPT_LEN);
        bytes memory sum = new bytes(Bls.G2_LEN);
        uint256 seat;
        for (uint256 i = 0; i < rows.length; ++i) {
            if (rows[i] == 0) continue;
            uint32 number = _listed[i];
            bytes memory key = _holders[number].key;
            // Keys were seen to be points, and so is every sum of them.
            (, sum) = Bls.add(sum, key);
            leaves[seat] = DaTree.leaf(abi.encodePacked(key, uint16(rows[i])));
            _put(kept, seat++ * KEPT_LEN, abi.encodePacked(number, uint16(rows[i]), uint112(stakes[i])));
        }
        bytes memory quorum = abi.encodePacked(uint64(block.chainid), current, QUORUM);
        return abi.encodePacked(quorum, drawn, uint16(seats), sum, DaTree.rootOf(leaves), kept);
    }

    /// The hash of the committee that what is kept begins with.
    function _hash(bytes memory kept) private pure returns (bytes32) {
        bytes memory tagged = abi.encodePacked("lode/da/1 committee", kept);
        assembly ("memory-safe") {
            mstore(tagged, add(COMMITTEE_LEN, 19))
        }
        return sha256(tagged);
    }

    /// Keeps bytes as the code of an account: a fifth of what slots cost, and read at once. The first
    /// byte stops whoever calls it.
    function _write(bytes memory content) private returns (address account) {
        // PUSH3 length, DUP1, PUSH1 11, PUSH0, CODECOPY, PUSH0, RETURN: returns what follows.
        bytes memory code = abi.encodePacked(hex"62", uint24(content.length + 1), hex"80600b5f395ff300", content);
        assembly ("memory-safe") {
            account := create(0, add(code, 32), mload(code))
        }
        assert(account != address(0));
    }

    function _read(uint256 asked, uint256 quorum) private view returns (bytes memory content) {
        address table = _made[asked].table;
        if (quorum != QUORUM || table == address(0)) revert NoQuorum(asked, quorum);
        content = new bytes(table.code.length - 1);
        assembly ("memory-safe") {
            extcodecopy(table, add(content, 32), 1, mload(content))
        }
    }

    function _seats(bytes memory kept) private pure returns (uint256) {
        return uint16(bytes2(_word(kept, SEATS_AT)));
    }

    function _draw(bytes memory kept) private pure returns (bytes32) {
        return _word(kept, DRAW_AT);
    }

    function _seat(bytes memory kept, uint256 seat)
        private
        view
        returns (Holder storage holder, uint256 rows, uint256 stake)
    {
        uint256 word = uint256(_word(kept, COMMITTEE_LEN + seat * KEPT_LEN));
        holder = _holders[word >> 224];
        (rows, stake) = (uint16(word >> 208), uint112(word >> 96));
    }

    function _word(bytes memory source, uint256 offset) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(source, 32), offset))
        }
    }

    /// Copies a seat to its place.
    function _put(bytes memory target, uint256 offset, bytes memory seat) private pure {
        assembly ("memory-safe") {
            mcopy(add(add(target, 32), offset), add(seat, 32), KEPT_LEN)
        }
    }

    function _setStake(Holder storage holder, uint256 stake) private {
        if (stake < stakeMin) revert StakeTooSmall(stake, stakeMin);
        // What is here is all stakes and more: no quorum's can add up to what cannot be drawn by.
        if (address(this).balance >= DaDraw.STAKES_END) revert StakeTooLarge();
        _store(holder, uint128(stake));
    }

    /// Brings the three stakes to this epoch, and sets the last.
    function _store(Holder storage holder, uint128 stake) private {
        uint64 current = epoch();
        (uint128 now_, uint128 next) = (_stakeIn(holder, current), _stakeIn(holder, current + 1));
        (holder.stake, holder.stakeNext, holder.stakeLater) = (now_, next, stake);
        holder.since = current;
        emit StakeChanged(msg.sender, stake, current + LEAD);
    }

    function _stakeIn(Holder storage holder, uint64 asked) private view returns (uint128) {
        uint64 since = holder.since;
        if (asked >= since + LEAD) return holder.stakeLater;
        return asked == since ? holder.stake : holder.stakeNext;
    }

    /// The last of the list takes the place. All its stakes are zero: more than LEAD epochs passed.
    function _remove(Holder storage holder) private {
        uint256 number = numberOf[msg.sender];
        uint32 last = _listed[_listed.length - 1];
        _listed[holder.place - 1] = last;
        _holders[last].place = holder.place;
        _listed.pop();
        holder.place = 0;
        delete numberOf[msg.sender];
        delete _numberOfKey[keccak256(holder.key)];
        emit Removed(msg.sender, number);
    }

    function _registered(address owner) private view returns (Holder storage holder) {
        uint256 number = numberOf[owner];
        if (number == 0) revert NotRegistered(owner);
        holder = _holders[number];
    }

    function _checkSocket(string calldata socket) private pure {
        uint256 length = bytes(socket).length;
        if (length == 0 || length > SOCKET_MAX) revert WrongSocket(length);
    }
}
