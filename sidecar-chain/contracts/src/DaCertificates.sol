// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";

/// What this contract asks DaSigners.
interface IDaCommittees {
    function committeeHash(uint256 epoch, uint256 quorum) external view returns (bytes32);
}

/// Certificates in blocks: which containers are held, until when, and by how many rows.
///
/// Anybody settles a certificate: it says by itself who signed, and the chain's native contract checks it
/// against the committee that DaSigners has made. One with a later expiry takes the place of the kept one,
/// and of two with the same expiry the one with more rows is kept; any other changes nothing, so sending
/// one twice does no harm. Who signed for longer need not be all who signed before: what is kept then
/// says by how many rows the container is held to the end.
contract DaCertificates is Initializable {
    /// Native: the rows that a certificate is signed for, 0 if it is not right (SPEC, [D-38]).
    address public constant DA_CERTIFICATE = address(0x2005);

    uint256 private constant COMMITTEE_LEN = 342;
    /// Bytes of a certificate before its signers.
    uint256 private constant STATEMENT_LEN = 169;

    /// A certificate and the absent seats beside it [D-37].
    struct Shown {
        bytes certificate;
        bytes absent;
    }

    /// What is kept of a container, in one slot.
    struct Record {
        uint64 epoch;
        uint32 quorum;
        /// Unix seconds, end exclusive.
        uint64 expiry;
        /// Rows that were signed for; 0 means that nothing was settled.
        uint16 rows;
        uint64 blockNumber;
    }

    IDaCommittees public signers;
    mapping(bytes32 containerId => Record) private _records;

    /// With the committee's hash, which DaSigners keeps, and the event's other words, all that it takes to
    /// check the certificate elsewhere is in a block's logs; the absent seats are anybody's to show.
    event Settled(
        bytes32 indexed containerId,
        uint64 indexed epoch,
        uint32 quorum,
        uint64 expiry,
        uint16 rows,
        bytes32 committeeHash,
        bytes certificate
    );
    event Extended(
        bytes32 indexed containerId,
        uint64 indexed epoch,
        uint32 quorum,
        uint64 expiry,
        uint16 rows,
        bytes32 committeeHash,
        bytes certificate
    );

    error WrongCommittee();
    error UnknownCommittee(uint64 epoch, uint32 quorum);
    error WrongCertificate(uint256 place);
    error Expired(uint256 place, uint64 expiry);

    /// For a deployment outside of a genesis file: in the transaction that creates the contract, or
    /// somebody else calls it first.
    function initialize(IDaCommittees signers_) external initializer {
        signers = signers_;
    }

    /// Settles certificates of one quorum, all or none.
    /// @return changed how many of them said something new
    function settle(bytes calldata committee, Shown[] calldata shown) external returns (uint256 changed) {
        if (committee.length != COMMITTEE_LEN) revert WrongCommittee();
        (uint64 epoch, uint32 quorum) = (uint64(bytes8(committee[8:16])), uint32(bytes4(committee[16:20])));
        bytes32 hash = sha256(abi.encodePacked("lode/da/1 committee", committee));
        if (signers.committeeHash(epoch, quorum) != hash) revert UnknownCommittee(epoch, quorum);
        for (uint256 i = 0; i < shown.length; ++i) {
            bytes calldata certificate = shown[i].certificate;
            if (certificate.length < STATEMENT_LEN) revert WrongCertificate(i);
            uint64 expiry = uint64(bytes8(certificate[161:169]));
            if (expiry <= block.timestamp) revert Expired(i, expiry);
            uint16 rows = _weigh(committee, shown[i], i);
            Record memory found = Record(epoch, quorum, expiry, rows, uint64(block.number));
            if (_keep(found, hash, certificate)) ++changed;
        }
    }

    /// What was settled of a container.
    function recordOf(bytes32 containerId) external view returns (Record memory) {
        return _records[containerId];
    }

    /// Whether a container is held now, by so many rows.
    function isHeld(bytes32 containerId, uint16 rows) external view returns (bool) {
        Record memory kept = _records[containerId];
        return kept.rows != 0 && kept.rows >= rows && block.timestamp < kept.expiry;
    }

    function _weigh(bytes calldata committee, Shown calldata shown, uint256 place) private view returns (uint16) {
        bytes memory input = abi.encodePacked(committee, shown.certificate, shown.absent);
        (bool done, bytes memory output) = DA_CERTIFICATE.staticcall(input);
        if (!done || output.length != 32) revert WrongCertificate(place);
        uint256 rows = abi.decode(output, (uint256));
        if (rows == 0) revert WrongCertificate(place);
        return uint16(rows);
    }

    /// Keeps a certificate that says more than what is kept.
    function _keep(Record memory found, bytes32 hash, bytes calldata certificate) private returns (bool) {
        bytes32 containerId = bytes32(certificate[21:53]);
        Record memory kept = _records[containerId];
        if (found.expiry < kept.expiry) return false;
        if (found.expiry == kept.expiry && found.rows <= kept.rows) return false;
        _records[containerId] = found;
        if (kept.rows == 0) {
            emit Settled(containerId, found.epoch, found.quorum, found.expiry, found.rows, hash, certificate);
        } else {
            emit Extended(containerId, found.epoch, found.quorum, found.expiry, found.rows, hash, certificate);
        }
        return true;
    }
}
