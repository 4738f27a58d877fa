// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// What the clients' checks call: state, events, money, and each way to fail.
contract Probe {
    event Counted(address indexed by, uint256 indexed count, string note);
    event Paid(address indexed from, uint256 value);

    error TooLittle(uint256 given, uint256 wanted);

    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant VOTE = keccak256("Vote(uint256 id,string text)");

    /// Slot 0.
    uint256 public count;
    /// Slot 1.
    mapping(uint256 => uint256) public values;

    constructor(uint256 start) payable {
        count = start;
    }

    receive() external payable {
        emit Paid(msg.sender, msg.value);
    }

    function set(uint256 next, string calldata note) external returns (uint256 before) {
        before = count;
        count = next;
        emit Counted(msg.sender, next, note);
    }

    /// One event for each of `number` counts from `first` on.
    function many(uint256 first, uint256 number) external {
        for (uint256 i = 0; i < number; i++) {
            emit Counted(msg.sender, first + i, "many");
        }
    }

    function put(uint256 key, uint256 value) external {
        values[key] = value;
    }

    function pay() external payable returns (uint256) {
        emit Paid(msg.sender, msg.value);
        return address(this).balance;
    }

    function fail(string calldata reason) external pure {
        revert(reason);
    }

    function failOwn(uint256 given, uint256 wanted) external pure {
        revert TooLittle(given, wanted);
    }

    function failPanic(uint256 divisor) external pure returns (uint256) {
        return 1 / divisor;
    }

    function context() external view returns (address sender, uint256 chain, uint256 number, uint256 time, uint256 limit) {
        return (msg.sender, block.chainid, block.number, block.timestamp, block.gaslimit);
    }

    function ancestor(uint256 number) external view returns (bytes32) {
        return blockhash(number);
    }

    /// Who signed `text` as a personal message (EIP-191), of 32 bytes.
    function signerOfMessage(bytes32 text, uint8 v, bytes32 r, bytes32 s) external pure returns (address) {
        return ecrecover(keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", text)), v, r, s);
    }

    /// Who signed a vote as typed data (EIP-712) for this contract on this chain.
    function signerOfVote(uint256 id, string calldata text, uint8 v, bytes32 r, bytes32 s) external view returns (address) {
        bytes32 domain = keccak256(abi.encode(DOMAIN, keccak256("Probe"), keccak256("1"), block.chainid, address(this)));
        bytes32 vote = keccak256(abi.encode(VOTE, id, keccak256(bytes(text))));
        return ecrecover(keccak256(abi.encodePacked("\x19\x01", domain, vote)), v, r, s);
    }
}
