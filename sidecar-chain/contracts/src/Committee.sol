// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";

/// Who validates: stakes, and the committee of each epoch that follows from them.
///
///   epoch c        c + 1          c + 2
///   fixed          fixed          takes what is bonded and unbonded during c
///
/// Epochs are runs of blocks. A change of stake counts from the second epoch after it, so during an
/// epoch the next committee is fixed and can share its key. Stake that leaves is paid out some
/// epochs after it was unbonded, to whoever asks for his own.
///
/// The contract holds exactly the stakes and what is leaving. It cannot check that a validator has
/// the secret of its key: a seat taken with somebody else's key is a seat that does not vote, paid
/// for by stake.
contract Committee is Initializable {
    /// Epochs between a change and its effect.
    uint64 public constant LEAD = 2;
    /// Bounds of what `committee` reads and returns.
    uint256 public constant VALIDATORS_MAX = 256;
    uint256 public constant SEATS_MAX = 128;
    uint256 public constant ENDPOINT_MAX = 128;

    struct Validator {
        /// Ed25519 public key that signs in consensus.
        bytes32 key;
        /// Stake in the epoch `since`, in the one after it, and in all later ones.
        uint128 stake;
        uint128 stakeNext;
        uint128 stakeLater;
        uint64 since;
        /// Place in the list, from 1.
        uint64 place;
        /// Stake on its way out, and the epoch from which it can be had.
        uint128 leaving;
        uint64 leavesAt;
        /// Host and port.
        string endpoint;
    }

    struct Member {
        address owner;
        bytes32 key;
        uint128 stake;
        string endpoint;
    }

    uint64 public blocksPerEpoch;
    /// Epochs from unbonding to withdrawal, more than LEAD.
    uint64 public unbondEpochs;
    /// Members of a committee, at most.
    uint64 public seats;
    uint128 public stakeMin;

    address[] private _owners;
    mapping(address owner => Validator) private _validators;
    mapping(bytes32 key => address) private _ownerOf;

    event Registered(address indexed owner, bytes32 indexed key, string endpoint);
    event EndpointSet(address indexed owner, string endpoint);
    event StakeChanged(address indexed owner, uint128 stake, uint64 fromEpoch);
    event Unbonding(address indexed owner, uint128 amount, uint64 leavesAt);
    event Withdrawn(address indexed owner, uint256 amount);
    event Removed(address indexed owner, bytes32 indexed key);

    error WrongSettings();
    error AlreadyRegistered(address owner);
    error KeyTaken(bytes32 key);
    error NoKey();
    error WrongEndpoint(uint256 length);
    error TooManyValidators();
    error NotRegistered(address owner);
    error StakeTooSmall(uint256 stake, uint256 stakeMin);
    error NotEnoughStake(uint256 stake, uint256 asked);
    error StakeTooLarge();
    error StillLeaving(uint64 leavesAt, uint64 epoch);
    error NothingToWithdraw();
    error WithdrawRefused(uint256 amount);
    error EpochOutOfReach(uint64 asked, uint64 epoch);

    /// For a deployment outside of a genesis file: in the transaction that creates the contract,
    /// or somebody else calls it first.
    function initialize(uint64 blocksPerEpoch_, uint64 unbondEpochs_, uint64 seats_, uint128 stakeMin_)
        external
        initializer
    {
        if (blocksPerEpoch_ == 0 || unbondEpochs_ <= LEAD || stakeMin_ == 0) revert WrongSettings();
        if (seats_ == 0 || seats_ > SEATS_MAX) revert WrongSettings();
        (blocksPerEpoch, unbondEpochs, seats, stakeMin) = (blocksPerEpoch_, unbondEpochs_, seats_, stakeMin_);
    }

    /// Registers the caller with the value as its stake.
    function register(bytes32 key, string calldata endpoint) external payable {
        Validator storage validator = _validators[msg.sender];
        if (validator.place != 0) revert AlreadyRegistered(msg.sender);
        if (key == 0) revert NoKey();
        if (_ownerOf[key] != address(0)) revert KeyTaken(key);
        if (_owners.length >= VALIDATORS_MAX) revert TooManyValidators();
        _checkEndpoint(endpoint);
        _owners.push(msg.sender);
        _ownerOf[key] = msg.sender;
        (validator.key, validator.endpoint) = (key, endpoint);
        validator.place = uint64(_owners.length);
        emit Registered(msg.sender, key, endpoint);
        _setStake(validator, msg.value);
    }

    /// Adds the value to the caller's stake.
    function bond() external payable {
        Validator storage validator = _registered(msg.sender);
        _setStake(validator, validator.stakeLater + msg.value);
    }

    /// Takes from the caller's stake; what is left is 0 or at least the minimum. A second call
    /// before a withdrawal lets the first amount wait as long as the second.
    function unbond(uint128 amount) external {
        Validator storage validator = _registered(msg.sender);
        uint128 staked = validator.stakeLater;
        if (amount == 0 || amount > staked) revert NotEnoughStake(staked, amount);
        validator.leaving += amount;
        validator.leavesAt = epoch() + unbondEpochs;
        emit Unbonding(msg.sender, amount, validator.leavesAt);
        if (amount == staked) _store(validator, 0);
        else _setStake(validator, staked - amount);
    }

    /// Pays out what has left. A validator without stake is forgotten with it.
    function withdraw() external {
        Validator storage validator = _registered(msg.sender);
        uint256 amount = validator.leaving;
        if (amount == 0) revert NothingToWithdraw();
        if (epoch() < validator.leavesAt) revert StillLeaving(validator.leavesAt, epoch());
        validator.leaving = 0;
        if (validator.stakeLater == 0) _remove(validator);
        emit Withdrawn(msg.sender, amount);
        (bool taken,) = msg.sender.call{value: amount}("");
        if (!taken) revert WithdrawRefused(amount);
    }

    /// Says where the caller can be reached.
    function setEndpoint(string calldata endpoint) external {
        Validator storage validator = _registered(msg.sender);
        _checkEndpoint(endpoint);
        validator.endpoint = endpoint;
        emit EndpointSet(msg.sender, endpoint);
    }

    /// The epoch of this block.
    function epoch() public view returns (uint64) {
        return uint64(block.number / blocksPerEpoch);
    }

    /// The committee of an epoch: the largest stakes, the larger first, of equal ones the smaller
    /// key. Known for this epoch and the next; for the one after as things stand. May be empty.
    function committee(uint64 asked) external view returns (Member[] memory members) {
        uint64 current = epoch();
        if (asked < current || asked > current + LEAD) revert EpochOutOfReach(asked, current);
        Member[] memory found = new Member[](_owners.length);
        uint256 count;
        for (uint256 i = 0; i < _owners.length; ++i) {
            Validator storage validator = _validators[_owners[i]];
            uint128 staked = _stakeIn(validator, asked);
            if (staked == 0) continue;
            found[count++] = Member(_owners[i], validator.key, staked, validator.endpoint);
        }
        members = new Member[](count < seats ? count : seats);
        for (uint256 seat = 0; seat < members.length; ++seat) {
            uint256 best = seat;
            for (uint256 i = seat + 1; i < count; ++i) {
                if (_isBefore(found[i], found[best])) best = i;
            }
            (found[seat], found[best]) = (found[best], found[seat]);
            members[seat] = found[seat];
        }
    }

    /// Everything about one validator; place 0 means that it is not registered.
    function validatorOf(address owner) external view returns (Validator memory) {
        return _validators[owner];
    }

    /// The validator with that key; zero if there is none.
    function ownerOf(bytes32 key) external view returns (address) {
        return _ownerOf[key];
    }

    /// All registered validators.
    function owners() external view returns (address[] memory) {
        return _owners;
    }

    function _setStake(Validator storage validator, uint256 stake) private {
        if (stake < stakeMin) revert StakeTooSmall(stake, stakeMin);
        if (stake > type(uint128).max) revert StakeTooLarge();
        _store(validator, uint128(stake));
    }

    /// Brings the three stakes to this epoch, and sets the last.
    function _store(Validator storage validator, uint128 stake) private {
        uint64 current = epoch();
        (uint128 now_, uint128 next) = (_stakeIn(validator, current), _stakeIn(validator, current + 1));
        (validator.stake, validator.stakeNext, validator.stakeLater) = (now_, next, stake);
        validator.since = current;
        emit StakeChanged(msg.sender, stake, current + LEAD);
    }

    function _stakeIn(Validator storage validator, uint64 asked) private view returns (uint128) {
        uint64 since = validator.since;
        if (asked >= since + LEAD) return validator.stakeLater;
        return asked == since ? validator.stake : validator.stakeNext;
    }

    /// The last of the list takes the place. All its stakes are zero: more than LEAD epochs passed.
    function _remove(Validator storage validator) private {
        address last = _owners[_owners.length - 1];
        _owners[validator.place - 1] = last;
        _validators[last].place = validator.place;
        _owners.pop();
        emit Removed(msg.sender, validator.key);
        delete _ownerOf[validator.key];
        delete _validators[msg.sender];
    }

    function _registered(address owner) private view returns (Validator storage validator) {
        validator = _validators[owner];
        if (validator.place == 0) revert NotRegistered(owner);
    }

    function _checkEndpoint(string calldata endpoint) private pure {
        uint256 length = bytes(endpoint).length;
        if (length == 0 || length > ENDPOINT_MAX) revert WrongEndpoint(length);
    }

    function _isBefore(Member memory a, Member memory b) private pure returns (bool) {
        return a.stake != b.stake ? a.stake > b.stake : a.key < b.key;
    }
}
