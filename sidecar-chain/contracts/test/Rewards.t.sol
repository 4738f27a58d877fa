// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {Beacon} from "../src/Beacon.sol";
import {Rewards} from "../src/Rewards.sol";
import {Case} from "./Case.sol";

/// Statements and claims.
contract RewardsTest is Case {
    Rewards private rewards;
    string private vectors;

    function setUp() public {
        rewards = new Rewards();
        rewards.initialize();
        vectors = vm.readFile("vectors/rewards.json");
    }

    function give(uint256 value) private {
        vm.deal(address(this), value);
        (bool done,) = address(rewards).call{value: value}("");
        check(done, "given");
    }

    /// Every claim of every tree that OpenZeppelin's library built is paid once, and adds up.
    function test_vectors() public {
        uint256 trees = vm.parseJsonUint(vectors, ".treeCount");
        uint256 paid;
        for (uint256 t = 0; t < trees; ++t) {
            string memory tree = text(".trees[", t, "]");
            uint256 claims = vm.parseJsonUint(vectors, string.concat(tree, ".claimCount"));
            uint256 total = 0.1 ether * claims * (claims + 1) / 2;
            give(total - paid);
            rewards.publish(uint64(t), vm.parseJsonBytes32(vectors, string.concat(tree, ".root")), uint128(total));
            for (uint256 c = 0; c < claims; ++c) paid += claim(string.concat(tree, text(".claims[", c, "]")));
            same(paid, total, "all of it");
        }
        same(address(rewards).balance, 0, "nothing stays");
        check(trees > 3, "there are vectors");
    }

    function claim(string memory at) private returns (uint256 amount) {
        address account = vm.parseJsonAddress(vectors, string.concat(at, ".account"));
        uint256 earned = vm.parseJsonUint(vectors, string.concat(at, ".earned"));
        bytes32[] memory proof = new bytes32[](vm.parseJsonUint(vectors, string.concat(at, ".proofCount")));
        for (uint256 i = 0; i < proof.length; ++i) {
            proof[i] = vm.parseJsonBytes32(vectors, string.concat(at, text(".proof[", i, "]")));
        }
        uint256 had = rewards.claimedBy(account);
        if (had == earned) return 0;
        vm.expectRevert(Rewards.WrongProof.selector);
        rewards.claim(account, earned + 1, proof);
        amount = rewards.claim(account, earned, proof);
        same(amount, earned - had, "what is new");
        same(account.balance, earned, "all that was earned");
        vm.expectRevert(Rewards.NothingToClaim.selector);
        rewards.claim(account, earned, proof);
    }

    function root(address account, uint256 earned) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(account, earned))));
    }

    /// A statement promises no more than there is, no less than before, and comes after it.
    function test_statements_are_bounded() public {
        give(100);
        vm.expectRevert(abi.encodeWithSelector(Rewards.NotFunded.selector, 101, 100));
        rewards.publish(1, "root", 101);
        rewards.publish(1, "root", 100);
        vm.expectRevert(abi.encodeWithSelector(Rewards.TotalFell.selector, 99, 100));
        rewards.publish(2, "root", 99);
        vm.expectRevert(abi.encodeWithSelector(Rewards.NotAfter.selector, 1, 1));
        rewards.publish(1, "root", 100);
        vm.expectRevert(Rewards.NoRoot.selector);
        rewards.publish(2, 0, 100);
        vm.prank(address(7));
        (bool done,) = address(rewards).call(abi.encodeCall(rewards.publish, (2, "root", 100)));
        check(!done, "no role, no statement");
    }

    /// A root whose leaves sum to more than its total pays the total and no more.
    function test_pays_no_more_than_it_states() public {
        give(100);
        rewards.publish(1, root(address(0x77), 100), 60);
        vm.expectRevert(abi.encodeWithSelector(Rewards.OverPromised.selector, 60, 0));
        rewards.claim(address(0x77), 100, new bytes32[](0));
        rewards.publish(2, root(address(0x77), 60), 60);
        same(rewards.claim(address(0x77), 60, new bytes32[](0)), 60, "what was stated");
    }
}

/// Randomness per slot.
contract BeaconTest is Case {
    Beacon private beacon;

    function setUp() public {
        beacon = new Beacon();
        beacon.initialize(10);
    }

    /// The slot's first block counts, and no other.
    function test_records_the_first_block() public {
        vm.roll(70);
        vm.prevrandao("first");
        beacon.record();
        vm.prevrandao("again");
        beacon.record();
        same(beacon.randomOf(7), "first", "value");
        vm.roll(71);
        vm.expectRevert(abi.encodeWithSelector(Beacon.NotFirstBlock.selector, 71));
        beacon.record();
        vm.expectRevert(abi.encodeWithSelector(Beacon.NotRecorded.selector, 8));
        beacon.randomOf(8);
    }

    /// A header of the slot's first block records later what it carries; another header does not.
    function test_records_a_header() public {
        bytes memory header = headerOf(70, "carried");
        vm.roll(95);
        vm.expectRevert(abi.encodeWithSelector(Beacon.UnknownHeader.selector, 70));
        beacon.recordHeader(header);
        vm.setBlockhash(70, keccak256(header));
        beacon.recordHeader(header);
        same(beacon.randomOf(7), "carried", "value");
        header = headerOf(71, "carried");
        vm.setBlockhash(71, keccak256(header));
        vm.expectRevert(abi.encodeWithSelector(Beacon.NotFirstBlock.selector, 71));
        beacon.recordHeader(header);
    }

    /// The oldest slot makes room, and does not come back.
    function test_history_is_bounded() public {
        bytes memory header = headerOf(70, "old");
        vm.roll(95);
        vm.setBlockhash(70, keccak256(header));
        beacon.recordHeader(header);
        vm.roll((7 + beacon.HISTORY()) * 10);
        vm.prevrandao("new");
        beacon.record();
        same(beacon.randomOf(7 + beacon.HISTORY()), "new", "value");
        check(!beacon.isRecorded(7), "gone");
    }

    function headerOf(uint256 number, bytes32 random) private pure returns (bytes memory) {
        bytes[] memory fields = new bytes[](21);
        for (uint256 i = 0; i < 21; ++i) fields[i] = RLP.encode(uint256(1));
        fields[uint256(uint8(BlockHeader.HeaderField.Number))] = RLP.encode(number);
        fields[uint256(uint8(BlockHeader.HeaderField.PrevRandao))] = RLP.encode(abi.encodePacked(random));
        return RLP.encode(fields);
    }
}
