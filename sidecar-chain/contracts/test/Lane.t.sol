// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AnchorNode, AnchorTree, Entry} from "../src/AnchorTree.sol";
import {Anchors} from "../src/Anchors.sol";
import {Market} from "../src/Market.sol";
import {Shape} from "../src/Shape.sol";
import {Case} from "./Case.sol";

/// The batch lane: what is settled, what can be proven of it, and what is paid.
contract LaneTest is Case {
    uint256 private constant PRICE = 1000000007;
    Anchors private anchors;
    Market private market;

    function setUp() public {
        (anchors, market) = (new Anchors(), new Market());
        market.initialize(PRICE, address(0), address(anchors), payable(address(1)));
        anchors.initialize(address(market));
    }

    receive() external payable {}

    /// Trees, paths and verdicts are those of the vectors, which the Rust twin wrote and replays.
    function test_vectors() public {
        string memory json = vm.readFile("../../proofs/vectors/anchors.json");
        uint64 nonce;
        for (uint256 t = 0; t < vm.parseJsonUint(json, ".treeCount"); ++t) {
            string memory tree = text(".trees[", t, "]");
            bytes32 root = vm.parseJsonBytes32(json, string.concat(tree, ".root"));
            uint32 count = uint32(vm.parseJsonUint(json, string.concat(tree, ".count")));
            uint64 sectors = uint64(vm.parseJsonUint(json, string.concat(tree, ".sectors")));
            anchors.anchor{value: PRICE * sectors}(root, count, sectors, nonce++);
            for (uint256 p = 0; p < vm.parseJsonUint(json, string.concat(tree, ".proofCount")); ++p) {
                checkProof(json, string.concat(tree, text(".proofs[", p, "]")), root);
            }
        }
        check(nonce > 5, "there are vectors");
    }

    function checkProof(string memory json, string memory at, bytes32 root) private view {
        Entry memory entry = Entry(
            vm.parseJsonBytes32(json, string.concat(at, ".root")),
            uint64(vm.parseJsonUint(json, string.concat(at, ".size"))),
            vm.parseJsonAddress(json, string.concat(at, ".payer")),
            uint64(vm.parseJsonUint(json, string.concat(at, ".expiry")))
        );
        AnchorNode memory leaf = AnchorTree.leaf(entry);
        same(leaf.hash, vm.parseJsonBytes32(json, string.concat(at, ".leaf")), "leaf");
        same(leaf.sectors, vm.parseJsonUint(json, string.concat(at, ".sectors")), "sectors");
        AnchorNode[] memory siblings = new AnchorNode[](vm.parseJsonUint(json, string.concat(at, ".siblingCount")));
        for (uint256 s = 0; s < siblings.length; ++s) {
            string memory sibling = string.concat(at, text(".siblings[", s, "]"));
            siblings[s].hash = vm.parseJsonBytes32(json, string.concat(sibling, ".hash"));
            siblings[s].sectors = uint64(vm.parseJsonUint(json, string.concat(sibling, ".sectors")));
        }
        uint32 place = uint32(vm.parseJsonUint(json, string.concat(at, ".place")));
        check(anchors.verifyEntry(address(this), root, place, entry, siblings), "the proof holds");
        check(!anchors.verifyEntry(address(this), root, place + 1, entry, siblings), "at its place only");
        check(!anchors.verifyEntry(address(2), root, place, entry, siblings), "for its poster only");
        entry.expiry ^= 1;
        check(!anchors.verifyEntry(address(this), root, place, entry, siblings), "for its entry only");
        entry.expiry ^= 1;
        if (siblings.length == 0) return;
        siblings[siblings.length - 1].sectors += 1;
        check(!anchors.verifyEntry(address(this), root, place, entry, siblings), "with its sums only");
    }

    /// Every entry of a tree of any size can be proven, and only if the sum that was paid is right.
    function testFuzz_every_entry_is_proven(uint256 seed, uint8 size) public {
        Entry[] memory entries = randomEntries(seed, within(size, 1, 20));
        AnchorNode memory top = build(entries, 0, entries.length);
        uint32 count = uint32(entries.length);
        anchors.anchor{value: PRICE * top.sectors}(top.hash, count, top.sectors, 0);
        vm.deal(address(7), 1 << 100);
        vm.prank(address(7));
        anchors.anchor{value: PRICE * (top.sectors + 1)}(top.hash, count, top.sectors + 1, 0);
        for (uint32 place = 0; place < count; ++place) {
            AnchorNode[] memory path = pathOf(entries, place);
            check(anchors.verifyEntry(address(this), top.hash, place, entries[place], path), "proven");
            check(!anchors.verifyEntry(address(7), top.hash, place, entries[place], path), "wrong sum");
            check(!anchors.verifyEntry(address(this), top.hash, place, entries[place], longer(path)), "too long");
        }
    }

    /// A root settles once, a nonce counts once, and other posters are not in the way.
    function test_settles_once() public {
        anchors.anchor{value: PRICE}("root", 1, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(Anchors.WrongNonce.selector, 1, 0));
        anchors.anchor{value: PRICE}("other", 1, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(Anchors.AlreadyAnchored.selector, address(this), bytes32("root")));
        anchors.anchor{value: PRICE}("root", 1, 1, 1);
        vm.deal(address(7), PRICE);
        vm.prank(address(7));
        same(anchors.anchor{value: PRICE}("root", 1, 1, 0), 1, "index");
        same(anchors.count(), 2, "two anchors");
    }

    /// Deposit and value pay together, the rest can be had back, and less than the fee is refused.
    function test_pays_from_deposit_and_value() public {
        anchors.deposit{value: 3 * PRICE}(address(this));
        vm.expectRevert(abi.encodeWithSelector(Anchors.NotEnoughFee.selector, PRICE, 10, 9 * PRICE));
        anchors.anchor{value: 6 * PRICE}("root", 10, 10, 0);
        anchors.anchor{value: 9 * PRICE}("root", 10, 10, 0);
        same(address(market).balance, 10 * PRICE, "fee");
        same(anchors.depositOf(address(this)), 2 * PRICE, "rest");
        vm.expectRevert(abi.encodeWithSelector(Anchors.NotEnoughDeposit.selector, 2 * PRICE, 2 * PRICE + 1));
        anchors.withdraw(2 * PRICE + 1);
        uint256 mine = address(this).balance;
        anchors.withdraw(2 * PRICE);
        same(address(this).balance, mine + 2 * PRICE, "had back");
        same(address(anchors).balance, 0, "nothing stays");
    }

    /// Counts and sums out of bounds are refused.
    function test_bounds() public {
        vm.expectRevert(abi.encodeWithSelector(Anchors.WrongCount.selector, 0));
        anchors.anchor("root", 0, 1, 0);
        uint32 tooMany = anchors.COUNT_MAX() + 1;
        vm.expectRevert(abi.encodeWithSelector(Anchors.WrongCount.selector, tooMany));
        anchors.anchor("root", tooMany, 1, 0);
        vm.expectRevert(Anchors.NoSectors.selector);
        anchors.anchor("root", 1, 0, 0);
    }

    /// Only the flow and the anchors charge, and only the exact fee.
    function test_market_takes_the_fee_of_those_it_knows() public {
        vm.expectRevert(abi.encodeWithSelector(Market.NotCharger.selector, address(this)));
        market.chargeFee{value: PRICE}(0, 1, 0);
        vm.deal(address(anchors), PRICE + 1);
        vm.prank(address(anchors));
        vm.expectRevert(abi.encodeWithSelector(Market.WrongFee.selector, PRICE, PRICE + 1));
        market.chargeFee{value: PRICE + 1}(0, 1, 0);
    }

    /// The price is set by its role, within its bound.
    function test_market_price() public {
        market.setPricePerSector(5);
        same(market.pricePerSector(), 5, "price");
        uint256 tooHigh = market.PRICE_MAX() + 1;
        vm.expectRevert(abi.encodeWithSelector(Market.PriceTooHigh.selector, tooHigh));
        market.setPricePerSector(tooHigh);
        vm.prank(address(7));
        (bool done,) = address(market).call(abi.encodeCall(market.setPricePerSector, (1)));
        check(!done, "no role, no price");
    }

    /// Padding of the sizes that the wire's table lists.
    function test_shape() public pure {
        uint64[13] memory sizes =
            [uint64(0), 1, 256, 257, 1023, 1025, 262143, 262144, 262145, 1048576, 1048577, 5000003, 100000007];
        uint24[13] memory sectors = [0, 1, 1, 2, 4, 5, 1024, 1024, 1152, 4096, 4608, 20480, 393216];
        for (uint256 i = 0; i < 13; ++i) same(Shape.paddedSectors(sizes[i]), sectors[i], "padded");
    }

    function randomEntries(uint256 seed, uint256 count) private pure returns (Entry[] memory entries) {
        entries = new Entry[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 random = keccak256(abi.encode(seed, i));
            uint64 size = uint64(within(uint256(random), 1, 1 << 30));
            entries[i] = Entry(random, size, address(uint160(seed)), uint64(i));
        }
    }

    /// Root over entries [first, first + count), by the definition of the shape.
    function build(Entry[] memory entries, uint256 first, uint256 count) private pure returns (AnchorNode memory) {
        if (count == 1) return AnchorTree.leaf(entries[first]);
        uint256 left = leftCount(count);
        return AnchorTree.join(build(entries, first, left), build(entries, first + left, count - left));
    }

    function pathOf(Entry[] memory entries, uint256 place) private pure returns (AnchorNode[] memory path) {
        AnchorNode[] memory down = new AnchorNode[](20);
        (uint256 first, uint256 count, uint256 depth) = (0, entries.length, 0);
        while (count > 1) {
            uint256 left = leftCount(count);
            if (place < first + left) {
                down[depth++] = build(entries, first + left, count - left);
                count = left;
            } else {
                down[depth++] = build(entries, first, left);
                (first, count) = (first + left, count - left);
            }
        }
        path = new AnchorNode[](depth);
        for (uint256 i = 0; i < depth; ++i) path[i] = down[depth - 1 - i];
    }

    function leftCount(uint256 count) private pure returns (uint256 left) {
        left = 1;
        while (left * 2 < count) left *= 2;
    }

    function longer(AnchorNode[] memory path) private pure returns (AnchorNode[] memory more) {
        more = new AnchorNode[](path.length + 1);
        for (uint256 i = 0; i < path.length; ++i) more[i] = path[i];
    }
}
