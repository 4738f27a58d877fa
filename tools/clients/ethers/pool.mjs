// Transactions that wait, replace each other, or are refused. One whose nonce is one too high waits
// however fast blocks come, so nothing here depends on when a block is made.
import { Transaction, Wallet } from "ethers";
import { REFUSALS, check, equal, failsWith, failure, ok, until, words } from "../harness.mjs";

export async function poolChecks(at) {
  const { provider, wallet, address } = at;
  const { gasPrice } = await provider.getFeeData();
  const plain = (request) => ({
    type: 2, to: address, value: 1n, gasLimit: 60_000n, maxFeePerGas: gasPrice * 4n, maxPriorityFeePerGas: gasPrice, ...request,
  });
  /** A sender of its own for each check, so that what one leaves in the pool is not in another's way. */
  const sender = async () => {
    const fresh = Wallet.createRandom(provider);
    await (await wallet.sendTransaction({ to: fresh.address, value: 10n ** 18n })).wait();
    return fresh;
  };
  await check("quick-sends", async () => {
    const own = await sender();
    const sent = [];
    for (let i = 0; i < 10; i += 1) sent.push(await own.sendTransaction({ to: address, value: 1n }));
    equal(sent.map(({ nonce }) => nonce), sent.map((_, i) => i));
    const receipts = await Promise.all(sent.map((one) => one.wait()));
    equal(receipts.map(({ status }) => status), sent.map(() => 1));
    equal(await own.getNonce("pending"), 10);
  });
  await check("replace", async () => {
    const own = await sender();
    const low = await own.sendTransaction(plain({ nonce: 1 }));
    equal([(await provider.getTransaction(low.hash)).blockNumber, await own.getNonce("pending")], [null, 0]);
    const fees = { maxFeePerGas: gasPrice * 8n, maxPriorityFeePerGas: gasPrice * 2n };
    const high = await own.sendTransaction(plain({ nonce: 1, value: 2n, ...fees }));
    await own.sendTransaction(plain({ nonce: 0 }));
    const receipt = await provider.waitForTransaction(high.hash);
    equal([receipt.status, await provider.getTransaction(low.hash), await provider.getTransactionReceipt(low.hash)], [1, null, null]);
  });
  await check("pool", async () => {
    const own = await sender();
    await until(async () => (await counts(provider))[0] === 0, "a pool with nothing pending");
    const [pending, queued] = await counts(provider);
    const waiting = await own.sendTransaction(plain({ nonce: 1 }));
    equal(await counts(provider), [pending, queued + 1]);
    const mine = entry((await provider.send("txpool_content", [])).queued, own.address);
    equal([Object.keys(mine), mine[1].hash, mine[1].blockHash], [["1"], waiting.hash, null]);
    const [text] = Object.values(entry((await provider.send("txpool_inspect", [])).queued, own.address));
    equal(text, `${address}: 1 wei + 60000 gas × ${gasPrice * 4n} wei`);
    equal((await provider.send("txpool_contentFrom", [own.address])).queued[1].hash, waiting.hash);
    await own.sendTransaction(plain({ nonce: 0 }));
    await waiting.wait();
    await until(async () => (await counts(provider))[1] === queued, "an empty queue");
  });
  await check("known", async () => {
    const own = await sender();
    const bytes = await own.signTransaction(await own.populateTransaction(plain({ nonce: 1 })));
    await provider.broadcastTransaction(bytes);
    await failsWith(provider.send("eth_sendRawTransaction", [bytes]), REFUSALS.known);
  });
  await check("underpriced", async () => {
    const own = await sender();
    await own.sendTransaction(plain({ nonce: 1 }));
    for (const more of [0n, gasPrice / 20n]) {
      const fees = { maxFeePerGas: gasPrice * 4n + more, maxPriorityFeePerGas: gasPrice + more };
      const error = await failure(own.sendTransaction(plain({ nonce: 1, value: 2n, ...fees })));
      equal(error.code, "REPLACEMENT_UNDERPRICED", words(error));
      ok(REFUSALS.underpriced.test(words(error)), words(error));
    }
  });
  await check("nonce-low", async () => {
    const error = await failure(wallet.sendTransaction(plain({ nonce: 0 })));
    equal(error.code, "NONCE_EXPIRED");
    ok(REFUSALS.nonceLow.test(words(error)), words(error));
  });
  await check("funds", async () => {
    const poor = Wallet.createRandom(provider);
    for (const request of [plain(), { to: address, value: 1n }]) {
      const error = await failure(poor.sendTransaction(request));
      equal(error.code, "INSUFFICIENT_FUNDS", words(error));
    }
  });
  await check("gas-low", async () => failsWith((await sender()).sendTransaction(plain({ gasLimit: 20_999n })), REFUSALS.gasLow));
  await check("gas-high", async () => failsWith((await sender()).sendTransaction(plain({ gasLimit: 16_777_217n })), REFUSALS.gasHigh));
  await check("wrong-chain", async () => {
    const { from: _, ...populated } = await wallet.populateTransaction(plain());
    const foreign = await new Wallet(wallet.privateKey).signTransaction({ ...populated, chainId: 1n });
    await failsWith(provider.send("eth_sendRawTransaction", [foreign]), REFUSALS.wrongChain);
  });
  await check("malformed", async () => {
    const { from: _, ...populated } = await wallet.populateTransaction(plain());
    const whole = await wallet.signTransaction(populated);
    for (const bytes of ["0x", "0x02", "0x7f00", whole.slice(0, -2), `${whole}00`, Transaction.from(populated).unsignedSerialized]) {
      const { error } = await failure(provider.send("eth_sendRawTransaction", [bytes]));
      ok([-32000, -32602].includes(error?.code), `${bytes.slice(0, 10)}: ${JSON.stringify(error)}`);
    }
  });
}

/** Transactions that can go into the next block, and ones that cannot yet. */
async function counts(provider) {
  const { pending, queued } = await provider.send("txpool_status", []);
  return [Number(pending), Number(queued)];
}

function entry(accounts, address) {
  const found = Object.entries(accounts).find(([key]) => key.toLowerCase() === address.toLowerCase());
  ok(found, `no ${address} in ${JSON.stringify(accounts)}`);
  return found[1];
}
