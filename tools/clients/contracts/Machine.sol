// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Does what two chains must do alike, and tells of it in logs: arithmetic, memory, storage, calls,
/// creations, failures. Nothing here depends on a block's number, time or producer.
contract Machine {
    event Did(bytes32 what, bytes32 result);
    event Called(bool success, uint256 len, bytes32 output);
    event Made(address made, uint256 codeLen);

    error Own(uint256 a, bytes b);

    mapping(uint256 => uint256) internal values;
    uint256 transient internal depth;

    constructor() payable {}

    receive() external payable {
        emit Did("receive", bytes32(msg.value));
    }

    fallback() external payable {
        emit Did("fallback", keccak256(msg.data));
    }

    /// Every arithmetic and bit operation on three words.
    function compute(uint256 a, uint256 b, uint256 c) external returns (bytes32 sum) {
        assembly ("memory-safe") {
            function note(value) {
                mstore(0, keccak256(0, 64))
                mstore(32, value)
            }
            mstore(0, 0)
            mstore(32, 0)
            note(add(a, b)) note(sub(a, b)) note(mul(a, b)) note(div(a, b)) note(sdiv(a, b)) note(mod(a, b))
            note(smod(a, b)) note(addmod(a, b, c)) note(mulmod(a, b, c)) note(exp(a, and(b, 0xffff)))
            note(signextend(and(c, 31), a)) note(lt(a, b)) note(gt(a, b)) note(slt(a, b)) note(sgt(a, b))
            note(eq(a, b)) note(iszero(c)) note(and(a, b)) note(or(a, b)) note(xor(a, b)) note(not(a))
            note(byte(and(c, 31), a)) note(shl(and(c, 0x1ff), a)) note(shr(and(c, 0x1ff), a))
            note(sar(and(c, 0x1ff), a)) note(clz(a))
            sum := keccak256(0, 64)
        }
        emit Did("compute", sum);
    }

    /// Writes `writes` one after another to one slot: the orders that cost and refund differently.
    function rewrite(uint256 slot, uint256[] calldata writes) external {
        for (uint256 i = 0; i < writes.length; i++) {
            values[slot] = writes[i];
        }
    }

    function fill(uint256 first, uint256 number, uint256 value) external {
        for (uint256 i = 0; i < number; i++) {
            values[first + i] = value == 0 ? 0 : value + i;
        }
    }

    function read(uint256 first, uint256 number) external view returns (uint256 sum) {
        for (uint256 i = 0; i < number; i++) {
            sum ^= values[first + i];
        }
    }

    /// Touches memory up to `at`, and copies within it.
    function memoryAt(uint256 at, uint256 len) external returns (bytes32 hash) {
        assembly {
            let free := mload(0x40)
            mstore(add(free, at), not(0))
            mcopy(free, add(free, at), len)
            calldatacopy(add(free, 7), 0, calldatasize())
            codecopy(add(free, 300), 11, 99)
            hash := keccak256(free, add(len, 64))
            mstore8(free, 1)
        }
        emit Did("memory", hash);
    }

    /// Transient storage through calls to itself: seen below, gone where a call reverts.
    function transients(uint256 levels, bool fails) external {
        depth += 1;
        if (levels > 0) {
            try this.transients(levels - 1, !fails) {} catch {}
        }
        emit Did("transient", bytes32(depth));
        require(!fails, "fails on purpose");
    }

    /// Calls in each way: 0 call, 1 static, 2 delegate, 3 callcode.
    function callTo(uint256 way, address target, uint256 value, uint256 gasMax, bytes memory data) public payable {
        bool success;
        bytes32 output;
        uint256 len;
        assembly ("memory-safe") {
            let input := add(data, 32)
            let size := mload(data)
            switch way
            case 0 { success := call(gasMax, target, value, input, size, 0, 0) }
            case 1 { success := staticcall(gasMax, target, input, size, 0, 0) }
            case 2 { success := delegatecall(gasMax, target, input, size, 0, 0) }
            default { success := callcode(gasMax, target, value, input, size, 0, 0) }
            len := returndatasize()
            let free := mload(0x40)
            returndatacopy(free, 0, len)
            output := keccak256(free, len)
        }
        emit Called(success, len, output);
    }

    /// A contract of `code`, by CREATE2 when there is a salt.
    function make(bytes memory code, uint256 value, bytes32 salt) public payable returns (address made) {
        assembly ("memory-safe") {
            switch salt
            case 0 { made := create(value, add(code, 32), mload(code)) }
            default { made := create2(value, add(code, 32), mload(code), salt) }
        }
        emit Made(made, made.code.length);
    }

    /// Makes a contract and calls it: destroyed in its first transaction, if it destroys itself when called.
    function makeAndCall(bytes memory code, bytes32 salt, bytes memory data) external payable {
        address made = make(code, 0, salt);
        // Another stands there: address zero, which producers are paid at, would be looked at in its place.
        if (made == address(0)) return;
        callTo(0, made, address(this).balance / 1000, gasleft() / 2, data);
        emit Did("after", bytes32(made.balance ^ made.code.length));
    }

    function destroy(address payable heir) external {
        emit Did("destroy", bytes32(address(this).balance));
        assembly {
            selfdestruct(heir)
        }
    }

    /// What the chain says of an account.
    function look(address who) external {
        bytes32 parts;
        assembly {
            let free := mload(0x40)
            mstore(free, extcodesize(who))
            mstore(add(free, 32), extcodehash(who))
            mstore(add(free, 64), balance(who))
            mstore(add(free, 96), selfbalance())
            extcodecopy(who, add(free, 128), 3, 64)
            parts := keccak256(free, 192)
        }
        emit Did("look", parts);
    }

    /// Reads what belongs to a block and drops it: what it costs must be alike, its value need not.
    function blockOf() external {
        uint256 gasBefore = gasleft();
        assembly {
            pop(number()) pop(timestamp()) pop(prevrandao()) pop(coinbase()) pop(gaslimit()) pop(basefee())
            pop(blobbasefee()) pop(blobhash(0)) pop(blockhash(1)) pop(blockhash(not(0)))
        }
        emit Did("block", bytes32(gasBefore - gasleft()));
        emit Did("chain", bytes32(block.chainid));
    }

    function logs(uint256 a, uint256 len) external {
        assembly {
            let free := mload(0x40)
            mstore(free, a)
            log0(free, len)
            log1(free, len, a)
            log2(free, len, a, not(a))
            log3(free, len, a, not(a), 3)
            log4(free, len, a, not(a), 3, 4)
        }
    }

    /// Fails in each way there is.
    function fail(uint256 way, uint256 a, bytes calldata b) external returns (uint256) {
        values[a] += 1;
        if (way == 0) revert("a reason");
        if (way == 1) revert Own(a, b);
        if (way == 2) return a / (a - a);
        if (way == 3) {
            assembly {
                invalid()
            }
        }
        if (way == 4) while (true) values[a++] = a;
        if (way == 5) {
            assembly {
                returndatacopy(0, 0, 1)
            }
        }
        if (way == 6) {
            assembly {
                revert(0, a)
            }
        }
        if (way == 7) {
            assembly {
                mstore(not(0), 1)
            }
        }
        return values[a];
    }

    /// Calls itself until gas or depth ends.
    function recurse(uint256 levels) external returns (uint256 reached) {
        if (levels == 0) return 1;
        try this.recurse(levels - 1) returns (uint256 below) {
            return below + 1;
        } catch {
            return 0;
        }
    }
}
