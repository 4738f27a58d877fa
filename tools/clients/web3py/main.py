"""web3.py 8 against the chain."""

import chain
import contracts
import events
import pool
import transactions
from harness import CONFIG, PROBE, check, done, equal
from web3 import Web3
from web3.middleware import SignAndSendRawMiddlewareBuilder

# Which of the chain's accounts this client uses.
ACCOUNT = 3


class At:
    """The client, its account, and the contract that most checks use."""

    def __init__(self):
        self.w3 = self.client_of(Web3().eth.account.from_key(CONFIG["accounts"][ACCOUNT]["private_key"]))
        self.me = self.w3.eth.default_account

    @staticmethod
    def client_of(account):
        """A client that signs for `account` by itself."""
        w3 = Web3(Web3.HTTPProvider(CONFIG["chain"]["rpc"], exception_retry_configuration=None))
        w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
        w3.eth.default_account = account.address
        w3.account = account
        return w3

    def mined(self, sent):
        """The receipt of a transaction that succeeds."""
        receipt = self.w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.05)
        equal(receipt["status"], 1)
        return receipt

    def send(self, **request):
        """Sends, and waits for the receipt."""
        return self.mined(self.w3.eth.send_transaction({"to": self.me, **request}))


at = At()


@check("deploy")
def _():
    factory = at.w3.eth.contract(abi=PROBE["abi"], bytecode=PROBE["bytecode"])
    at.deployed = at.mined(factory.constructor(5).transact({"value": 10**18}))
    at.address = at.deployed["contractAddress"]
    at.probe = at.w3.eth.contract(address=at.address, abi=PROBE["abi"])
    equal(at.w3.eth.get_balance(at.address), 10**18)
    equal([at.deployed["to"], at.deployed["from"]], [None, at.me])


for part in (chain, contracts, events, transactions, pool):
    part.checks(at)
done()
