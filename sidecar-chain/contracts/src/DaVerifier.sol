// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {TrieProof} from "@openzeppelin/contracts/utils/cryptography/TrieProof.sol";
import {Bls} from "./Bls.sol";
import {DaCheck} from "./DaCheck.sol";

/// Certificates of our chain's holders on any EVM with EIP-2537.
///
/// What is trusted is one key and one name, set once: those of our chain's committee, as its genesis file
/// has them. They stay when validators change. Of quorums this contract learns from a block that the
/// committee has made final (SPEC, Finality): header, account of DaSigners, slot with the quorum's hash. Who
/// brings that is nobody's matter, and nobody can bring anything else; a quorum's hash never changes once
/// it is made, so one that was learned stays right.
///
/// It does not see whether a certificate has expired, which is for whoever asks: what was available when it
/// was posted must not become invalid later.
contract DaVerifier is Initializable {
    /// DaSigners, on our chain, and the slot of its mapping of quorums.
    address public constant DA_SIGNERS = address(0x1000);
    uint256 public constant MADE_SLOT = 7;
    /// Bytes of a finality certificate, and of a chain's name, at most.
    uint256 private constant FINALITY_LEN = 152;
    uint256 private constant NAMESPACE_MAX = 64;

    /// A block that is final, and what is in the state after it.
    struct Evidence {
        /// 152 bytes [F-1], and its two signatures as points.
        bytes finality;
        bytes vote;
        bytes seed;
        /// RLP of the header.
        bytes header;
        /// Nodes from the state root to the account, and from its storage root to the slot.
        bytes[] account;
        bytes[] slot;
    }

    bytes public groupKey;
    bytes public namespace;
    mapping(uint64 epoch => bytes32) public committeeHash;

    event Learned(uint64 indexed epoch, bytes32 hash, bytes32 blockHash);

    error WrongSettings();
    error NotFinal();
    error WrongHeader();
    error NotThere();

    /// In the transaction that creates the contract, or somebody else calls it first.
    /// @param groupKey_ the committee's key as a point of G2, 256 bytes
    /// @param namespace_ the chain's name, under which its committee signs
    function initialize(bytes calldata groupKey_, bytes calldata namespace_) external initializer {
        if (groupKey_.length != Bls.G2_LEN || namespace_.length > NAMESPACE_MAX) revert WrongSettings();
        (groupKey, namespace) = (groupKey_, namespace_);
    }

    /// Learns an epoch's quorum from a final block of our chain. Again it changes nothing.
    function learn(uint64 epoch, Evidence calldata evidence) external returns (bytes32 hash) {
        bytes32 blockHash = _finalBlock(evidence);
        if (keccak256(evidence.header) != blockHash) revert WrongHeader();
        bytes32 stateRoot = BlockHeader.getStateRoot(evidence.header);
        bytes memory account =
            TrieProof.traverse(stateRoot, abi.encodePacked(keccak256(abi.encodePacked(DA_SIGNERS))), evidence.account);
        // nonce, balance, storage root, code
        Memory.Slice[] memory fields = RLP.decodeList(account);
        if (fields.length != 4) revert NotThere();
        bytes32 slot = keccak256(abi.encode(uint256(epoch), MADE_SLOT));
        bytes memory value =
            TrieProof.traverse(RLP.readBytes32(fields[2]), abi.encodePacked(keccak256(abi.encode(slot))), evidence.slot);
        hash = bytes32(RLP.decodeUint256(value));
        if (hash == 0) revert NotThere();
        if (committeeHash[epoch] == hash) return hash;
        committeeHash[epoch] = hash;
        emit Learned(epoch, hash, blockHash);
    }

    /// The rows that a certificate is signed for; 0 if it is not right, they are fewer than 2049, or its
    /// committee was not learned. Never reverts because of what it is given.
    /// @param signature the certificate's signature as a point of G1
    /// @param absent the absent seats and the nodes beside them [D-37]
    function weigh(
        bytes calldata committee,
        bytes calldata certificate,
        bytes calldata signature,
        bytes calldata absent
    ) external view returns (uint256 rows) {
        if (committee.length != DaCheck.COMMITTEE_LEN) return 0;
        bytes32 hash = committeeHash[uint64(bytes8(committee[8:16]))];
        if (hash == 0 || hash != DaCheck.hashOf(committee)) return 0;
        return DaCheck.weigh(committee, certificate, signature, absent);
    }

    /// The hash of a block that the committee has signed as final.
    function _finalBlock(Evidence calldata evidence) private view returns (bytes32) {
        bytes calldata finality = evidence.finality;
        if (finality.length != FINALITY_LEN) revert NotFinal();
        bytes memory round = abi.encodePacked(_varint(_number(finality[:8])), _varint(_number(finality[8:16])));
        bytes memory proposal = abi.encodePacked(round, _varint(_number(finality[16:24])), finality[24:56]);
        _checkSigned(evidence.vote, finality[56:104], "_FINALIZE", proposal);
        _checkSigned(evidence.seed, finality[104:], "_SEED", round);
        return bytes32(finality[24:56]);
    }

    function _checkSigned(bytes calldata point, bytes calldata short, bytes memory suffix, bytes memory message)
        private
        view
    {
        if (point.length != Bls.G1_LEN || keccak256(Bls.compressG1(point)) != keccak256(short)) revert NotFinal();
        bytes memory name = abi.encodePacked(namespace, suffix);
        bytes memory signed = abi.encodePacked(_varint(uint64(name.length)), name, message);
        if (!Bls.isSigned(groupKey, point, signed, Bls.SIGNATURE_TAG)) revert NotFinal();
    }

    /// Eight bytes, the lowest first.
    function _number(bytes calldata eight) private pure returns (uint64 number) {
        for (uint256 i = 8; i > 0; --i) number = number << 8 | uint8(eight[i - 1]);
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow [F-2].
    function _varint(uint64 number) private pure returns (bytes memory encoded) {
        for (; number >= 0x80; number >>= 7) encoded = abi.encodePacked(encoded, uint8(number) | 0x80);
        return abi.encodePacked(encoded, uint8(number));
    }
}
