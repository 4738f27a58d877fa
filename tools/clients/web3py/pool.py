"""Transactions that wait, replace each other, or are refused. One whose nonce is one too high waits
however fast blocks come, so nothing here depends on when a block is made."""

from harness import CHAIN_ID, check, equal, failure, fails_with, ok, until
from web3.exceptions import TransactionNotFound, Web3RPCError


def checks(at):
    """All checks of this file."""
    eth = at.w3.eth
    price = eth.gas_price

    def sender():
        """A sender of its own for each check, so that what one leaves in the pool is not in another's way."""
        own = at.client_of(eth.account.create())
        at.send(to=own.account.address, value=10**18)
        return own

    def plain(**more):
        market = {"maxFeePerGas": 4 * price, "maxPriorityFeePerGas": price}
        return {"to": at.address, "value": 1, "gas": 60_000, "chainId": CHAIN_ID, **market, **more}

    def sign(own, **more):
        return own.account.sign_transaction(plain(**more)).raw_transaction

    waits(at, eth, sender, plain, sign, price)
    refusals(at, eth, sender, plain, sign)


def waits(at, eth, sender, plain, sign, price):
    @check("quick-sends")
    def _():
        own = sender()
        hashes = [own.eth.send_transaction({"to": at.address, "value": 1}) for _ in range(10)]
        for sent in hashes:
            at.mined(sent)
        equal([eth.get_transaction(sent)["nonce"] for sent in hashes], list(range(10)))

    @check("replace")
    def _():
        own = sender()
        low = own.eth.send_transaction(plain(nonce=1))
        equal(eth.get_transaction(low).get("blockNumber"), None)
        high = own.eth.replace_transaction(low, plain(nonce=1, value=2, maxFeePerGas=8 * price, maxPriorityFeePerGas=2 * price))
        own.eth.send_transaction(plain(nonce=0))
        at.mined(high)
        failure(lambda: eth.get_transaction(low), TransactionNotFound)

    @check("pool")
    def _():
        own, pool = sender(), at.w3.geth.txpool
        before = pool.status()
        waiting = own.eth.send_transaction(plain(nonce=1))
        after = pool.status()
        equal([int(after[name], 16) - int(before[name], 16) for name in ("pending", "queued")], [0, 1])
        queued = {key.lower(): value for key, value in pool.content()["queued"].items()}
        equal(queued[own.account.address.lower()]["1"]["hash"], waiting.to_0x_hex())
        own.eth.send_transaction(plain(nonce=0))
        at.mined(waiting)
        until(lambda: pool.status()["queued"] == before["queued"], "an empty queue")

    @check("known")
    def _():
        signed = sign(sender(), nonce=1)
        eth.send_raw_transaction(signed)
        fails_with(lambda: eth.send_raw_transaction(signed), "already known")

    @check("underpriced")
    def _():
        own = sender()
        eth.send_raw_transaction(sign(own, nonce=1))
        signed = sign(own, nonce=1, value=2)
        fails_with(lambda: eth.send_raw_transaction(signed), "replacement transaction underpriced")


def refusals(at, eth, sender, plain, sign):
    @check("nonce-low")
    def _():
        fails_with(lambda: at.w3.eth.send_transaction(plain(nonce=0)), "nonce too low")

    @check("funds")
    def _():
        poor = at.client_of(eth.account.create())
        fails_with(lambda: eth.send_raw_transaction(sign(poor, nonce=0)), "insufficient funds")
        fails_with(lambda: poor.eth.send_transaction({"to": at.me, "value": 1}), "insufficient funds")

    @check("gas-low")
    def _():
        fails_with(lambda: eth.send_raw_transaction(sign(sender(), nonce=0, gas=20_999)), "intrinsic gas too low")

    @check("gas-high")
    def _():
        fails_with(lambda: eth.send_raw_transaction(sign(sender(), nonce=0, gas=16_777_217)), "transaction gas limit too high")

    @check("wrong-chain")
    def _():
        said = str(failure(lambda: eth.send_raw_transaction(sign(sender(), nonce=0, chainId=1)))).lower()
        ok("invalid sender" in said or "invalid chain id" in said, said)

    @check("tip-above-fee")
    def _():
        signed = sign(sender(), nonce=0, maxFeePerGas=1, maxPriorityFeePerGas=2)
        fails_with(lambda: eth.send_raw_transaction(signed), "max priority fee per gas higher than max fee per gas")

    @check("malformed")
    def _():
        whole = bytes(sign(at.w3, nonce=eth.get_transaction_count(at.me)))
        for junk in (b"", b"\x02", b"\x7f\x00", whole[:-1], whole + b"\x00"):
            error = failure(lambda: eth.send_raw_transaction(junk), Web3RPCError)
            ok(error.rpc_response["error"]["code"] in (-32000, -32602), f"{junk[:4].hex()}: {error.rpc_response}")
