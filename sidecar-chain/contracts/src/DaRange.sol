// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DaTree} from "./DaTree.sol";

/// Proofs of bytes by SHA-256 alone: of a blob under its root [D-30], of a container's original rows under
/// its row root [D-21], and of one entry of its table under its namespace root [D-22] (SPEC of
/// lode-proofs). A proof is what `encode` writes there. Nothing here reverts: what is not right is not found.
///
/// A range under a row root shows bytes of that root, which readers get only if the row is coded rightly;
/// whoever needs what everybody gets goes by the blob's root, which the table names.
library DaRange {
    uint256 private constant PIECE_LEN = 1024;
    /// Leaves of the row tree, and those of them that are rows; the rest is zeros.
    uint256 private constant PLACES = 4096;
    uint256 private constant ROWS = 3072;
    uint256 private constant CONTAINER_LEN_MAX = 1 << 27;
    /// Bytes that one block in every original row makes.
    uint256 private constant LAYER_LEN = 65_536;
    uint256 private constant BLOBS_MAX = 4096;
    uint256 private constant ENTRY_LEN = 77;
    /// Bytes of a range before its pieces, and of a table's proof before its entries.
    uint256 private constant RANGE_HEAD_LEN = 16;
    uint256 private constant ENTRY_HEAD_LEN = 12;
    /// The node over the 1024 places behind the rows.
    bytes32 private constant NOTHING = 0x29398d48e1a1a9f3c8e0f97b0f8c066d2beaf88a319baef02a5482d6157ebd2b;

    /// A walk through a tree from the left: hashes are taken as it comes by them.
    struct Walk {
        /// Where in calldata the next hash is, and where there are no more.
        uint256 next;
        uint256 end;
        /// Leaves that are shown.
        uint256 first;
        uint256 last;
        /// Whether a hash was missing.
        bool failed;
    }

    /// A range, and the same rounded to pieces.
    struct Cover {
        bool formed;
        uint256 start;
        uint256 end;
        uint256 from;
        uint256 to;
        /// Bytes of a row, where it has rows.
        uint256 width;
    }

    /// An entry of a table.
    struct Entry {
        bytes29 namespace;
        uint64 offset;
        uint64 length;
        bytes32 root;
    }

    /// The bytes of a range of the blob with this root and length.
    function ofBlob(bytes32 root, uint256 length, bytes calldata proof)
        internal
        pure
        returns (bool found, uint256 start, bytes calldata content)
    {
        content = proof[:0];
        Cover memory cover = _cover(proof, length);
        if (!cover.formed) return (false, 0, content);
        start = cover.start;
        cover.from = start / PIECE_LEN * PIECE_LEN;
        cover.to = _min(length, _pieces(cover.end) * PIECE_LEN);
        if (proof.length < RANGE_HEAD_LEN + cover.to - cover.from) return (false, 0, content);
        found = _isBlob(root, length, proof, cover);
        if (found) content = _asked(proof, cover);
    }

    /// The bytes of a range of the container with this row root and length.
    function ofContainer(bytes32 rowRoot, uint256 length, bytes calldata proof)
        internal
        pure
        returns (bool found, uint256 start, bytes calldata content)
    {
        content = proof[:0];
        Cover memory cover = _cover(proof, length);
        if (!cover.formed || length % 64 != 0) return (false, 0, content);
        start = cover.start;
        cover.width = widthOf(length);
        cover.from = _pieceStart(start, cover.width);
        cover.to = _pieceEnd(cover.end - 1, cover.width);
        if (proof.length < RANGE_HEAD_LEN + cover.to - cover.from) return (false, 0, content);
        found = _isContainer(rowRoot, proof, cover);
        if (found) content = _asked(proof, cover);
    }

    /// The one entry that a proof shows under a namespace root.
    function entry(bytes32 namespaceRoot, bytes calldata proof) internal pure returns (bool, Entry memory shown) {
        if (proof.length < ENTRY_HEAD_LEN + ENTRY_LEN) return (false, shown);
        uint256 count = uint32(bytes4(proof[:4]));
        uint256 place = uint32(bytes4(proof[4:8]));
        if (count == 0 || count > BLOBS_MAX || place >= count) return (false, shown);
        if (uint32(bytes4(proof[8:12])) != 1) return (false, shown);
        bytes calldata bare = proof[ENTRY_HEAD_LEN:ENTRY_HEAD_LEN + ENTRY_LEN];
        Walk memory walk = _begin(proof[ENTRY_HEAD_LEN + ENTRY_LEN:]);
        (walk.first, walk.last) = (place, place);
        bytes32 top = _one(walk, bare, 0, count);
        bytes32 root = sha256(abi.encodePacked("lode/da/1 namespaces", uint32(count), top));
        shown = Entry(bytes29(bare[:29]), uint64(bytes8(bare[29:37])), uint64(bytes8(bare[37:45])), bytes32(bare[45:]));
        return (_ended(walk) && root == namespaceRoot, shown);
    }

    /// Bytes of a row of a container of so many.
    function widthOf(uint256 length) internal pure returns (uint256) {
        return 64 * ((length + LAYER_LEN - 1) / LAYER_LEN);
    }

    /// What a proof says that it is about, if the blob or container has such a range.
    function _cover(bytes calldata proof, uint256 length) private pure returns (Cover memory cover) {
        if (proof.length < RANGE_HEAD_LEN || length > CONTAINER_LEN_MAX) return cover;
        (cover.start, cover.end) = (uint64(bytes8(proof[:8])), uint64(bytes8(proof[8:16])));
        cover.formed = cover.start < cover.end && cover.end <= length;
    }

    /// The pieces that it shows.
    function _shown(bytes calldata proof, Cover memory cover) private pure returns (bytes calldata) {
        return proof[RANGE_HEAD_LEN:RANGE_HEAD_LEN + cover.to - cover.from];
    }

    /// The hashes behind them.
    function _hashes(bytes calldata proof, Cover memory cover) private pure returns (bytes calldata) {
        return proof[RANGE_HEAD_LEN + cover.to - cover.from:];
    }

    /// The bytes of the range itself.
    function _asked(bytes calldata proof, Cover memory cover) private pure returns (bytes calldata) {
        uint256 start = RANGE_HEAD_LEN + cover.start - cover.from;
        return proof[start:start + cover.end - cover.start];
    }

    /// Pieces of so many bytes.
    function _pieces(uint256 length) private pure returns (uint256) {
        return (length + PIECE_LEN - 1) / PIECE_LEN;
    }

    function _isBlob(bytes32 root, uint256 length, bytes calldata proof, Cover memory cover)
        private
        pure
        returns (bool)
    {
        Walk memory walk = _begin(_hashes(proof, cover));
        (walk.first, walk.last) = (cover.start / PIECE_LEN, (cover.end - 1) / PIECE_LEN);
        return _fold(walk, _shown(proof, cover), 0, _pieces(length)) == root && _ended(walk);
    }

    function _isContainer(bytes32 rowRoot, bytes calldata proof, Cover memory cover) private pure returns (bool) {
        Walk memory walk = _begin(_hashes(proof, cover));
        return _rows(walk, _shown(proof, cover), cover, 0, PLACES) == rowRoot && _ended(walk);
    }

    function _rows(Walk memory walk, bytes calldata pieces, Cover memory cover, uint256 row, uint256 count)
        private
        pure
        returns (bytes32)
    {
        if (row == ROWS) return NOTHING;
        (uint256 start, uint256 end) = (row * cover.width, (row + count) * cover.width);
        if (end <= cover.from || start >= cover.to) return _next(walk);
        if (count > 1) {
            bytes32 left = _rows(walk, pieces, cover, row, count / 2);
            return DaTree.node(left, _rows(walk, pieces, cover, row + count / 2, count / 2));
        }
        // The part of this row that is shown.
        (uint256 from, uint256 to) = (_max(start, cover.from), _min(end, cover.to));
        (walk.first, walk.last) = ((from - start) / PIECE_LEN, (to - start - 1) / PIECE_LEN);
        bytes calldata own = pieces[from - cover.from:to - cover.from];
        return _fold(walk, own, 0, _pieces(cover.width));
    }

    /// The node over some pieces; `pieces` are those that are shown.
    function _fold(Walk memory walk, bytes calldata pieces, uint256 first, uint256 count)
        private
        pure
        returns (bytes32)
    {
        if (first > walk.last || first + count <= walk.first) return _next(walk);
        if (count == 1) {
            uint256 start = (first - walk.first) * PIECE_LEN;
            return DaTree.leaf(pieces[start:_min(pieces.length, start + PIECE_LEN)]);
        }
        uint256 left = DaTree.leftOf(count);
        bytes32 node = _fold(walk, pieces, first, left);
        return DaTree.node(node, _fold(walk, pieces, first + left, count - left));
    }

    /// The node over some entries, of which one is shown.
    function _one(Walk memory walk, bytes calldata bare, uint256 first, uint256 count) private pure returns (bytes32) {
        if (first > walk.last || first + count <= walk.first) return _next(walk);
        if (count == 1) return DaTree.leaf(bare);
        uint256 left = DaTree.leftOf(count);
        bytes32 node = _one(walk, bare, first, left);
        return DaTree.node(node, _one(walk, bare, first + left, count - left));
    }

    function _begin(bytes calldata hashes) private pure returns (Walk memory walk) {
        uint256 start;
        assembly ("memory-safe") {
            start := hashes.offset
        }
        (walk.next, walk.end) = (start, start + hashes.length);
    }

    function _next(Walk memory walk) private pure returns (bytes32 hash) {
        uint256 next = walk.next;
        if (next + 32 > walk.end) {
            walk.failed = true;
            return 0;
        }
        walk.next = next + 32;
        assembly ("memory-safe") {
            hash := calldataload(next)
        }
    }

    /// Whether all hashes were taken, and none was missing.
    function _ended(Walk memory walk) private pure returns (bool) {
        return !walk.failed && walk.next == walk.end;
    }

    function _pieceStart(uint256 offset, uint256 width) private pure returns (uint256) {
        return offset / width * width + offset % width / PIECE_LEN * PIECE_LEN;
    }

    function _pieceEnd(uint256 offset, uint256 width) private pure returns (uint256) {
        uint256 row = offset / width * width;
        return row + _min(width, (offset % width / PIECE_LEN + 1) * PIECE_LEN);
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    function _max(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a : b;
    }
}
