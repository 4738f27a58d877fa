// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// BLS12-381 by the precompiles of EIP-2537: signatures are points of G1, keys points of G2, both as that
/// EIP has them (128 and 256 bytes). SPEC of lode-proofs, [F-5] and [F-6].
///
/// Nothing here reverts because of what it is given: it says no. So every call of a precompile has a
/// bound of gas of its own, and whoever leaves less than that gets a revert instead of a no: else a
/// caller could have right signatures called wrong by sending little gas.
library Bls {
    uint256 internal constant G1_LEN = 128;
    uint256 internal constant G2_LEN = 256;

    /// RFC 9380 with the tag of signatures whose keys come with a proof of possession.
    bytes internal constant SIGNATURE_TAG = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    /// The tag of those proofs.
    bytes internal constant POSSESSION_TAG = "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

    address private constant MODEXP = address(0x05);
    address private constant G1_ADD = address(0x0b);
    address private constant G2_ADD = address(0x0d);
    address private constant PAIRING = address(0x0f);
    address private constant MAP_TO_G1 = address(0x10);

    // Twice what they cost today, so that a fork with other prices does not turn a yes into a no.
    uint256 private constant MODEXP_GAS = 1_000;
    uint256 private constant G1_ADD_GAS = 750;
    uint256 private constant G2_ADD_GAS = 1_200;
    uint256 private constant PAIRING_GAS = 206_000;
    uint256 private constant MAP_GAS = 11_000;

    /// The field's order and half of it, rounded down, in a high and a low word.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
    uint256 private constant HALF_HIGH = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_LOW = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;
    /// The generator of G2, on the other side of the axis.
    bytes private constant NEGATED_G2 =
        hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
        hex"0000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
        hex"000000000000000000000000000000000d1b3cc2c7027888be51d9ef691d77bcb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa"
        hex"0000000000000000000000000000000013fa4d4a0ad8b1ce186ed5061789213d993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed";

    error NotEnoughGas();

    /// Whether a point is a signature by a key on a message. Points outside of their groups are none, nor
    /// is infinity.
    function isSigned(bytes memory key, bytes memory signature, bytes memory message, bytes memory tag)
        internal
        view
        returns (bool)
    {
        if (key.length != G2_LEN || signature.length != G1_LEN) return false;
        if (_isZero(key) || _isZero(signature)) return false;
        bytes memory hashed = hashToG1(message, tag);
        bytes memory input = abi.encodePacked(signature, NEGATED_G2, hashed, key);
        (bool done, bytes memory output) = _call(PAIRING, PAIRING_GAS, input, 32);
        return done && _word(output, 0) == 1;
    }

    /// The point of a message (RFC 9380, suite BLS12381G1_XMD:SHA-256_SSWU_RO_).
    function hashToG1(bytes memory message, bytes memory tag) internal view returns (bytes memory) {
        bytes memory suffix = abi.encodePacked(tag, uint8(tag.length));
        bytes32 first = sha256(abi.encodePacked(bytes32(0), bytes32(0), message, uint16(128), uint8(0), suffix));
        bytes32 a = sha256(abi.encodePacked(first, uint8(1), suffix));
        bytes32 b = sha256(abi.encodePacked(first ^ a, uint8(2), suffix));
        bytes32 c = sha256(abi.encodePacked(first ^ b, uint8(3), suffix));
        bytes32 d = sha256(abi.encodePacked(first ^ c, uint8(4), suffix));
        return _must(G1_ADD, G1_ADD_GAS, abi.encodePacked(_map(a, b), _map(c, d)), G1_LEN);
    }

    /// The sum of two keys, which may be infinity; no if one is no point of the curve.
    function add(bytes memory a, bytes memory b) internal view returns (bool, bytes memory) {
        return _call(G2_ADD, G2_ADD_GAS, abi.encodePacked(a, b), G2_LEN);
    }

    /// The opposite of a key that is a point; that of infinity is infinity.
    function negate(bytes memory key) internal pure returns (bytes memory) {
        (uint256 realHigh, uint256 realLow) = _negate(_word(key, 128), _word(key, 160));
        (uint256 high, uint256 low) = _negate(_word(key, 192), _word(key, 224));
        return abi.encodePacked(
            _word(key, 0), _word(key, 32), _word(key, 64), _word(key, 96), realHigh, realLow, high, low
        );
    }

    /// The 48 bytes that a signature is sent as.
    function compressG1(bytes memory point) internal pure returns (bytes memory) {
        bool larger = _isLarger(_word(point, 64), _word(point, 96));
        uint256 high = _word(point, 0) | _flags(larger);
        return abi.encodePacked(uint128(high), _word(point, 32));
    }

    /// The 96 bytes that a key is signed as.
    function compressG2(bytes memory point) internal pure returns (bytes memory) {
        (uint256 high, uint256 low) = (_word(point, 192), _word(point, 224));
        if (high | low == 0) (high, low) = (_word(point, 128), _word(point, 160));
        uint256 first = _word(point, 64) | _flags(_isLarger(high, low));
        return abi.encodePacked(uint128(first), _word(point, 96), uint128(_word(point, 0)), _word(point, 32));
    }

    function _isZero(bytes memory point) private pure returns (bool) {
        uint256 any;
        for (uint256 from = 0; from < point.length; from += 32) any |= _word(point, from);
        return any == 0;
    }

    function _isLarger(uint256 high, uint256 low) private pure returns (bool) {
        return high > HALF_HIGH || (high == HALF_HIGH && low > HALF_LOW);
    }

    /// That a point is compressed, and which of two it is, above the 16 high bytes of its coordinate.
    function _flags(bool larger) private pure returns (uint256) {
        return (larger ? uint256(0xa0) : uint256(0x80)) << 120;
    }

    function _negate(uint256 high, uint256 low) private pure returns (uint256, uint256) {
        if (high | low == 0) return (0, 0);
        unchecked {
            return (P_HIGH - high - (low > P_LOW ? 1 : 0), P_LOW - low);
        }
    }

    /// The point of G1 that 64 bytes lead to, modulo the field's order.
    function _map(bytes32 high, bytes32 low) private view returns (bytes memory) {
        bytes memory number = abi.encodePacked(
            uint256(64), uint256(1), uint256(48), high, low, uint8(1), uint128(P_HIGH), P_LOW
        );
        bytes memory element = _must(MODEXP, MODEXP_GAS, number, 48);
        return _must(MAP_TO_G1, MAP_GAS, abi.encodePacked(bytes16(0), element), G1_LEN);
    }

    /// A call that cannot fail but on a chain without EIP-2537.
    function _must(address precompile, uint256 gasMax, bytes memory input, uint256 length)
        private
        view
        returns (bytes memory)
    {
        (bool done, bytes memory output) = _call(precompile, gasMax, input, length);
        if (!done) revert NotEnoughGas();
        return output;
    }

    function _call(address precompile, uint256 gasMax, bytes memory input, uint256 length)
        private
        view
        returns (bool done, bytes memory output)
    {
        // One part in 64 stays here (EIP-150).
        if (gasleft() < gasMax + gasMax / 32 + 1_000) revert NotEnoughGas();
        (done, output) = precompile.staticcall{gas: gasMax}(input);
        done = done && output.length == length;
    }

    function _word(bytes memory source, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(source, 32), offset))
        }
    }
}
