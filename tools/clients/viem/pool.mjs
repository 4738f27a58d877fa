// Transactions that wait, replace each other, or are refused. One whose nonce is one too high waits
// however fast blocks come, so nothing here depends on when a block is made.
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { REFUSALS, check, equal, failsWith, failure, ok, until, words } from "../harness.mjs";

export async function poolChecks(at) {
  const { client, clientOf, mined, address, me } = at;
  const gasPrice = await client.getGasPrice();
  const plain = (request) => ({
    type: "eip1559", to: address, value: 1n, gas: 60_000n, maxFeePerGas: gasPrice * 4n, maxPriorityFeePerGas: gasPrice, ...request,
  });
  const kinds = (error, name) => error.walk((cause) => cause.name === name)?.name;
  /** A sender of its own for each check, so that what one leaves in the pool is not in another's way. */
  const sender = async () => {
    const fresh = privateKeyToAccount(generatePrivateKey());
    await mined(client.sendTransaction({ to: fresh.address, value: 10n ** 18n }));
    return clientOf(fresh);
  };
  const pool = async () => {
    const { pending, queued } = await client.request({ method: "txpool_status" });
    return [Number(pending), Number(queued)];
  };
  const nonceOf = (own) => client.getTransactionCount({ address: own.account.address, blockTag: "pending" });

  await check("quick-sends", async () => {
    const own = await sender();
    const hashes = [];
    for (let i = 0; i < 10; i += 1) hashes.push(await own.sendTransaction({ to: address, value: 1n }));
    const receipts = await Promise.all(hashes.map((hash) => mined(hash)));
    equal(receipts.map(({ status }) => status), hashes.map(() => "success"));
    const nonces = await Promise.all(hashes.map(async (hash) => (await client.getTransaction({ hash })).nonce));
    equal([nonces, await nonceOf(own)], [hashes.map((_, i) => i), 10]);
  });
  await check("replace", async () => {
    const own = await sender();
    const low = await own.sendTransaction(plain({ nonce: 1 }));
    equal([(await client.getTransaction({ hash: low })).blockNumber, await nonceOf(own)], [null, 0]);
    const replaced = [];
    const waiting = client.waitForTransactionReceipt({ hash: low, onReplaced: ({ reason, transaction }) => replaced.push(reason, transaction.hash) });
    // viem has seen the transaction that it waits for once a block has come: before, it could not tell what
    // replaced it.
    const before = await client.getBlockNumber({ cacheTime: 0 });
    await until(async () => (await client.getBlockNumber({ cacheTime: 0 })) > before, "a block");
    const fees = { maxFeePerGas: gasPrice * 8n, maxPriorityFeePerGas: gasPrice * 2n };
    const high = await own.sendTransaction(plain({ nonce: 1, value: 2n, ...fees }));
    await own.sendTransaction(plain({ nonce: 0 }));
    equal([(await waiting).transactionHash, replaced], [high, ["replaced", high]]);
    equal((await failure(client.getTransaction({ hash: low }))).name, "TransactionNotFoundError");
  });
  await check("pool", async () => {
    const own = await sender();
    await until(async () => (await pool())[0] === 0, "a pool with nothing pending");
    const [pending, queued] = await pool();
    const waiting = await own.sendTransaction(plain({ nonce: 1 }));
    equal(await pool(), [pending, queued + 1]);
    const content = await client.request({ method: "txpool_content" });
    const mine = Object.entries(content.queued).find(([key]) => key.toLowerCase() === own.account.address.toLowerCase());
    equal([Object.keys(mine[1]), mine[1][1].hash], [["1"], waiting]);
    await own.sendTransaction(plain({ nonce: 0 }));
    await mined(waiting);
    await until(async () => (await pool())[1] === queued, "an empty queue");
  });
  await check("known", async () => {
    const own = await sender();
    const serializedTransaction = await own.signTransaction(await own.prepareTransactionRequest(plain({ nonce: 1 })));
    await client.sendRawTransaction({ serializedTransaction });
    await failsWith(client.sendRawTransaction({ serializedTransaction }), REFUSALS.known);
  });
  await check("underpriced", async () => {
    const own = await sender();
    await own.sendTransaction(plain({ nonce: 1 }));
    for (const more of [0n, gasPrice / 20n]) {
      const fees = { maxFeePerGas: gasPrice * 4n + more, maxPriorityFeePerGas: gasPrice + more };
      await failsWith(own.sendTransaction(plain({ nonce: 1, value: 2n, ...fees })), REFUSALS.underpriced);
    }
  });
  await check("nonce-low", async () => {
    const error = await failure(client.sendTransaction(plain({ nonce: 0 })));
    equal(kinds(error, "NonceTooLowError"), "NonceTooLowError", words(error));
  });
  await check("funds", async () => {
    const poor = clientOf(privateKeyToAccount(generatePrivateKey()));
    for (const request of [plain(), { to: me, value: 1n }]) {
      const error = await failure(poor.sendTransaction(request));
      equal(kinds(error, "InsufficientFundsError"), "InsufficientFundsError", words(error));
    }
  });
  await check("gas-low", async () => {
    const error = await failure((await sender()).sendTransaction(plain({ gas: 20_999n })));
    ok(kinds(error, "IntrinsicGasTooLowError") && REFUSALS.gasLow.test(words(error)), words(error));
  });
  await check("gas-high", async () => failsWith((await sender()).sendTransaction(plain({ gas: 16_777_217n })), REFUSALS.gasHigh));
  await check("wrong-chain", async () => {
    const request = { ...(await client.prepareTransactionRequest(plain())), chainId: 1 };
    const serializedTransaction = await client.account.signTransaction(request);
    await failsWith(client.sendRawTransaction({ serializedTransaction }), REFUSALS.wrongChain);
  });
  await check("malformed", async () => {
    const whole = await client.account.signTransaction(await client.prepareTransactionRequest(plain()));
    for (const serializedTransaction of ["0x", "0x02", whole.slice(0, -2), `${whole}00`]) {
      const error = await failure(client.sendRawTransaction({ serializedTransaction }));
      const coded = error.walk((cause) => [-32000, -32602].includes(cause.code));
      ok(coded, `${serializedTransaction.slice(0, 10)}: ${words(error)}`);
    }
  });
}
