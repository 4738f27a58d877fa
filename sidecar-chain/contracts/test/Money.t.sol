// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Anchors} from "../src/Anchors.sol";
import {Flow} from "../src/Flow.sol";
import {SubmissionData, SubmissionNode} from "../src/IFlow.sol";
import {Market} from "../src/Market.sol";
import {Rewards} from "../src/Rewards.sol";
import {Case} from "./Case.sol";

/// Random payers on all lanes at once; see the invariants below.
contract Payers is Case {
    Flow public flow = new Flow();
    Market public market = new Market();
    Anchors public anchors = new Anchors();
    Rewards public rewards = new Rewards();

    uint256 public given;
    uint256 public paid;
    uint256 public settled;
    bytes32[] public roots;
    mapping(address poster => uint64) public nonces;
    address[] private posters = [address(0x2001), address(0x2002), address(0x2003)];

    constructor() {
        flow.initialize(address(market), 10);
        anchors.initialize(address(market));
        rewards.initialize();
        market.initialize(7, address(flow), address(anchors), payable(address(rewards)));
    }

    receive() external payable {}

    function submit(uint256 seed, uint8 height, uint96 value) external {
        SubmissionData memory data;
        data.nodes = new SubmissionNode[](1);
        data.nodes[0] = SubmissionNode(keccak256(abi.encode(seed)), height % 12);
        data.length = 256 << (height % 12);
        uint256 fee = market.pricePerSector() << (height % 12);
        uint256 mine = address(this).balance;
        (bool done,) = address(flow).call{value: value}(abi.encodeWithSelector(bytes4(0xef3e12dc), data));
        check(done == (value >= fee), "accepted if and only if paid");
        same(mine - address(this).balance, done ? fee : 0, "to the wei");
        if (done) roots.push(flow.computeFlowRoot());
        if (done) paid += fee;
        vm.roll(block.number + seed % 7);
        if (seed % 5 == 0) flow.makeContext();
    }

    function anchor(uint8 who, bytes32 root, uint32 count, uint32 sectors, uint96 value, bool again) external {
        address poster = posters[who % 3];
        uint64 nonce = anchors.nonceOf(poster);
        same(nonce, nonces[poster], "nonces count the anchors");
        root = bytes32(uint256(root) % 8);
        bool fresh = anchors.recordOf(poster, root).count == 0;
        uint256 fee = market.pricePerSector() * sectors;
        uint256 funds = anchors.depositOf(poster) + value;
        bool right = fresh && !again && count > 0 && count <= 1 << 20 && sectors > 0 && funds >= fee;
        vm.deal(poster, value);
        vm.prank(poster);
        bytes memory call = abi.encodeCall(anchors.anchor, (root, count, sectors, again ? nonce + 1 : nonce));
        (bool done,) = address(anchors).call{value: value}(call);
        check(done == right, "accepted if and only if right");
        if (!done) return;
        (nonces[poster], settled, paid) = (nonce + 1, settled + 1, paid + fee);
        vm.prank(poster);
        (bool twice,) = address(anchors).call(call);
        check(!twice, "never twice");
    }

    function deposit(uint8 who, uint96 value, uint96 back) external {
        address poster = posters[who % 3];
        vm.deal(address(this), address(this).balance + value);
        anchors.deposit{value: value}(poster);
        uint256 before = anchors.depositOf(poster);
        vm.prank(poster);
        (bool done,) = address(anchors).call(abi.encodeCall(anchors.withdraw, (back)));
        check(done == (back <= before), "one's own and no more");
        same(anchors.depositOf(poster), done ? before - back : before, "deposit");
    }

    function price(uint64 value) external {
        market.setPricePerSector(value % 1000);
    }

    function collect() external {
        uint256 all = address(market).balance;
        (bool done,) = address(market).call(abi.encodeCall(market.collect, ()));
        check(done == (all > 0), "what is there");
        if (done) given += all;
    }

    function rootCount() external view returns (uint256) {
        return roots.length;
    }

    function deposits() external view returns (uint256 sum) {
        for (uint256 i = 0; i < 3; ++i) sum += anchors.depositOf(posters[i]);
    }
}

contract MoneyInvariants is Case {
    Payers private payers;

    function setUp() public {
        payers = new Payers();
        vm.deal(address(payers), 1 << 110);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(payers);
    }

    /// Every wei that was paid is in the market or has gone to the rewards; the flow keeps none,
    /// and the anchors keep the deposits.
    function invariant_money_is_conserved() external view {
        same(address(payers.flow()).balance, 0, "flow");
        same(address(payers.anchors()).balance, payers.deposits(), "anchors");
        same(address(payers.market()).balance + payers.given(), payers.paid(), "market");
        same(address(payers.rewards()).balance, payers.given(), "rewards");
        same(payers.rewards().funded(), payers.given(), "funded");
    }

    /// A root that was there once stays, under its number.
    function invariant_roots_are_append_only() external view {
        uint256 count = payers.rootCount();
        same(payers.flow().numSubmissions(), count, "submissions");
        for (uint256 i = 0; i < count; ++i) same(payers.flow().getFlowRootByTxSeq(i), payers.roots(i), "root");
        same(payers.anchors().count(), payers.settled(), "anchors");
    }
}
