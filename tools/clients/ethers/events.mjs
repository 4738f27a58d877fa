// Logs, polling filters and subscriptions.
import { WebSocketProvider, zeroPadValue, toBeHex } from "ethers";
import { check, config, equal, failure, ok, until, words } from "../harness.mjs";

/** How long nothing must be heard after a subscription has ended. */
const SILENCE_MS = 200;

export async function eventChecks(at) {
  const { provider, wallet, probe, address } = at;
  const counted = probe.interface.getEvent("Counted").topicHash;
  const word = (value) => zeroPadValue(toBeHex(value), 32);
  const counts = (logs) => logs.map((log) => Number(log.topics[2]));
  const { blockNumber: fromBlock, blockHash } = await (await probe.many(50, 5)).wait();
  const { blockNumber: toBlock } = await (await probe.many(60, 2)).wait();

  await check("logs-address", async () => {
    equal(counts(await provider.getLogs({ address, fromBlock, toBlock })), [50, 51, 52, 53, 54, 60, 61]);
    equal(counts(await provider.getLogs({ address, fromBlock, toBlock: fromBlock })), [50, 51, 52, 53, 54]);
    equal(await provider.getLogs({ address: wallet.address, fromBlock, toBlock }), []);
    const both = [wallet.address, address];
    equal((await provider.getLogs({ address: both, fromBlock, toBlock })).map(({ index }) => index).length, 7);
    const events = await probe.queryFilter("Counted", fromBlock, toBlock);
    equal(events.map(({ args }) => [args.by, Number(args.count), args.note]).at(-1), [wallet.address, 61, "many"]);
  });
  await check("logs-topics", async () => {
    const find = async (...topics) => counts(await provider.getLogs({ address, fromBlock, toBlock, topics }));
    equal(await find(counted, null, word(52)), [52]);
    equal(await find(counted, null, [word(51), word(61)]), [51, 61]);
    equal(await find([word(1), counted], word(wallet.address)), [50, 51, 52, 53, 54, 60, 61]);
    equal(await find(null, word(address)), []);
    equal(await find(counted, null, null, null), []);
  });
  await check("logs-block-hash", async () => {
    const logs = await provider.getLogs({ address, blockHash });
    equal([counts(logs), logs[0].blockNumber], [[50, 51, 52, 53, 54], fromBlock]);
    equal(logs.map(({ index }) => index - logs[0].index), [0, 1, 2, 3, 4]);
  });
  await filterChecks(at, counted);
  await subscriptionChecks(at);
}

async function filterChecks({ provider, wallet, probe, address }, counted) {
  const create = (kind, ...params) => provider.send(kind, params);
  const changes = (filter) => provider.send("eth_getFilterChanges", [filter]);

  await check("filter-logs", async () => {
    const filter = await create("eth_newFilter", { address, topics: [counted] });
    equal(await changes(filter), []);
    const receipt = await (await probe.many(70, 2)).wait();
    const logs = await changes(filter);
    equal(logs.map((log) => [Number(log.topics[2]), log.transactionHash]), [70, 71].map((count) => [count, receipt.hash]));
    equal(await changes(filter), []);
    const range = `0x${receipt.blockNumber.toString(16)}`;
    const past = await create("eth_newFilter", { address, fromBlock: range, toBlock: range });
    equal(await provider.send("eth_getFilterLogs", [past]), logs);
  });
  await check("filter-blocks", async () => {
    const filter = await create("eth_newBlockFilter");
    const receipt = await (await wallet.sendTransaction({ to: wallet.address })).wait();
    ok((await changes(filter)).includes(receipt.blockHash));
  });
  await check("filter-pending", async () => {
    const filter = await create("eth_newPendingTransactionFilter");
    const sent = await wallet.sendTransaction({ to: wallet.address });
    await until(async () => (await changes(filter)).includes(sent.hash), "the pending transaction");
    await sent.wait();
  });
  await check("filter-gone", async () => {
    const filter = await create("eth_newBlockFilter");
    equal(await provider.send("eth_uninstallFilter", [filter]), true);
    equal(await provider.send("eth_uninstallFilter", [filter]), false);
    ok(/filter not found/.test(words(await failure(changes(filter)))));
  });
}

async function subscriptionChecks({ provider, wallet, probe, address }) {
  const open = () => new WebSocketProvider(config.chain.ws);
  // The client tells of a subscription before the node has answered; a request after it is answered later.
  const listen = async (socket, event, listener) => {
    await socket.on(event, listener);
    await socket.send("net_version", []);
  };
  const send = async () => (await wallet.sendTransaction({ to: wallet.address })).wait();

  await check("subscribe-heads", async () => {
    const [socket, heads] = [open(), []];
    await listen(socket, "block", (number) => heads.push(number));
    const numbers = [(await send()).blockNumber, (await send()).blockNumber];
    await until(() => heads.includes(numbers[1]), "the second block");
    equal(heads, heads.map((_, i) => heads[0] + i));
    ok(heads.includes(numbers[0]));
    await socket.destroy();
  });
  await check("subscribe-logs", async () => {
    const [socket, heard] = [open(), []];
    await listen(socket, { address }, (log) => heard.push(log));
    const receipt = await (await probe.many(80, 3)).wait();
    await until(() => heard.length >= 3, "three logs");
    equal(heard.map((log) => [Number(log.topics[2]), log.transactionHash]), [80, 81, 82].map((n) => [n, receipt.hash]));
    await socket.destroy();
  });
  await check("subscribe-pending", async () => {
    const [socket, heard] = [open(), []];
    await listen(socket, "pending", (hash) => heard.push(hash));
    const receipt = await send();
    await until(() => heard.includes(receipt.hash), "the pending transaction");
    await socket.destroy();
  });
  await check("unsubscribe", async () => {
    const [socket, heard] = [open(), []];
    const subscription = await socket.send("eth_subscribe", ["newHeads"]);
    const listener = socket.websocket.onmessage;
    socket.websocket.onmessage = (message) => {
      heard.push(...(message.data.includes("eth_subscription") ? [message.data] : []));
      listener(message);
    };
    await send();
    await until(() => heard.length > 0, "a block before");
    equal(await socket.send("eth_unsubscribe", [subscription]), true);
    heard.length = 0;
    await send();
    await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
    equal(heard, []);
    await socket.destroy();
  });
  await check("reconnect", async () => {
    const broken = open();
    await broken.getBlockNumber();
    broken.websocket.terminate();
    const [socket, heads] = [open(), []];
    await listen(socket, "block", (number) => heads.push(number));
    const { blockNumber } = await send();
    await until(() => heads.includes(blockNumber), "a block after the break");
    equal(await socket.getBlockNumber(), await provider.getBlockNumber());
    await socket.destroy();
  });
}
