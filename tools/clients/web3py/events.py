"""Logs, polling filters and subscriptions."""

import asyncio

from harness import CHECK_S_MAX, CONFIG, check, equal, fails_with, ok, until
from web3 import AsyncWeb3, WebSocketProvider
from websockets import ConnectionClosed

# How long nothing must be heard after a subscription has ended.
SILENCE_S = 0.2


def checks(at):
    """All checks of this file."""
    logs(at)
    filters(at)
    subscriptions(at)


def counts(found):
    return [int.from_bytes(log["topics"][2], "big") for log in found]


def logs(at):
    eth, many, counted = at.w3.eth, at.probe.functions.many, at.probe.events.Counted()
    first = at.mined(many(50, 5).transact())
    start, end = first["blockNumber"], at.mined(many(60, 2).transact())["blockNumber"]
    span = {"address": at.address, "fromBlock": start, "toBlock": end}

    @check("logs-address")
    def _():
        equal(counts(eth.get_logs(span)), [50, 51, 52, 53, 54, 60, 61])
        equal(counts(eth.get_logs({**span, "toBlock": start})), [50, 51, 52, 53, 54])
        equal(eth.get_logs({**span, "address": at.me}), [])
        equal(len(eth.get_logs({**span, "address": [at.me, at.address]})), 7)

    @check("logs-topics")
    def _():
        find = lambda **args: [event["args"]["count"] for event in counted.get_logs(from_block=start, to_block=end, argument_filters=args)]
        equal(find(count=52), [52])
        equal(find(by=at.me, count=[51, 61]), [51, 61])
        equal(find(by=at.address), [])
        signature = at.w3.keccak(text="Counted(address,uint256,string)").to_0x_hex()
        equal(counts(eth.get_logs({**span, "topics": [signature, None, None, None]})), [])

    @check("logs-block-hash")
    def _():
        found = eth.get_logs({"address": at.address, "blockHash": first["blockHash"]})
        equal([counts(found), found[0]["blockNumber"]], [[50, 51, 52, 53, 54], start])


def filters(at):
    eth, many = at.w3.eth, at.probe.functions.many

    @check("filter-logs")
    def _():
        found = at.probe.events.Counted().create_filter(from_block="latest")
        found.get_new_entries()
        receipt = at.mined(many(70, 2).transact())
        news = found.get_new_entries()
        equal([(event["args"]["count"], event["transactionHash"]) for event in news], [(n, receipt["transactionHash"]) for n in (70, 71)])
        equal(found.get_new_entries(), [])
        number = receipt["blockNumber"]
        past = eth.filter({"address": at.address, "fromBlock": number, "toBlock": number})
        equal(counts(past.get_all_entries()), [70, 71])

    @check("filter-blocks")
    def _():
        found = eth.filter("latest")
        ok(at.send()["blockHash"] in found.get_new_entries())

    @check("filter-pending")
    def _():
        found = eth.filter("pending")
        sent = eth.send_transaction({"to": at.me})
        until(lambda: sent in found.get_new_entries(), "the pending transaction")
        at.mined(sent)

    @check("filter-gone")
    def _():
        found = eth.filter("latest")
        equal([eth.uninstall_filter(found.filter_id), eth.uninstall_filter(found.filter_id)], [True, False])
        fails_with(found.get_new_entries, "filter not found")


def subscriptions(at):
    many = at.probe.functions.many

    async def aside(action):
        """Runs what waits for the other client, while this loop hears."""
        return await asyncio.get_running_loop().run_in_executor(None, action)

    async def hear(socket, enough):
        """What is heard until it is enough."""
        heard = []
        async with asyncio.timeout(CHECK_S_MAX / 2):
            async for message in socket.socket.process_subscriptions():
                heard.append(message["result"])
                if enough(heard):
                    return heard

    def run(body):
        async def whole():
            async with AsyncWeb3(WebSocketProvider(CONFIG["chain"]["ws"])) as socket:
                await body(socket)

        asyncio.run(whole())

    @check("subscribe-heads")
    def _():
        async def body(socket):
            await socket.eth.subscribe("newHeads")
            await aside(at.send)
            last = (await aside(at.send))["blockHash"]
            heads = await hear(socket, lambda heard: heard[-1]["hash"] == last)
            equal([head["number"] for head in heads], [heads[0]["number"] + i for i in range(len(heads))])
            ok(len(heads) >= 2)
            equal(heads[-1]["stateRoot"], at.w3.eth.get_block(last)["stateRoot"])

        run(body)

    @check("subscribe-logs")
    def _():
        async def body(socket):
            await socket.eth.subscribe("logs", {"address": at.address})
            await aside(lambda: at.mined(many(80, 3).transact()))
            heard = await hear(socket, lambda heard: len(heard) == 3)
            equal(counts(heard), [80, 81, 82])

        run(body)

    @check("subscribe-pending")
    def _():
        async def body(socket):
            await socket.eth.subscribe("newPendingTransactions")
            sent = (await aside(at.send))["transactionHash"]
            equal((await hear(socket, lambda heard: sent in heard)).count(sent), 1)

        run(body)

    @check("unsubscribe")
    def _():
        async def body(socket):
            heads = await socket.eth.subscribe("newHeads")
            await aside(at.send)
            await hear(socket, lambda heard: True)
            equal(await socket.eth.unsubscribe(heads), True)
            await aside(at.send)
            await asyncio.sleep(SILENCE_S)
            try:
                async with asyncio.timeout(SILENCE_S):
                    late = await anext(aiter(socket.socket.process_subscriptions()))
            except TimeoutError:
                return
            raise AssertionError(f"heard {late!r}")

        run(body)

    @check("reconnect")
    def _():
        async def whole():
            broken = 0
            async for socket in AsyncWeb3(WebSocketProvider(CONFIG["chain"]["ws"])):
                try:
                    await socket.eth.subscribe("newHeads")
                    if not broken:
                        broken += 1
                        socket.provider._ws.transport.abort()
                        await socket.eth.block_number
                    sent = (await aside(at.send))["blockHash"]
                    await hear(socket, lambda heard: heard[-1]["hash"] == sent)
                    equal(broken, 1)
                    break
                except ConnectionClosed:
                    continue

        asyncio.run(whole())
