"""Fees, each type of transaction, and signatures."""

from secrets import token_bytes

from eth_account.messages import encode_defunct
from ethereum import next_base_fee
from harness import CHAIN_ID, check, equal, ok
from hexbytes import HexBytes


# A tip that is not the usual one, and that producers of blocks take: geth leaves out those below 10⁶ wei.
TIP = 1_000_007


def checks(at):
    """All checks of this file."""
    fees(at)
    types(at)
    raw(at)
    signatures(at)


def fees(at):
    eth = at.w3.eth

    @check("fee-history")
    def _():
        history = eth.fee_history(4, "latest", [25, 75])
        equal([len(history[name]) for name in ("gasUsedRatio", "baseFeePerGas", "reward")], [4, 5, 4])
        for i in range(4):
            block = eth.get_block(history["oldestBlock"] + i)
            equal(history["baseFeePerGas"][i : i + 2], [block["baseFeePerGas"], next_base_fee(block)])
            ok(abs(history["gasUsedRatio"][i] - block["gasUsed"] / block["gasLimit"]) < 1e-9)

    @check("gas-price")
    def _():
        for _ in range(20):
            before = eth.block_number
            price, tip, base = eth.gas_price, eth.max_priority_fee, eth.get_block("latest")["baseFeePerGas"]
            if before == eth.block_number:
                break
        equal(price, tip + base)

    @check("fees")
    def _():
        tip = eth.max_priority_fee
        receipt = at.send(to=at.me)
        sent = eth.get_transaction(receipt["transactionHash"])
        base = eth.get_block(receipt["blockNumber"])["baseFeePerGas"]
        equal([sent["type"], sent["maxPriorityFeePerGas"]], [2, tip])
        equal(receipt["effectiveGasPrice"], min(sent["maxFeePerGas"], base + sent["maxPriorityFeePerGas"]))


def types(at):
    eth = at.w3.eth
    price = 2 * eth.gas_price
    data = at.probe.encode_abi("put", [1, 2])

    def send(kind, **request):
        receipt = at.send(**{"to": at.address, "data": data, **request})
        sent = eth.get_transaction(receipt["transactionHash"])
        equal([receipt["type"], sent["type"], sent["from"]], [kind, kind, at.me])
        return receipt, sent

    @check("type-0")
    def _():
        receipt, sent = send(0, gasPrice=price)
        equal([sent["gasPrice"], receipt["effectiveGasPrice"], sent["input"]], [price, price, HexBytes(data)])

    @check("type-1")
    def _():
        listed = [{"address": at.address, "storageKeys": [bytes(32)]}]
        _, sent = send(1, gasPrice=price, accessList=listed, type=1, chainId=CHAIN_ID)
        found = [(entry["address"], [bytes(HexBytes(key)) for key in entry["storageKeys"]]) for entry in sent["accessList"]]
        equal(found, [(at.address, [bytes(32)])])

    @check("type-2")
    def _():
        receipt, sent = send(2, maxFeePerGas=2 * price, maxPriorityFeePerGas=TIP)
        equal([sent["maxFeePerGas"], sent["maxPriorityFeePerGas"]], [2 * price, TIP])
        equal(receipt["effectiveGasPrice"], eth.get_block(receipt["blockNumber"])["baseFeePerGas"] + TIP)

    @check("type-4")
    def _():
        fresh = eth.account.create()
        signed = fresh.sign_authorization({"chainId": CHAIN_ID, "address": at.address, "nonce": 0})
        request = {"to": fresh.address, "data": at.probe.encode_abi("set", [4, "delegated"]), "gas": 200_000}
        market = {"maxFeePerGas": 2 * price, "maxPriorityFeePerGas": TIP}
        receipt, sent = send(4, **request, **market, authorizationList=[signed])
        equal(sent["authorizationList"][0]["address"].lower(), at.address.lower())
        equal(bytes(eth.get_code(fresh.address)), bytes.fromhex("ef0100" + at.address[2:]))
        equal(int.from_bytes(eth.get_storage_at(fresh.address, 0), "big"), 4)
        equal([receipt["logs"][0]["address"], eth.get_transaction_count(fresh.address)], [fresh.address, 1])


def raw(at):
    eth, request = at.w3.eth, at.w3.manager.request_blocking

    def signed(**more):
        fields = {"to": at.address, "value": 1, "gas": 60_000, "chainId": CHAIN_ID, "gasPrice": 2 * eth.gas_price}
        nonce = eth.get_transaction_count(at.me, "pending")
        return at.w3.account.sign_transaction({**fields, "nonce": nonce, **more}).raw_transaction

    @check("raw")
    def _():
        bytes_ = signed()
        receipt = at.mined(eth.send_raw_transaction(bytes_))
        equal(eth.get_transaction(receipt["transactionHash"])["value"], 1)
        equal(eth.get_raw_transaction(receipt["transactionHash"]), bytes_)

    @check("raw-sync")
    def _():
        receipt = request("eth_sendRawTransactionSync", [signed().to_0x_hex()])
        equal([receipt["status"], receipt["to"]], ["0x1", at.address.lower()])
        equal(eth.get_transaction_receipt(receipt["transactionHash"])["from"], at.me)

    @check("fill")
    def _():
        filled = request("eth_fillTransaction", [{"from": at.me, "to": at.address, "value": "0x5"}])["tx"]
        nonce = eth.get_transaction_count(at.me, "pending")
        equal([int(filled[name], 16) for name in ("nonce", "chainId", "value", "type")], [nonce, CHAIN_ID, 5, 2])
        ok(int(filled["maxFeePerGas"], 16) > int(filled["maxPriorityFeePerGas"], 16))
        at.send(to=at.address, value=5, gas=int(filled["gas"], 16), maxFeePerGas=int(filled["maxFeePerGas"], 16), maxPriorityFeePerGas=int(filled["maxPriorityFeePerGas"], 16))


def signatures(at):
    account, probe = at.w3.account, at.probe.functions

    def parts(signed):
        return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")

    @check("message")
    def _():
        text = token_bytes(32)
        signed = parts(account.sign_message(encode_defunct(text)))
        equal(probe.signerOfMessage(text, *signed).call(), at.me)
        ok(probe.signerOfMessage(token_bytes(32), *signed).call() != at.me)

    @check("typed-data")
    def _():
        domain = {"name": "Probe", "version": "1", "chainId": CHAIN_ID, "verifyingContract": at.address}
        vote = {"Vote": [{"name": "id", "type": "uint256"}, {"name": "text", "type": "string"}]}
        signed = parts(account.sign_typed_data(domain, vote, {"id": 3, "text": "yes"}))
        equal(probe.signerOfVote(3, "yes", *signed).call(), at.me)
        ok(probe.signerOfVote(3, "no", *signed).call() != at.me)
