// Logs, polling filters and subscriptions.
import { createPublicClient, parseAbiItem, webSocket } from "viem";
import { check, config, equal, failure, ok, probe as artefact, until, words } from "../harness.mjs";

/** How long nothing must be heard after a subscription has ended. */
const SILENCE_MS = 200;

const { abi } = artefact;
const counted = parseAbiItem("event Counted(address indexed by, uint256 indexed count, string note)");
const paid = parseAbiItem("event Paid(address indexed from, uint256 value)");

export async function eventChecks(at) {
  const { client, probe, address, me, mined } = at;
  const counts = (logs) => logs.map(({ args }) => Number(args.count));
  const { blockNumber: fromBlock, blockHash } = await mined(probe.write.many([50n, 5n]));
  const { blockNumber: toBlock } = await mined(probe.write.many([60n, 2n]));

  await check("logs-address", async () => {
    const find = (of, to = toBlock) => client.getLogs({ address: of, event: counted, fromBlock, toBlock: to });
    equal(counts(await find(address)), [50, 51, 52, 53, 54, 60, 61]);
    equal(counts(await find(address, fromBlock)), [50, 51, 52, 53, 54]);
    equal(counts(await find([me, address])).length, 7);
    equal(await find(me), []);
    equal((await client.getContractEvents({ abi, address, fromBlock, toBlock })).at(-1).args, { by: me, count: 61n, note: "many" });
  });
  await check("logs-topics", async () => {
    const find = (args) => client.getLogs({ address, event: counted, args, fromBlock, toBlock }).then(counts);
    equal(await find({ count: 52n }), [52]);
    equal(await find({ by: me, count: [51n, 61n] }), [51, 61]);
    equal(await find({ by: address }), []);
    equal((await client.getLogs({ address, events: [counted, paid], fromBlock, toBlock })).length, 7);
    equal((await client.getLogs({ address, event: paid, fromBlock, toBlock })).length, 0);
  });
  await check("logs-block-hash", async () => {
    const logs = await client.getLogs({ address, event: counted, blockHash });
    equal([counts(logs), logs[0].blockNumber], [[50, 51, 52, 53, 54], fromBlock]);
  });
  await filterChecks(at, counts);
  await subscriptionChecks(at, counts);
}

async function filterChecks({ client, probe, address, me, mined }, counts) {
  await check("filter-logs", async () => {
    const filter = await client.createContractEventFilter({ abi, address, eventName: "Counted" });
    equal(await client.getFilterChanges({ filter }), []);
    const { transactionHash } = await mined(probe.write.many([70n, 2n]));
    const logs = await client.getFilterChanges({ filter });
    equal([counts(logs), logs.map((log) => log.transactionHash)], [[70, 71], [transactionHash, transactionHash]]);
    equal(await client.getFilterChanges({ filter }), []);
    const past = await client.createEventFilter({ address, event: counted, fromBlock: logs[0].blockNumber, toBlock: logs[0].blockNumber });
    equal(counts(await client.getFilterLogs({ filter: past })), [70, 71]);
  });
  await check("filter-blocks", async () => {
    const filter = await client.createBlockFilter();
    const { blockHash } = await mined(client.sendTransaction({ to: me }));
    ok((await client.getFilterChanges({ filter })).includes(blockHash));
  });
  await check("filter-pending", async () => {
    const filter = await client.createPendingTransactionFilter();
    const hash = await client.sendTransaction({ to: me });
    await until(async () => (await client.getFilterChanges({ filter })).includes(hash), "the pending transaction");
    await mined(hash);
  });
  await check("filter-gone", async () => {
    const filter = await client.createBlockFilter();
    equal([await client.uninstallFilter({ filter }), await client.uninstallFilter({ filter })], [true, false]);
    ok(/filter not found/.test(words(await failure(client.getFilterChanges({ filter })))));
  });
}

async function subscriptionChecks({ client, options, probe, address, me, mined }, counts) {
  const open = (more) => createPublicClient({ ...options, transport: webSocket(config.chain.ws, more) });
  const close = async (socket) => (await socket.transport.getRpcClient()).close();
  const send = () => mined(client.sendTransaction({ to: me }));

  await check("subscribe-heads", async () => {
    const [socket, heads] = [open(), []];
    await socket.transport.subscribe({ params: ["newHeads"], onData: ({ result }) => heads.push(result) });
    const first = await send();
    const second = await send();
    await until(() => heads.some(({ hash }) => hash === second.blockHash), "the second block");
    equal(heads.map(({ number }) => Number(number)), heads.map((_, i) => Number(heads[0].number) + i));
    const whole = await client.request({ method: "eth_getBlockByHash", params: [first.blockHash, false] });
    const head = heads.find(({ hash }) => hash === first.blockHash);
    for (const name of ["parentHash", "stateRoot", "gasUsed", "timestamp", "baseFeePerGas"]) equal(head[name], whole[name]);
    await close(socket);
  });
  await check("subscribe-logs", async () => {
    const [socket, heard] = [open(), []];
    const stop = socket.watchContractEvent({ abi, address, eventName: "Counted", onLogs: (logs) => heard.push(...logs) });
    await socket.getChainId();
    await mined(probe.write.many([80n, 3n]));
    await until(() => heard.length >= 3, "three logs");
    equal(counts(heard), [80, 81, 82]);
    stop();
    await close(socket);
  });
  await check("subscribe-pending", async () => {
    const [socket, heard] = [open(), []];
    socket.watchPendingTransactions({ onTransactions: (hashes) => heard.push(...hashes) });
    await socket.getChainId();
    const { transactionHash } = await send();
    await until(() => heard.includes(transactionHash), "the pending transaction");
    await close(socket);
  });
  await check("unsubscribe", async () => {
    const [socket, heard] = [open(), []];
    const { unsubscribe } = await socket.transport.subscribe({ params: ["newHeads"], onData: (data) => heard.push(data) });
    const rpc = await socket.transport.getRpcClient();
    rpc.socket.addEventListener("message", ({ data }) => heard.push(...(data.includes("eth_subscription") ? [data] : [])));
    await send();
    await until(() => heard.length > 0, "a block before");
    equal((await unsubscribe()).result, true);
    heard.length = 0;
    await send();
    await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
    equal(heard, []);
    await close(socket);
  });
  await check("reconnect", async () => {
    const [socket, heads] = [open({ reconnect: { delay: 50 }, retryCount: 5 }), []];
    socket.watchBlockNumber({ onBlockNumber: (number) => heads.push(number) });
    const rpc = await socket.transport.getRpcClient();
    await until(async () => (await send()) && heads.length > 0, "a block before the break");
    rpc.socket.terminate();
    heads.length = 0;
    await until(async () => (await send()) && heads.length > 0, "a block after the break");
    equal(await socket.getBlockNumber(), await client.getBlockNumber());
    await close(socket);
  });
}
