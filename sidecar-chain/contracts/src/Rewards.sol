// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControlEnumerable} from "@openzeppelin/contracts/access/extensions/AccessControlEnumerable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// Rewards by statement: per epoch one root over (account, all that it earned since the beginning),
/// in the form of OpenZeppelin's StandardMerkleTree (leaves hashed twice, pairs sorted).
///
/// Amounts only grow, so the newest statement replaces all before it, and an account that claims
/// late loses nothing. A statement may promise no more than has come in, and no more than it
/// promises is paid, whatever its leaves say.
contract Rewards is AccessControlEnumerable, Initializable {
    bytes32 public constant PUBLISHER_ROLE = keccak256("PUBLISHER_ROLE");

    struct Statement {
        bytes32 root;
        /// All that was ever promised, in wei.
        uint128 total;
    }

    /// Epoch of the newest statement.
    uint64 public epoch;
    /// All that was ever paid, in wei.
    uint128 public claimed;

    mapping(uint64 epoch => Statement) private _statements;
    mapping(address account => uint256) public claimedBy;

    event Funded(address indexed from, uint256 amount);
    event Published(uint64 indexed epoch, bytes32 root, uint128 total);
    event Claimed(address indexed account, uint256 amount);

    error NotAfter(uint64 epoch, uint64 newest);
    error NoRoot();
    error TotalFell(uint256 total, uint256 before);
    error NotFunded(uint256 total, uint256 funded);
    error WrongProof();
    error NothingToClaim();
    error OverPromised(uint256 total, uint256 claimed);
    error ClaimRefused(uint256 amount);

    /// For a deployment outside of a genesis file: in the transaction that creates the contract,
    /// or somebody else calls it first. The caller becomes admin and may publish.
    function initialize() external initializer {
        _grantRole(DEFAULT_ADMIN_ROLE, msg.sender);
        _grantRole(PUBLISHER_ROLE, msg.sender);
    }

    /// Fees and gifts.
    receive() external payable {
        emit Funded(msg.sender, msg.value);
    }

    /// All that ever came in, in wei.
    function funded() public view returns (uint256) {
        return address(this).balance + claimed;
    }

    /// The statement of an epoch; a zero root means that there is none.
    function statementOf(uint64 asked) external view returns (Statement memory) {
        return _statements[asked];
    }

    /// States who has earned what by the end of `asked`, and how much that is in all.
    function publish(uint64 asked, bytes32 root, uint128 total) external onlyRole(PUBLISHER_ROLE) {
        Statement memory before = _statements[epoch];
        if (before.root != 0 && asked <= epoch) revert NotAfter(asked, epoch);
        if (root == 0) revert NoRoot();
        if (total < before.total) revert TotalFell(total, before.total);
        if (total > funded()) revert NotFunded(total, funded());
        epoch = asked;
        _statements[asked] = Statement(root, total);
        emit Published(asked, root, total);
    }

    /// Pays an account what it has earned by the newest statement and not had. Anybody may ask for
    /// it; the account is paid.
    function claim(address account, uint256 earned, bytes32[] calldata proof) external returns (uint256 amount) {
        Statement memory newest = _statements[epoch];
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(account, earned))));
        if (newest.root == 0 || !MerkleProof.verifyCalldata(proof, newest.root, leaf)) revert WrongProof();
        uint256 had = claimedBy[account];
        if (earned <= had) revert NothingToClaim();
        amount = earned - had;
        if (amount > newest.total - claimed) revert OverPromised(newest.total, claimed);
        claimedBy[account] = earned;
        claimed += uint128(amount);
        emit Claimed(account, amount);
        (bool taken,) = account.call{value: amount}("");
        if (!taken) revert ClaimRefused(amount);
    }
}
