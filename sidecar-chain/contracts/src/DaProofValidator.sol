// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {DaCheck} from "./DaCheck.sol";
import {DaRange} from "./DaRange.sol";
import {DaVerifier} from "./DaVerifier.sol";

/// What Arbitrum Nitro asks a validator of custom data availability (ICustomDAProofValidator).
///
///    at  bytes  posted certificate [D-39]
///     0      1  01                    Nitro's header byte of custom data availability
///     1      1  4c                    ours
///     2      2  c                     bytes of the certificate, big-endian
///     4      4  a                     bytes of what is absent
///     8    342  committee             [D-36]
///   350    128  signature             a point of G1: the certificate's
///   478      c  certificate           [D-25]
///     …      a  absent                [D-37]
///     …      …  entry                 [D-22], of the one blob that is posted
///
/// A posted certificate has in it all that it takes to check it: whether it is right depends on its bytes and
/// on the quorums that DaVerifier has learned, and on nothing that a party of a dispute brings. A quorum is
/// never unlearned; have it learned before certificates of it are posted.
contract DaProofValidator is Initializable {
    uint256 private constant COMMITTEE_AT = 8;
    uint256 private constant SIGNATURE_AT = 350;
    uint256 private constant CERTIFICATE_AT = 478;
    /// In front of Nitro's proofs: the length of the posted certificate.
    uint256 private constant SIZE_LEN = 8;
    /// Bytes of a preimage that one proof is about.
    uint256 private constant CHUNK_LEN = 32;

    DaVerifier public verifier;

    error WrongCertificate();
    error WrongProof();

    /// The parts of a posted certificate.
    struct Posted {
        bool formed;
        uint256 absentAt;
        uint256 entryAt;
    }

    /// In the transaction that creates the contract, or somebody else calls it first.
    function initialize(DaVerifier verifier_) external initializer {
        verifier = verifier_;
    }

    /// Whether a posted certificate is right. Never reverts because of what it is given.
    /// @param proof length of the posted certificate 8, the certificate; what follows is not looked at
    function validateCertificate(bytes calldata proof) external view returns (bool) {
        (bool there, bytes calldata posted) = _certificate(proof);
        if (!there) return false;
        Posted memory parts = _parts(posted);
        if (!parts.formed) return false;
        bytes calldata certificate = posted[CERTIFICATE_AT:parts.absentAt];
        uint256 rows = verifier.weigh(
            posted[COMMITTEE_AT:SIGNATURE_AT],
            certificate,
            posted[SIGNATURE_AT:CERTIFICATE_AT],
            posted[parts.absentAt:parts.entryAt]
        );
        if (rows == 0) return false;
        (bool found,) = DaRange.entry(bytes32(certificate[117:149]), posted[parts.entryAt:]);
        return found;
    }

    /// The bytes of the blob from an offset on: 32, fewer at its end, none behind it. Reverts unless the
    /// proof shows them.
    /// @param certHash keccak256 of the posted certificate
    /// @param proof length of the posted certificate 8, the certificate, a range of the blob [D-30] that
    /// has the bytes in it
    function validateReadPreimage(bytes32 certHash, uint256 offset, bytes calldata proof)
        external
        pure
        returns (bytes memory)
    {
        (bool there, bytes calldata posted) = _certificate(proof);
        if (!there || keccak256(posted) != certHash) revert WrongCertificate();
        (bytes32 root, uint256 length) = _blob(posted);
        return _chunk(root, length, offset, proof[SIZE_LEN + posted.length:]);
    }

    function _chunk(bytes32 root, uint256 length, uint256 offset, bytes calldata range)
        private
        pure
        returns (bytes memory)
    {
        if (offset >= length) return "";
        uint256 wanted = length - offset < CHUNK_LEN ? length - offset : CHUNK_LEN;
        (bool shown, uint256 start, bytes calldata content) = DaRange.ofBlob(root, length, range);
        if (!shown || start > offset || content.length < offset - start + wanted) revert WrongProof();
        return content[offset - start:offset - start + wanted];
    }

    /// Root and length of the blob that is posted.
    function _blob(bytes calldata posted) private pure returns (bytes32, uint256) {
        Posted memory parts = _parts(posted);
        if (!parts.formed) revert WrongCertificate();
        bytes32 namespaceRoot = bytes32(posted[CERTIFICATE_AT + 117:CERTIFICATE_AT + 149]);
        (bool found, DaRange.Entry memory entry) = DaRange.entry(namespaceRoot, posted[parts.entryAt:]);
        if (!found) revert WrongCertificate();
        return (entry.root, entry.length);
    }

    function _certificate(bytes calldata proof) private pure returns (bool, bytes calldata posted) {
        posted = proof[:0];
        if (proof.length < SIZE_LEN) return (false, posted);
        uint256 size = uint64(bytes8(proof[:SIZE_LEN]));
        if (proof.length - SIZE_LEN < size) return (false, posted);
        return (true, proof[SIZE_LEN:SIZE_LEN + size]);
    }

    function _parts(bytes calldata posted) private pure returns (Posted memory parts) {
        if (posted.length < CERTIFICATE_AT || bytes2(posted[:2]) != 0x014c) return parts;
        uint256 length = uint16(bytes2(posted[2:4]));
        parts.absentAt = CERTIFICATE_AT + length;
        parts.entryAt = parts.absentAt + uint32(bytes4(posted[4:8]));
        parts.formed = length >= DaCheck.STATEMENT_LEN && posted.length >= parts.entryAt;
    }
}
