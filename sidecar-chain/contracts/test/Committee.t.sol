// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Committee} from "../src/Committee.sol";
import {Case} from "./Case.sol";

/// Stakes and committees: what counts when, who is in, and that stake comes back.
contract CommitteeTest is Case {
    uint64 private constant BLOCKS = 10;
    uint64 private constant UNBOND = 4;
    uint64 private constant SEATS = 3;
    uint128 private constant MIN = 100;
    Committee private registry;

    function setUp() public {
        vm.roll(0);
        registry = new Committee();
        registry.initialize(BLOCKS, UNBOND, SEATS, MIN);
    }

    function join(address owner, bytes32 key, uint128 stake) private {
        vm.deal(owner, stake);
        vm.prank(owner);
        registry.register{value: stake}(key, "host:1");
    }

    function size(uint64 epoch) private view returns (uint256) {
        return registry.committee(epoch).length;
    }

    /// A change counts from the second epoch after it; the committees before that are fixed.
    function test_changes_count_two_epochs_later() public {
        vm.roll(BLOCKS * 5);
        join(address(1), "a", 200);
        same(size(5), 0, "not now");
        same(size(6), 0, "not next");
        same(size(7), 1, "the one after");
        vm.roll(BLOCKS * 6);
        vm.deal(address(1), 50);
        vm.prank(address(1));
        registry.bond{value: 50}();
        same(registry.committee(7)[0].stake, 200, "fixed");
        same(registry.committee(8)[0].stake, 250, "then more");
        vm.roll(BLOCKS * 7);
        vm.prank(address(1));
        registry.unbond(250);
        same(registry.committee(7)[0].stake, 200, "still in");
        same(registry.committee(8)[0].stake, 250, "and here");
        same(size(9), 0, "out");
        vm.roll(BLOCKS * 9);
        same(size(9), 0, "stays out");
    }

    /// The largest stakes sit, of equal ones the smaller key.
    function test_seats_go_to_the_largest() public {
        join(address(1), "d", 100);
        join(address(2), "c", 300);
        join(address(3), "b", 200);
        join(address(4), "a", 200);
        Committee.Member[] memory members = registry.committee(2);
        same(members.length, 3, "seats");
        same(members[0].key, "c", "first");
        same(members[1].key, "a", "second");
        same(members[2].key, "b", "third");
        same(keccak256(bytes(members[0].endpoint)), keccak256("host:1"), "endpoint");
    }

    /// Only what an epoch's committee can be known for is answered.
    function test_answers_this_epoch_and_the_next_two() public {
        vm.roll(BLOCKS * 5);
        size(5);
        size(7);
        vm.expectRevert(abi.encodeWithSelector(Committee.EpochOutOfReach.selector, 8, 5));
        registry.committee(8);
        vm.expectRevert(abi.encodeWithSelector(Committee.EpochOutOfReach.selector, 4, 5));
        registry.committee(4);
    }

    /// Stake comes back after its delay, once, and with it the name goes.
    function test_leaves_and_may_come_again() public {
        join(address(1), "a", 200);
        join(address(2), "b", 200);
        vm.startPrank(address(1));
        vm.expectRevert(abi.encodeWithSelector(Committee.StakeTooSmall.selector, 99, MIN));
        registry.unbond(101);
        registry.unbond(100);
        registry.unbond(100);
        vm.roll(BLOCKS * UNBOND - 1);
        vm.expectRevert(abi.encodeWithSelector(Committee.StillLeaving.selector, UNBOND, UNBOND - 1));
        registry.withdraw();
        vm.roll(BLOCKS * UNBOND);
        registry.withdraw();
        same(address(1).balance, 200, "all came back");
        vm.expectRevert(abi.encodeWithSelector(Committee.NotRegistered.selector, address(1)));
        registry.withdraw();
        registry.register{value: 100}("a", "host:2");
        vm.stopPrank();
        same(registry.owners().length, 2, "two again");
        same(registry.validatorOf(address(2)).place, 1, "the last took the place");
        same(registry.validatorOf(address(1)).place, 2, "and the other the end");
        same(address(registry).balance, 300, "what is staked");
    }

    /// Owners, keys, endpoints and stakes that cannot be are refused.
    function test_refusals() public {
        join(address(1), "a", 200);
        vm.deal(address(this), 1000);
        vm.expectRevert(abi.encodeWithSelector(Committee.KeyTaken.selector, bytes32("a")));
        registry.register{value: 100}("a", "x");
        vm.expectRevert(Committee.NoKey.selector);
        registry.register{value: 100}(0, "x");
        vm.expectRevert(abi.encodeWithSelector(Committee.WrongEndpoint.selector, 0));
        registry.register{value: 100}("b", "");
        vm.expectRevert(abi.encodeWithSelector(Committee.WrongEndpoint.selector, 129));
        registry.register{value: 100}("b", string(new bytes(129)));
        vm.expectRevert(abi.encodeWithSelector(Committee.StakeTooSmall.selector, 99, MIN));
        registry.register{value: 99}("b", "x");
        vm.prank(address(1));
        vm.expectRevert(abi.encodeWithSelector(Committee.AlreadyRegistered.selector, address(1)));
        registry.register("c", "x");
        vm.expectRevert(abi.encodeWithSelector(Committee.NotRegistered.selector, address(this)));
        registry.bond{value: 1}();
        for (uint160 i = 2; i <= 256; ++i) join(address(i << 20), bytes32(uint256(i)), MIN);
        vm.expectRevert(Committee.TooManyValidators.selector);
        registry.register{value: 100}("z", "x");
        same(size(2), SEATS, "and the full list still answers");
    }
}

/// Random owners do random things; see the invariants below.
contract CommitteeActor is Case {
    Committee private immutable registry;
    mapping(uint64 epoch => bytes32) public fixedAs;

    constructor(Committee registry_) {
        registry = registry_;
    }

    function act(uint8 who, uint8 what, uint128 amount, uint8 blocks) external {
        note();
        address owner = address(uint160(0x1000 + who % 6));
        amount = uint128(within(amount, 1, 1000));
        vm.deal(owner, owner.balance + amount);
        vm.prank(owner);
        address to = address(registry);
        bool done;
        if (what % 5 == 0) {
            bytes32 key = bytes32(uint256(who % 6) + 1);
            (done,) = to.call{value: amount}(abi.encodeCall(registry.register, (key, "host:1")));
        } else if (what % 5 == 1) {
            (done,) = to.call{value: amount}(abi.encodeCall(registry.bond, ()));
        } else if (what % 5 == 2) {
            (done,) = to.call(abi.encodeCall(registry.unbond, (amount)));
        } else if (what % 5 == 3) {
            (done,) = to.call(abi.encodeCall(registry.withdraw, ()));
        } else {
            vm.roll(block.number + blocks % 25);
        }
        note();
    }

    /// Remembers the committees that are fixed, and finds one that changed afterwards.
    function note() private {
        for (uint64 epoch = registry.epoch(); epoch <= registry.epoch() + 1; ++epoch) {
            bytes32 now_ = keccak256(abi.encode(registry.committee(epoch)));
            if (fixedAs[epoch] == 0) fixedAs[epoch] = now_;
            same(now_, fixedAs[epoch], "a fixed committee changed");
        }
    }
}

contract CommitteeInvariants is Case {
    Committee private registry;
    CommitteeActor private actor;

    function setUp() public {
        registry = new Committee();
        registry.initialize(10, 3, 4, 100);
        actor = new CommitteeActor(registry);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actor);
    }

    /// The balance is what is staked and what is leaving, and the list and the places agree.
    function invariant_money_is_conserved() external view {
        uint256 sum;
        address[] memory owners = registry.owners();
        for (uint256 i = 0; i < owners.length; ++i) {
            Committee.Validator memory validator = registry.validatorOf(owners[i]);
            sum += validator.stakeLater + validator.leaving;
            same(validator.place, i + 1, "place");
            check(registry.ownerOf(validator.key) == owners[i], "key");
            check(validator.stakeLater == 0 || validator.stakeLater >= 100, "stake");
        }
        same(address(registry).balance, sum, "balance");
    }
}
