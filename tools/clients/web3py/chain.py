"""Blocks, accounts and proofs."""

import re
from secrets import token_bytes

from ethereum import check_proof, header_hash
from eth_utils import keccak
from harness import CHAIN_ID, CONFIG, GENESIS_BALANCE, PROBE, check, equal, failure, ok
from web3 import Web3
from web3.exceptions import BadFunctionCallOutput, BlockNotFound, TransactionNotFound, Web3RPCError


def code_of(error):
    """The code of JSON-RPC's error."""
    return error.rpc_response["error"]["code"]


def checks(at):
    """All checks of this file."""
    chain(at)
    protocol(at)
    accounts(at)
    proofs(at)


def chain(at):
    eth, deployed = at.w3.eth, at.deployed

    @check("chain-id")
    def _():
        equal(eth.chain_id, CHAIN_ID)
        equal(at.w3.net.version, str(CHAIN_ID))
        equal(at.w3.net.listening, True)

    @check("client-version")
    def _():
        ok(re.match(r"\w+/v?\d+\.\d+", at.w3.client_version), at.w3.client_version)

    @check("syncing")
    def _():
        equal(eth.syncing, False)

    @check("block-number")
    def _():
        before = eth.block_number
        number = at.send()["blockNumber"]
        ok(before < number <= eth.block_number)

    @check("block")
    def _():
        block = eth.get_block(deployed["blockNumber"])
        equal([block["hash"], block["transactions"][deployed["transactionIndex"]]], [deployed["blockHash"], deployed["transactionHash"]])
        equal(eth.get_block(block["hash"]), block)
        equal(eth.get_block(block["number"] - 1)["hash"], block["parentHash"])
        ok(deployed["gasUsed"] <= block["gasUsed"] <= block["gasLimit"])

    @check("block-hash")
    def _():
        for number in (0, deployed["blockNumber"], "latest"):
            block = eth.get_block(number)
            equal(header_hash(block), bytes(block["hash"]))

    @check("block-tags")
    def _():
        def read():
            before = eth.block_number
            found = [eth.get_block(tag) for tag in ("latest", "safe", "finalized", "pending")]
            return found if before == eth.block_number else None

        latest, safe, finalized, pending = next(filter(None, (read() for _ in range(20))))
        ok(finalized["number"] <= safe["number"] <= latest["number"])
        equal([pending["number"], pending["parentHash"]], [latest["number"] + 1, latest["hash"]])
        earliest = eth.get_block("earliest")
        equal([earliest["number"], bytes(earliest["parentHash"])], [0, bytes(32)])

    @check("block-transactions")
    def _():
        number, index = deployed["blockNumber"], deployed["transactionIndex"]
        whole = eth.get_transaction(deployed["transactionHash"])
        equal([whole["from"], whole.get("to"), whole["value"], whole["blockHash"]], [at.me, None, 10**18, deployed["blockHash"]])
        block = eth.get_block(number, full_transactions=True)
        equal(block["transactions"][index], whole)
        equal(eth.get_transaction_by_block(number, index), whole)
        equal(eth.get_transaction_by_block(block["hash"], index), whole)
        equal(eth.get_block_transaction_count(number), len(block["transactions"]))

    @check("block-receipts")
    def _():
        receipts = eth.get_block_receipts(deployed["blockNumber"])
        equal(receipts[deployed["transactionIndex"]], eth.get_transaction_receipt(deployed["transactionHash"]))

    @check("unknown")
    def _():
        failure(lambda: eth.get_block(10**9), BlockNotFound)
        failure(lambda: eth.get_block(keccak(b"nothing")), BlockNotFound)
        failure(lambda: eth.get_transaction(keccak(b"nothing")), TransactionNotFound)
        failure(lambda: eth.get_transaction_receipt(keccak(b"nothing")), TransactionNotFound)


def protocol(at):
    w3 = at.w3

    @check("batch")
    def _():
        owners = [account["address"] for account in CONFIG["accounts"]]
        with w3.batch_requests() as batch:
            for owner in owners:
                batch.add(w3.eth.get_balance(Web3.to_checksum_address(owner), "earliest"))
            batch.add(w3.eth.get_block("earliest"))
            *balances, block = batch.execute()
        equal([balances, block["number"]], [[GENESIS_BALANCE] * len(owners), 0])

    @check("method-unknown")
    def _():
        error = failure(lambda: w3.manager.request_blocking("eth_nothing", []), Web3RPCError)
        equal(code_of(error), -32601)

    @check("params-bad")
    def _():
        for params in ([], ["0x12", "latest"], [at.me, "newest"]):
            error = failure(lambda: w3.manager.request_blocking("eth_getBalance", params), Web3RPCError)
            equal(code_of(error), -32602)

    @check("no-names")
    def _():
        failure(lambda: w3.eth.get_balance("lode.eth"), BadFunctionCallOutput)


def accounts(at):
    eth, deployed = at.w3.eth, at.deployed
    fresh = eth.account.create().address

    @check("balance")
    def _():
        receipt = at.send(to=fresh, value=12345)
        number = receipt["blockNumber"]
        equal([eth.get_balance(fresh), eth.get_balance(fresh, number - 1)], [12345, 0])
        spent = 12345 + receipt["gasUsed"] * receipt["effectiveGasPrice"]
        equal(eth.get_balance(at.me, number), eth.get_balance(at.me, number - 1) - spent)
        equal(eth.get_balance(at.me, "earliest"), GENESIS_BALANCE)

    @check("nonce")
    def _():
        before = eth.get_transaction_count(at.me)
        equal(eth.get_transaction_count(at.me, "pending"), before)
        at.send(to=fresh, nonce=before)
        equal([eth.get_transaction_count(at.me), eth.get_transaction_count(at.me, "earliest")], [before + 1, 0])

    @check("code")
    def _():
        equal(eth.get_code(at.address).to_0x_hex(), PROBE["deployedBytecode"])
        equal([bytes(eth.get_code(at.address, deployed["blockNumber"] - 1)), bytes(eth.get_code(at.me))], [b"", b""])

    @check("storage")
    def _():
        equal(bytes(eth.get_storage_at(at.address, 0, deployed["blockNumber"])), (5).to_bytes(32, "big"))
        equal(bytes(eth.get_storage_at(at.address, 0, deployed["blockNumber"] - 1)), bytes(32))
        equal(bytes(eth.get_storage_at(at.address, 2**255)), bytes(32))


def proofs(at):
    eth, put = at.w3.eth, at.probe.functions.put

    def prove(owner, slots, number):
        proof = eth.get_proof(owner, slots, number)
        equal(proof["address"], owner)
        return proof, check_proof(proof, eth.get_block(number)["stateRoot"])

    @check("proof-account")
    def _():
        number = at.send(to=at.address, value=3)["blockNumber"]
        proof, present = prove(at.me, [], number)
        equal([present, proof["balance"], proof["nonce"]], [True, eth.get_balance(at.me, number), eth.get_transaction_count(at.me, number)])
        proof, present = prove(at.address, [], number)
        equal([present, bytes(proof["codeHash"])], [True, keccak(hexstr=PROBE["deployedBytecode"])])

    @check("proof-storage")
    def _():
        at.mined(put(1, 1001).transact())
        number = at.mined(put(2, 2002).transact())["blockNumber"]
        word = lambda value: value.to_bytes(32, "big")
        slots = [int.from_bytes(keccak(word(key) + word(1)), "big") for key in (1, 2, 3)]
        values = lambda proof: [int.from_bytes(slot["value"], "big") for slot in proof["storageProof"]]
        equal(values(prove(at.address, slots, number)[0]), [1001, 2002, 0])
        equal(values(prove(at.address, slots, number - 1)[0]), [1001, 0, 0])

    @check("proof-absent")
    def _():
        absent = Web3.to_checksum_address(token_bytes(20))
        equal(prove(absent, [0], eth.block_number)[1], False)
