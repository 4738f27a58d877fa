// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bls} from "./Bls.sol";
import {DaTree} from "./DaTree.sol";

/// What a certificate weighs under a committee: SPEC of lode-proofs, [D-25] to [D-29] and [D-35] to [D-38]; the
/// twin of `Shown::verify` and of the native contract 0x2005. Nothing reverts because of what is given
/// (see Bls about gas).
library DaCheck {
    uint256 internal constant COMMITTEE_LEN = 342;
    uint256 internal constant STATEMENT_LEN = 169;
    uint256 internal constant SIGNATURE_LEN = 48;
    /// Rows of all seats, and fewest that a certificate needs.
    uint256 internal constant ROWS = 3072;
    uint256 internal constant ROWS_MIN = 2049;

    uint256 private constant SEATS_MAX = 340;
    uint256 private constant SEAT_LEN = 258;
    uint256 private constant CONTAINER_LEN_MAX = 1 << 27;

    /// Who has signed, and where in calldata those are that have not, and the nodes beside them.
    struct Signers {
        uint256 seats;
        uint256 rows;
        bytes key;
        /// How many are absent among the first i seats, for each i.
        uint256[] before;
        uint256 nextSeat;
        uint256 nextHash;
        uint256 end;
        bool failed;
    }

    /// The hash of a committee.
    function hashOf(bytes calldata committee) internal pure returns (bytes32) {
        return sha256(abi.encodePacked("lode/da/1 committee", committee));
    }

    /// The rows that a certificate is signed for, 0 if it is not right or they are too few.
    /// @param signature its signature as a point of G1, whose compressed form it ends with
    /// @param absent the seats that have not signed and the nodes beside them [D-37]
    function weigh(
        bytes calldata committee,
        bytes calldata certificate,
        bytes calldata signature,
        bytes calldata absent
    ) internal view returns (uint256 rows) {
        if (!_areFormed(committee, certificate, signature)) return 0;
        Signers memory signers = _signers(committee, certificate);
        if (!_without(signers, bytes32(committee[310:]), absent)) return 0;
        bytes32 message = sha256(abi.encodePacked("lode/da/1 cert", certificate[:STATEMENT_LEN]));
        bool signed = Bls.isSigned(signers.key, signature, abi.encodePacked(message), Bls.SIGNATURE_TAG);
        return signed ? signers.rows : 0;
    }

    /// Whether committee and certificate are such, of one quorum, and the signature is the certificate's.
    function _areFormed(bytes calldata committee, bytes calldata certificate, bytes calldata signature)
        private
        pure
        returns (bool)
    {
        if (committee.length != COMMITTEE_LEN) return false;
        uint256 seats = uint16(bytes2(committee[52:54]));
        if (seats == 0 || seats > SEATS_MAX || !_isFormed(certificate, seats)) return false;
        if (bytes20(certificate[1:21]) != bytes20(committee[:20])) return false;
        if (signature.length != Bls.G1_LEN) return false;
        bytes calldata short = certificate[certificate.length - SIGNATURE_LEN:];
        return keccak256(Bls.compressG1(signature)) == keccak256(short);
    }

    /// Takes keys and rows of the absent seats off those of all, if they are the committee's.
    function _without(Signers memory signers, bytes32 seatRoot, bytes calldata absent) private view returns (bool) {
        uint256 count = signers.before[signers.seats];
        if (count == 0) return absent.length == 0;
        if (absent.length < count * SEAT_LEN) return false;
        for (uint256 i = 0; i < count; ++i) {
            uint256 own = uint16(bytes2(absent[i * SEAT_LEN + 256:i * SEAT_LEN + 258]));
            // First what costs nothing.
            if (signers.rows < own + ROWS_MIN) return false;
            signers.rows -= own;
        }
        _place(signers, absent, count * SEAT_LEN);
        bytes32 root = _fold(signers, 0, signers.seats);
        if (signers.failed || signers.nextHash != signers.end || root != seatRoot) return false;
        bytes memory sum = new bytes(Bls.G2_LEN);
        bool done;
        for (uint256 i = 0; i < count; ++i) {
            (done, sum) = Bls.add(sum, absent[i * SEAT_LEN:i * SEAT_LEN + 256]);
            if (!done) return false;
        }
        (done, signers.key) = Bls.add(signers.key, Bls.negate(sum));
        return done;
    }

    /// Whether it has the form of a certificate by so many holders, and the container's id.
    function _isFormed(bytes calldata certificate, uint256 seats) private pure returns (bool) {
        uint256 signers = (seats + 7) / 8;
        if (certificate.length != STATEMENT_LEN + signers + SIGNATURE_LEN || certificate[0] != 0x01) return false;
        // Bits that no seat has are zero.
        if (seats % 8 != 0 && uint8(certificate[STATEMENT_LEN + signers - 1]) >> (seats % 8) != 0) return false;
        uint256 length = uint64(bytes8(certificate[149:157]));
        if (length == 0 || length % 64 != 0 || length > CONTAINER_LEN_MAX) return false;
        if (uint32(bytes4(certificate[157:161])) != 64 * ((length + 65_535) / 65_536)) return false;
        uint16 columns = uint16((seats + 154) / 15);
        bytes32 id = sha256(abi.encodePacked("lode/da/1 container", certificate[53:161], columns));
        return id == bytes32(certificate[21:53]);
    }

    function _signers(bytes calldata committee, bytes calldata certificate)
        private
        pure
        returns (Signers memory signers)
    {
        signers.seats = uint16(bytes2(committee[52:54]));
        (signers.rows, signers.key) = (ROWS, committee[54:310]);
        uint256 seats = signers.seats;
        uint256[] memory before = signers.before = new uint256[](seats + 1);
        uint256 count;
        uint256 bits;
        for (uint256 seat = 0; seat < seats; ++seat) {
            if (seat % 8 == 0) bits = uint8(certificate[STATEMENT_LEN + seat / 8]);
            before[seat + 1] = count += 1 - (bits & 1);
            bits >>= 1;
        }
    }

    function _place(Signers memory signers, bytes calldata absent, uint256 seatsLength) private pure {
        uint256 start;
        assembly ("memory-safe") {
            start := absent.offset
        }
        (signers.nextSeat, signers.nextHash, signers.end) = (start, start + seatsLength, start + absent.length);
    }

    /// The node over some seats: those that are absent are shown, the rest is hashes.
    function _fold(Signers memory signers, uint256 first, uint256 count) private pure returns (bytes32) {
        if (signers.before[first + count] == signers.before[first]) return _hash(signers);
        if (count == 1) return _seat(signers);
        uint256 left = DaTree.leftOf(count);
        bytes32 node = _fold(signers, first, left);
        return DaTree.node(node, _fold(signers, first + left, count - left));
    }

    function _hash(Signers memory signers) private pure returns (bytes32 hash) {
        uint256 next = signers.nextHash;
        if (next + 32 > signers.end) {
            signers.failed = true;
            return 0;
        }
        signers.nextHash = next + 32;
        assembly ("memory-safe") {
            hash := calldataload(next)
        }
    }

    function _seat(Signers memory signers) private pure returns (bytes32) {
        bytes calldata seat;
        uint256 next = signers.nextSeat;
        assembly ("memory-safe") {
            seat.offset := next
            seat.length := SEAT_LEN
        }
        signers.nextSeat = next + SEAT_LEN;
        return DaTree.leaf(seat);
    }
}
