"""Calls, transactions to a contract, and how a contract's failures come back."""

from eth_abi import decode, encode
from harness import CHAIN_ID, PROBE, check, equal, failure, ok
from hexbytes import HexBytes
from web3.exceptions import ContractCustomError, ContractLogicError, ContractPanicError, Web3RPCError
from web3.logs import DISCARD


def checks(at):
    """All checks of this file."""
    calls(at)
    reverts(at)
    tools(at)


def word(value):
    return "0x" + value.to_bytes(32, "big").hex()


def calls(at):
    eth, probe = at.w3.eth, at.probe.functions

    @check("call")
    def _():
        block = eth.get_block(at.deployed["blockNumber"])
        context = probe.context().call(block_identifier=block["number"])
        equal(context, [at.me, CHAIN_ID, block["number"], block["timestamp"], block["gasLimit"]])
        equal(probe.pay().call({"value": 7}), eth.get_balance(at.address) + 7)
        equal([probe.set(9, "only called").call(), probe.count().call()], [5, 5])

    @check("send")
    def _():
        at.set = at.mined(probe.set(6, "six").transact())
        equal([at.set["to"], at.set["from"], at.set["contractAddress"]], [at.address, at.me, None])
        (event,) = at.probe.events.Counted().process_receipt(at.set, errors=DISCARD)
        equal(dict(event["args"]), {"by": at.me, "count": 6, "note": "six"})
        equal([event["blockHash"], at.set["logs"][0]["removed"]], [at.set["blockHash"], False])
        equal(probe.count().call(), 6)

    @check("call-before")
    def _():
        number = at.set["blockNumber"]
        equal([probe.count().call(block_identifier=n) for n in (number - 1, number)], [5, 6])
        parent = eth.get_block(number)["parentHash"]
        equal(probe.count().call(block_identifier=parent), 5)
        equal(probe.ancestor(number - 1).call(block_identifier=number), bytes(parent))

    @check("call-overrides")
    def _():
        equal(probe.count().call(state_override={at.address: {"stateDiff": {word(0): word(99)}}}), 99)
        fresh = eth.account.create().address
        override = {fresh: {"code": PROBE["deployedBytecode"], "state": {word(0): word(98)}}}
        contract = at.w3.eth.contract(address=fresh, abi=PROBE["abi"])
        equal(contract.functions.count().call(state_override=override), 98)
        error = failure(lambda: probe.pay().call({"from": fresh, "value": 100}), Web3RPCError)
        ok("insufficient funds" in str(error).lower(), str(error))
        rich = {fresh: {"balance": hex(100)}}
        equal(probe.pay().call({"from": fresh, "value": 100}, state_override=rich), eth.get_balance(at.address) + 100)

    @check("send-failed")
    def _():
        sent = probe.fail("on purpose").transact({"gas": 100_000})
        receipt = eth.wait_for_transaction_receipt(sent, poll_latency=0.05)
        equal([receipt["status"], receipt["logs"]], [0, []])
        ok(21_000 < receipt["gasUsed"] < 100_000)

    @check("estimate")
    def _():
        equal(eth.estimate_gas({"from": at.me, "to": at.me, "value": 1}), 21_000)
        gas = probe.many(1000, 50).estimate_gas()
        receipt = at.mined(probe.many(1000, 50).transact({"gas": gas}))
        equal(len(receipt["logs"]), 50)
        ok(receipt["gasUsed"] <= gas <= receipt["gasUsed"] * 11 // 10)


def reverts(at):
    probe = at.probe.functions

    def ways(function):
        return (function.call, function.estimate_gas)

    @check("revert-reason")
    def _():
        for way in ways(probe.fail("no such luck")):
            error = failure(way, ContractLogicError)
            equal(error.message, "execution reverted: no such luck")
            equal(decode(["string"], bytes.fromhex(error.data[10:])), ("no such luck",))

    @check("revert-own")
    def _():
        for way in ways(probe.failOwn(1, 2)):
            error = failure(way, ContractCustomError)
            equal(decode(["uint256", "uint256"], bytes.fromhex(error.data[10:])), (1, 2))

    @check("revert-panic")
    def _():
        for way in ways(probe.failPanic(0)):
            error = failure(way, ContractPanicError)
            equal(bytes.fromhex(error.data[10:]), encode(["uint256"], [0x12]))


def tools(at):
    w3, probe = at.w3, at.probe.functions

    @check("access-list")
    def _():
        request = {"from": at.me, "to": at.address, "data": at.probe.encode_abi("set", [8, "listed"])}
        made = w3.eth.create_access_list(request)
        entries = [(entry["address"], [bytes(HexBytes(key)) for key in entry["storageKeys"]]) for entry in made["accessList"]]
        equal(entries, [(at.address, [bytes(32)])])
        receipt = at.mined(w3.eth.send_transaction({**request, "accessList": made["accessList"]}))
        equal([receipt["gasUsed"], receipt["type"]], [made["gasUsed"], 2])

    @check("simulate")
    def _():
        before = probe.count().call()
        request = lambda name, *args: {"from": at.me, "to": at.address, "data": at.probe.encode_abi(name, list(args))}
        calls = [request("set", 77, "simulated"), request("count"), request("fail", "simulated")]
        (block,) = w3.eth.simulate_v1({"blockStateCalls": [{"calls": calls}], "validation": False}, "latest")
        equal([call["status"] for call in block["calls"]], [1, 1, 0])
        equal([len(call["logs"]) for call in block["calls"]], [1, 0, 0])
        equal([int.from_bytes(call["returnData"], "big") for call in block["calls"][:2]], [before, 77])
        equal(block["calls"][2]["error"]["message"], "execution reverted: simulated")
        equal(probe.count().call(), before)

    @check("trace")
    def _():
        receipt = at.mined(probe.set(10, "traced").transact())
        trace = w3.geth.debug.trace_transaction(receipt["transactionHash"].to_0x_hex(), {"tracer": "callTracer"})
        equal([trace["type"], trace["from"], trace["to"]], ["CALL", at.me, at.address])
        equal([trace["gasUsed"], bytes(trace["input"]).hex()], [receipt["gasUsed"], at.probe.encode_abi("set", [10, "traced"])[2:]])
