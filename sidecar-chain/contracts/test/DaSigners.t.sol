// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Beacon} from "../src/Beacon.sol";
import {Bls} from "../src/Bls.sol";
import {DaDraw} from "../src/DaDraw.sol";
import {DaSigners} from "../src/DaSigners.sol";
import {IBeacon} from "../src/IBeacon.sol";
import {Case, Vm} from "./Case.sol";

/// Draws and points are those of lode-proofs.
contract DaVectorsTest is Case {
    string private vectors;

    function setUp() public {
        vectors = vm.readFile("../../proofs/vectors/da-committee.json");
    }

    /// [D-32] to [D-34] Each quorum of the vectors is drawn as they say, and every row is found from its slot.
    function test_draws_are_those_of_the_vectors() public {
        for (uint256 i = 0; i < vm.parseJsonUint(vectors, ".quorumCount"); ++i) {
            string memory quorum = text(".quorums[", i, "]");
            vm.chainId(number(quorum, ".chainId"));
            bytes32 beacon = vm.parseJsonBytes32(vectors, string.concat(quorum, ".beacon"));
            bytes32 drawn = DaDraw.draw(beacon, uint64(number(quorum, ".epoch")), uint32(number(quorum, ".quorum")));
            same(drawn, vm.parseJsonBytes32(vectors, string.concat(quorum, ".draw")), "draw");
            uint256[] memory stakes = new uint256[](number(quorum, ".holders"));
            for (uint256 j = 0; j < stakes.length; ++j) stakes[j] = number(quorum, text(".stakes[", j, "]"));
            uint256[] memory rows = DaDraw.rowsOf(drawn, stakes);
            for (uint256 j = 0; j < rows.length; ++j) same(rows[j], number(quorum, text(".rows[", j, "]")), "rows");
            checkRows(quorum, drawn, rows);
        }
    }

    function checkRows(string memory quorum, bytes32 drawn, uint256[] memory rows) private view {
        bytes memory seats = new bytes(2 * DaDraw.ROWS);
        uint256 slot;
        uint256 seat;
        for (uint256 i = 0; i < rows.length; ++i) {
            if (rows[i] == 0) continue;
            for (uint256 end = slot + rows[i]; slot < end; ++slot) {
                uint256 row = DaDraw.rowOf(drawn, slot);
                same(DaDraw.slotOf(drawn, row), slot, "slot");
                (seats[2 * row], seats[2 * row + 1]) = (bytes1(uint8(seat >> 8)), bytes1(uint8(seat)));
            }
            ++seat;
        }
        same(sha256(seats), vm.parseJsonBytes32(vectors, string.concat(quorum, ".seatOfRowSha256")), "seats");
    }

    /// Stakes that nothing can be drawn by are refused.
    function test_stakes_are_bounded() public {
        vm.expectRevert(abi.encodeWithSelector(DaDraw.WrongHolders.selector, 0));
        this.draw(new uint256[](0));
        vm.expectRevert(abi.encodeWithSelector(DaDraw.WrongHolders.selector, 341));
        this.draw(new uint256[](341));
        vm.expectRevert(abi.encodeWithSelector(DaDraw.WrongStakes.selector, 0));
        this.draw(new uint256[](3));
        uint256[] memory stakes = new uint256[](2);
        (stakes[0], stakes[1]) = ((1 << 110) - 1, 1);
        vm.expectRevert(abi.encodeWithSelector(DaDraw.WrongStakes.selector, 1 << 110));
        this.draw(stakes);
    }

    function draw(uint256[] memory stakes) external pure returns (uint256[] memory) {
        return DaDraw.rowsOf(keccak256("draw"), stakes);
    }

    /// Whatever the stakes, all rows are given, and nobody has fewer than its stake pays for.
    function test_all_rows_are_given(uint104[] memory some, bytes32 drawn) public pure {
        uint256 count = some.length < 340 ? some.length : 340;
        uint256[] memory stakes = new uint256[](count + 1);
        uint256 total = stakes[count] = 1;
        for (uint256 i = 0; i < count; ++i) total += stakes[i] = some[i] >> 3;
        if (count == 340) return;
        uint256[] memory rows = DaDraw.rowsOf(drawn, stakes);
        uint256 sum;
        for (uint256 i = 0; i < rows.length; ++i) {
            check(rows[i] >= stakes[i] * 3072 / total, "share");
            sum += rows[i];
        }
        same(sum, 3072, "rows");
    }

    /// Keys are compressed as holders sign them, and each has its opposite.
    function test_points() public view {
        for (uint256 i = 0; i < 6; ++i) {
            bytes memory key = vm.parseJsonBytes(vectors, text(".keys[", i, "].key"));
            bytes memory short = vm.parseJsonBytes(vectors, text(".keys[", i, "].compressed"));
            same(keccak256(Bls.compressG2(key)), keccak256(short), "compressed");
            (bool done, bytes memory sum) = Bls.add(key, Bls.negate(key));
            check(done, "both are points");
            same(keccak256(sum), keccak256(new bytes(256)), "infinity");
        }
        same(keccak256(Bls.negate(new bytes(256))), keccak256(new bytes(256)), "infinity's own");
    }

    function number(string memory at_, string memory key) private view returns (uint256) {
        return vm.parseJsonUint(vectors, string.concat(at_, key));
    }
}

/// What the holders' tests share: a registry, and keys of the vectors.
abstract contract DaCase is Case {
    uint64 internal constant BLOCKS = 10;
    uint64 internal constant UNBOND = 4;
    uint128 internal constant MIN = 100;

    DaSigners internal registry;
    Beacon internal beacon;
    string internal vectors;

    function setUp() public virtual {
        vm.roll(0);
        vectors = vm.readFile("../../proofs/vectors/da-committee.json");
        (beacon, registry) = (new Beacon(), new DaSigners());
        beacon.initialize(5);
        registry.initialize(BLOCKS, UNBOND, MIN, IBeacon(address(beacon)));
    }

    function key(uint256 i, string memory what) internal view returns (bytes memory) {
        return vm.parseJsonBytes(vectors, string.concat(text(".keys[", i, "]."), what));
    }
}

contract DaSignersTest is DaCase {
    function join(address owner, uint256 i, uint128 stake) private {
        vm.deal(owner, stake);
        vm.prank(owner);
        registry.register{value: stake}(key(i, "key"), key(i, "possession"), bytes32(uint256(1)), "host:1");
    }

    /// A change counts from the second epoch after it, and an epoch before that has no quorum.
    function test_changes_count_two_epochs_later() public {
        vm.roll(BLOCKS * 5);
        join(address(1), 0, 200);
        same(registry.stakeIn(1, 6), 0, "not next");
        same(registry.stakeIn(1, 7), 200, "the one after");
        vm.expectRevert(abi.encodeWithSelector(DaDraw.WrongStakes.selector, 0));
        registry.makeEpoch();
        vm.roll(BLOCKS * 7);
        registry.makeEpoch();
        same(registry.epochNumber(), 7, "newest");
        (, DaSigners.Seat[] memory seats) = registry.committee(7, 0);
        same(seats.length, 1, "seats");
        same(seats[0].rows, 3072, "rows");
        check(registry.getQuorumRow(7, 0, 3071) == address(1), "row");
        vm.expectRevert(abi.encodeWithSelector(DaSigners.NoQuorum.selector, 7, 1));
        registry.getQuorum(7, 1);
        vm.expectRevert(abi.encodeWithSelector(DaSigners.NoRow.selector, 3072));
        registry.getQuorumRow(7, 0, 3072);
    }

    /// Settings that would let stakes be chosen by a known beacon are refused.
    function test_settings() public {
        DaSigners other = new DaSigners();
        IBeacon known = IBeacon(address(beacon));
        vm.expectRevert(DaSigners.WrongSettings.selector);
        other.initialize(4, UNBOND, MIN, known);
        vm.expectRevert(DaSigners.WrongSettings.selector);
        other.initialize(BLOCKS, 2, MIN, known);
        vm.expectRevert(DaSigners.WrongSettings.selector);
        other.initialize(BLOCKS, UNBOND, 0, known);
        other.initialize(5, UNBOND, MIN, known);
    }

    /// Stake comes back after its delay, once; key and name are then free, and the number is not.
    function test_leaves_and_may_come_again() public {
        join(address(1), 0, 200);
        join(address(2), 1, 200);
        vm.startPrank(address(1));
        vm.expectRevert(abi.encodeWithSelector(DaSigners.StakeTooSmall.selector, 99, MIN));
        registry.unbond(101);
        registry.unbond(200);
        vm.roll(BLOCKS * UNBOND);
        registry.withdraw();
        same(address(1).balance, 200, "all came back");
        vm.expectRevert(abi.encodeWithSelector(DaSigners.NotRegistered.selector, address(1)));
        registry.withdraw();
        registry.register{value: 100}(key(0, "key"), key(0, "possession"), bytes32(uint256(1)), "host:2");
        registry.updateSocket("host:3");
        registry.updatePeerKey(bytes32(uint256(7)));
        vm.stopPrank();
        same(registry.numberOf(address(1)), 3, "another number");
        same(registry.holderOf(3).place, 2, "place");
        same(registry.holderOf(3).peerKey, bytes32(uint256(7)), "peer key");
        same(registry.holderOf(2).place, 1, "the last took the place");
        same(registry.holderOf(1).place, 0, "left");
    }
}

/// Random holders do random things; see the invariants below.
contract DaActor is Case {
    DaSigners private immutable registry;
    mapping(uint64 epoch => bytes32) public madeAs;
    bytes[6] private keys;
    bytes[6] private possessions;

    constructor(DaSigners registry_) {
        registry = registry_;
        string memory vectors = vm.readFile("../../proofs/vectors/da-committee.json");
        for (uint256 i = 0; i < 6; ++i) {
            keys[i] = vm.parseJsonBytes(vectors, text(".keys[", i, "].key"));
            possessions[i] = vm.parseJsonBytes(vectors, text(".keys[", i, "].possession"));
        }
    }

    function act(uint8 who, uint8 what, uint128 amount, uint8 blocks) external {
        address owner = address(uint160(0x1000 + who % 6));
        amount = uint128(within(amount, 1, 1000));
        vm.deal(owner, owner.balance + amount);
        address to = address(registry);
        bool done;
        if (what % 6 == 4) {
            // To the first block of an epoch or a block after it: there a quorum is made.
            vm.roll((block.number / 10 + 1 + blocks % 3) * 10 + blocks % 2);
            vm.prevrandao(keccak256(abi.encode(blocks, amount)));
            (done,) = to.call(abi.encodeCall(registry.makeEpoch, ()));
        } else {
            vm.prank(owner);
            if (what % 6 == 0 || what % 6 == 5) {
                bytes memory call =
                    abi.encodeCall(registry.register, (keys[who % 6], possessions[who % 6], bytes32(uint256(1)), "host:1"));
                (done,) = to.call{value: amount}(call);
            } else if (what % 6 == 1) {
                (done,) = to.call{value: amount}(abi.encodeCall(registry.bond, ()));
            } else if (what % 6 == 2) {
                (done,) = to.call(abi.encodeCall(registry.unbond, (amount)));
            } else {
                (done,) = to.call(abi.encodeCall(registry.withdraw, ()));
            }
        }
        note();
    }

    /// Remembers the quorums that were made, and finds one that changed afterwards.
    function note() private {
        uint64 newest = uint64(registry.epochNumber());
        for (uint64 epoch = newest < 3 ? 0 : newest - 3; epoch <= newest; ++epoch) {
            bytes32 hash = registry.committeeHash(epoch, 0);
            if (hash == 0) continue;
            (, DaSigners.Seat[] memory seats) = registry.committee(epoch, 0);
            uint256 rows;
            bytes32 who = hash;
            for (uint256 i = 0; i < seats.length; ++i) {
                rows += seats[i].rows;
                who = keccak256(abi.encode(who, seats[i].owner, seats[i].stake, seats[i].rows, seats[i].key));
            }
            same(rows, 3072, "rows of a quorum");
            if (madeAs[epoch] == 0) madeAs[epoch] = who;
            same(who, madeAs[epoch], "a quorum changed");
        }
    }
}

contract DaInvariants is DaCase {
    DaActor private actor;

    function setUp() public override {
        super.setUp();
        actor = new DaActor(registry);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actor);
    }

    /// The balance is what is staked and what is leaving, and the list and the places agree.
    function invariant_money_is_conserved() external view {
        uint256 sum;
        uint32[] memory listed = registry.listed();
        for (uint256 i = 0; i < listed.length; ++i) {
            DaSigners.Holder memory holder = registry.holderOf(listed[i]);
            sum += holder.stakeLater + holder.leaving;
            same(holder.place, i + 1, "place");
            same(registry.numberOf(holder.owner), listed[i], "number");
            check(holder.stakeLater == 0 || holder.stakeLater >= 100, "stake");
        }
        same(address(registry).balance, sum, "balance");
    }
}
