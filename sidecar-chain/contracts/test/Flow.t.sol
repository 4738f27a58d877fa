// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Flow} from "../src/Flow.sol";
import {IFlow, MineContext, Submission, SubmissionData, SubmissionNode} from "../src/IFlow.sol";
import {Market} from "../src/Market.sol";
import {Rewards} from "../src/Rewards.sol";
import {ZeroRoots} from "../src/ZeroRoots.sol";
import {Case, Vm} from "./Case.sol";

/// What the flow's tests share: a flow with its market, at the price of the vectors.
abstract contract FlowCase is Case {
    uint256 internal constant PRICE = 1000000007;
    uint256 internal constant FIRST_BLOCK = 20;
    uint256 internal constant BLOCKS_PER_EPOCH = 100;

    Flow internal flow;
    Market internal market;
    Rewards internal rewards;

    function setUp() public virtual {
        vm.roll(FIRST_BLOCK);
        (flow, market, rewards) = (new Flow(), new Market(), new Rewards());
        rewards.initialize();
        market.initialize(PRICE, address(flow), address(0), payable(address(rewards)));
        flow.initialize(address(market), BLOCKS_PER_EPOCH);
    }

    receive() external payable virtual {}

    /// A valid submission of one node.
    function single(bytes32 root, uint256 height) internal pure returns (SubmissionData memory data) {
        data.length = 256 << height;
        data.nodes = new SubmissionNode[](1);
        data.nodes[0] = SubmissionNode(root, height);
    }

    function named(SubmissionData memory data, address submitter) internal pure returns (Submission memory) {
        return Submission(data, submitter);
    }
}

contract FlowTest is FlowCase {
    uint256 private constant WITH_CALLDATA = 4;
    string private vectors;

    function setUp() public override {
        super.setUp();
        vectors = vm.readFile("vectors/flow.json");
    }

    /// The vectors' calls give the vectors' results, logs, and roots, for every submission.
    function test_calls_give_what_the_vectors_say() public {
        for (uint256 i = 0; i < 9; ++i) {
            uint256 fee = number(i, "fee");
            vm.recordLogs();
            (uint256 index, bytes32 digest, uint256 start, uint256 length) = replay(i, fee);
            same(index, i, "index");
            same(digest, hash(i, "digest"), "digest");
            same(start, number(i, "startPos"), "start");
            same(length, number(i, "length"), "length");
            checkState(i);
            if (i < WITH_CALLDATA) checkLog(i);
        }
        same(address(flow).balance, 0, "nothing stays in the flow");
    }

    /// The first ones carry the clients' own calldata; the others are built from their nodes.
    function replay(uint256 i, uint256 fee) private returns (uint256, bytes32, uint256, uint256) {
        bytes memory call = i < WITH_CALLDATA
            ? raw(i, "calldata")
            : abi.encodeWithSelector(bytes4(0xbc8c11f8), named(dataOf(i), address(0x5b)));
        (bool done, bytes memory result) = address(flow).call{value: fee}(call);
        check(done, "the call succeeds");
        return abi.decode(result, (uint256, bytes32, uint256, uint256));
    }

    function dataOf(uint256 i) private view returns (SubmissionData memory data) {
        data.length = number(i, "size");
        uint256 rest = number(i, "length");
        uint256 count;
        for (uint256 ones = rest; ones > 0; ones &= ones - 1) ++count;
        data.nodes = new SubmissionNode[](count);
        for (uint256 n = 0; n < count; ++n) {
            data.nodes[n].root = hash(i, text("nodes[", n, "].root"));
            data.nodes[n].height = number(i, text("nodes[", n, "].height"));
        }
    }

    function checkState(uint256 i) private view {
        (uint256 currentLength,) = flow.tree();
        same(currentLength, number(i, "currentLength"), "row");
        same(flow.getFlowRootByTxSeq(i), hash(i, "flowRootAfter"), "root kept");
        same(flow.computeFlowRoot(), hash(i, "flowRootAfter"), "root now");
    }

    function checkLog(uint256 i) private {
        Vm.Log memory log = vm.getRecordedLogs()[0];
        same(log.topics.length, 3, "topics");
        for (uint256 t = 0; t < 3; ++t) same(log.topics[t], hash(i, text("submitLog.topics[", t, "]")), "topic");
        same(keccak256(log.data), keccak256(raw(i, "submitLog.data")), "data");
    }

    /// A context made late, with submissions after the epoch began, is the vectors' context.
    function test_context_is_that_of_the_epochs_beginning() public {
        for (uint256 i = 0; i < 9; ++i) {
            replay(i, number(i, "fee"));
        }
        vm.roll(150);
        vm.setBlockhash(120, vm.parseJsonBytes32(vectors, ".mineContextAfterFirstEpoch.blockDigest"));
        flow.submit{value: PRICE * 2}(single(keccak256("later"), 1));
        MineContext memory context = flow.makeContextWithResult();
        same(context.epoch, 1, "epoch");
        same(context.mineStart, 120, "mine start");
        same(context.flowLength, 36864, "length");
        same(context.flowRoot, vm.parseJsonBytes32(vectors, ".mineContextAfterFirstEpoch.flowRoot"), "root");
        same(context.digest, vm.parseJsonBytes32(vectors, ".mineContextAfterFirstEpoch.digest"), "digest");
        same(flow.getEpochRange(context.digest).end, 36864, "range");
        same(flow.queryContextAtPosition(36863).digest, context.digest, "position");
        vm.expectRevert("Can not find proper context");
        flow.queryContextAtPosition(36864);
        vm.expectRevert("Queried position exceeds upper bound");
        flow.queryContextAtPosition(36866);
    }

    /// After ten thousand epochs of silence a submission costs what it costs, and one context opens.
    function test_missed_epochs_cost_nothing() public {
        flow.submit{value: PRICE}(single(keccak256("a"), 0));
        flow.submit{value: PRICE}(single(keccak256("b"), 0));
        uint256 before = gasOfSubmit("c");
        vm.roll(FIRST_BLOCK + 10_000 * BLOCKS_PER_EPOCH + 7);
        vm.setBlockhash(FIRST_BLOCK + 10_000 * BLOCKS_PER_EPOCH, keccak256("hash"));
        uint256 late = gasOfSubmit("d");
        check(late < before + 3000, "no work for epochs");
        same(flow.makeContextWithResult().epoch, 10_000, "the newest epoch");
        same(flow.getEpochRangeHistory(0).end, 4, "over what came before it");
        same(flow.rootAt(0), flow.getFlowRootByTxSeq(2), "and its root");
        check(!flow.available(1), "one context in all");
    }

    function gasOfSubmit(string memory name) private returns (uint256) {
        SubmissionData memory data = single(keccak256(bytes(name)), 0);
        uint256 left = gasleft();
        flow.submit{value: PRICE}(data);
        return left - gasleft();
    }

    /// The older form appends the same, in the name of the caller.
    function test_older_form_names_the_caller() public {
        SubmissionData memory data = single(keccak256("x"), 3);
        vm.recordLogs();
        (, bytes32 digest, uint256 start, uint256 length) = flow.submit{value: PRICE * 8}(data);
        same(digest, keccak256(abi.encodePacked(keccak256("x"))), "digest");
        same(start, 8, "start");
        same(length, 8, "length");
        same(vm.getRecordedLogs()[0].topics[1], bytes32(uint256(uint160(address(this)))), "sender");
    }

    /// SubmitBy tells who called, whatever name the caller gives.
    function test_a_forged_name_is_beside_the_callers() public {
        vm.recordLogs();
        flow.submit{value: PRICE}(named(single(keccak256("x"), 0), address(0xbeef)));
        bytes32[] memory topics = vm.getRecordedLogs()[1].topics;
        same(topics[0], keccak256("SubmitBy(uint256,address)"), "event");
        same(topics[1], 0, "index");
        same(topics[2], bytes32(uint256(uint160(address(this)))), "caller");
    }

    /// What is paid too much comes back; too little is refused though the flow holds money.
    function test_pays_by_its_own_value_only() public {
        vm.deal(address(flow), 1 ether);
        uint256 mine = address(this).balance;
        flow.submit{value: 1 ether}(single(keccak256("x"), 0));
        same(address(this).balance, mine - PRICE, "refund");
        same(address(market).balance, PRICE, "fee");
        vm.expectRevert(abi.encodeWithSelector(IFlow.NotEnoughFee.selector, PRICE, 4, PRICE * 4 - 1));
        flow.submit{value: PRICE * 4 - 1}(single(keccak256("x"), 2));
        same(address(flow).balance, 1 ether, "what was there is nobody's");
    }

    /// A batch is the same as its submissions one by one, for the sum of their fees.
    function test_batch_equals_its_parts() public {
        Submission[] memory all = new Submission[](3);
        for (uint256 i = 0; i < 3; ++i) all[i] = named(single(keccak256(abi.encode(i)), i * 2), address(0xa));
        (,, uint256[] memory starts, uint256[] memory lengths) = flow.batchSubmit{value: PRICE * 21 + 5}(all);
        same(address(market).balance, PRICE * 21, "fee");
        bytes32 root = flow.computeFlowRoot();
        setUp();
        for (uint256 i = 0; i < 3; ++i) {
            (,, uint256 start, uint256 length) = flow.submit{value: PRICE * 21}(all[i]);
            same(start, starts[i], "start");
            same(length, lengths[i], "length");
        }
        same(flow.computeFlowRoot(), root, "root");
    }

    /// Each rule of a submission, broken alone, is refused with the text that clients know.
    function test_refuses_what_breaks_a_rule() public {
        SubmissionData memory data = single(keccak256("x"), 5);
        Submission memory nobody = named(data, address(0));
        refused(nobody);
        refused(named(changed(data, 32 * 256 + 1, 5), address(1)));
        refused(named(changed(data, 30 * 256, 5), address(1)));
        refused(named(changed(data, 256, 64), address(1)));
        SubmissionData memory two = single(keccak256("x"), 5);
        two.nodes = new SubmissionNode[](2);
        (two.nodes[0], two.nodes[1]) = (SubmissionNode("a", 5), SubmissionNode("b", 5));
        two.length = 64 * 256;
        refused(named(two, address(1)));
        two.nodes[1].height = 1;
        two.length = 34 * 256;
        refused(named(two, address(1)));
        two.nodes = new SubmissionNode[](0);
        refused(named(two, address(1)));
    }

    function changed(SubmissionData memory data, uint256 length, uint256 height)
        private
        pure
        returns (SubmissionData memory)
    {
        SubmissionData memory other = single(data.nodes[0].root, 5);
        (other.length, other.nodes[0].height) = (length, height);
        return other;
    }

    function refused(Submission memory submission) private {
        vm.expectRevert("Invalid submission");
        flow.submit{value: 1 ether}(submission);
    }

    /// Only who may pause can, and a paused flow takes nothing.
    function test_pauses() public {
        flow.pause();
        vm.expectRevert(Pausable.EnforcedPause.selector);
        flow.submit{value: PRICE}(single("x", 0));
        flow.unpause();
        flow.submit{value: PRICE}(single("x", 0));
        flow.revokeRole(flow.PAUSER_ROLE(), address(this));
        (bool done,) = address(flow).call(abi.encodeCall(flow.pause, ()));
        check(!done, "no role, no pause");
    }

    /// Nobody initialises twice.
    function test_initialises_once() public {
        (bool done,) = address(flow).call(abi.encodeCall(flow.initialize, (address(1), 1)));
        check(!done, "a second initialize");
    }

    /// Any row of submissions has the root that a tree over all its leaves has.
    function testFuzz_root_equals_a_whole_tree(uint256 seed, uint8 count) public {
        bytes memory zeros = ZeroRoots.load();
        bytes32[] memory leaves = new bytes32[](4096);
        for (uint256 i = 1; i < leaves.length; ++i) leaves[i] = ZeroRoots.rootAt(zeros, 0);
        uint256 end = 1;
        for (uint256 i = 0; i < within(count, 1, 24); ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 height = seed % 7;
            bytes32[] memory some = new bytes32[](1 << height);
            for (uint256 k = 0; k < some.length; ++k) some[k] = keccak256(abi.encode(seed, k));
            uint256 start = ((end + some.length - 1) >> height) << height;
            for (uint256 k = 0; k < some.length; ++k) leaves[start + k] = some[k];
            (,, uint256 found,) = flow.submit{value: PRICE << height}(single(fold(some), height));
            same(found, start, "start");
            end = start + some.length;
        }
        uint256 capacity = 1;
        while (capacity < end) capacity *= 2;
        bytes32[] memory used = new bytes32[](capacity);
        for (uint256 k = 0; k < capacity; ++k) used[k] = leaves[k];
        same(flow.computeFlowRoot(), fold(used), "root");
    }

    /// Root over a power of two of leaves, pair by pair.
    function fold(bytes32[] memory nodes) private pure returns (bytes32) {
        for (uint256 count = nodes.length; count > 1; count /= 2) {
            for (uint256 i = 0; i < count / 2; ++i) {
                nodes[i] = keccak256(abi.encodePacked(nodes[2 * i], nodes[2 * i + 1]));
            }
        }
        return nodes[0];
    }

    function number(uint256 i, string memory field) private view returns (uint256) {
        return vm.parseJsonUint(vectors, string.concat(text(".submissions[", i, "]."), field));
    }

    function hash(uint256 i, string memory field) private view returns (bytes32) {
        return vm.parseJsonBytes32(vectors, string.concat(text(".submissions[", i, "]."), field));
    }

    function raw(uint256 i, string memory field) private view returns (bytes memory) {
        return vm.parseJsonBytes(vectors, string.concat(text(".submissions[", i, "]."), field));
    }
}
