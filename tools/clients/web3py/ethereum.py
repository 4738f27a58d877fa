"""Ethereum's own rules, for comparison with what the chain says: a header's hash, the next base fee,
and Merkle Patricia proofs (checked by py-trie, which shares no code with the chain)."""

import rlp
from eth_utils import keccak
from harness import equal
from rlp.sedes import big_endian_int
from trie import HexaryTrie

EMPTY_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")

# Fields of a header in order, up to Prague.
HEADER = """parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number
gasLimit gasUsed timestamp extraData mixHash nonce baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas
parentBeaconBlockRoot requestsHash""".split()


def header_hash(block):
    """The hash of a header as web3.py gives it."""
    fields = []
    for name in HEADER:
        value = bytes.fromhex(block[name][2:]) if name == "miner" else block[name]
        fields.append(big_endian_int.serialize(value) if isinstance(value, int) else bytes(value))
    return keccak(rlp.encode(fields))


def next_base_fee(block):
    """The base fee of the block after this one (EIP-1559)."""
    base, used, target = block["baseFeePerGas"], block["gasUsed"], block["gasLimit"] // 2
    if used <= target:
        return base - base * (target - used) // target // 8
    return base + max(base * (used - target) // target // 8, 1)


def check_proof(proof, state_root):
    """Checks an answer of eth_getProof against a state root; whether the account is there."""
    leaf = _proven(bytes.fromhex(proof["address"][2:]), proof["accountProof"], state_root)
    if leaf:
        nonce, balance, storage, code = rlp.decode(leaf)
        equal(int.from_bytes(nonce, "big"), proof["nonce"])
        equal(int.from_bytes(balance, "big"), proof["balance"])
        equal([storage, code], [bytes(proof["storageHash"]), bytes(proof["codeHash"])])
    else:
        equal([proof["nonce"], proof["balance"]], [0, 0])
        equal([bytes(proof["storageHash"]), bytes(proof["codeHash"])], [EMPTY_ROOT, keccak(b"")])
    for slot in proof["storageProof"]:
        key = int.from_bytes(slot["key"], "big").to_bytes(32, "big")
        root = bytes(proof["storageHash"])
        found = b"" if root == EMPTY_ROOT else _proven(key, slot["proof"], root)
        wanted = int.from_bytes(slot["value"], "big")
        equal(int.from_bytes(rlp.decode(found), "big") if found else 0, wanted)
    return bool(leaf)


def _proven(key, nodes, root):
    """The value that a proof shows for a key; empty when it shows that there is none."""
    nodes = [rlp.decode(bytes(node)) for node in nodes]
    return HexaryTrie.get_from_proof(bytes(root), keccak(key), nodes)
