// The key-value client of one generation of the TypeScript SDK, told by lines of JSON what to do:
//   node kv_worker.mjs PACKAGE
//   stdin   {"id", "do": "write"|"value"|…, …}    keys and values in base64, `kv` is the URL that is asked
//   stdout  {"id", …|"error"}
// EVM_RPC, INDEXER_RPC and PRIVATE_KEY name the network. The SDK's own words go to stderr.
import readline from 'node:readline';
import { ethers } from 'ethers';

const { Batcher, Indexer, KvClient, defaultUploadOption, getFlowContract } = await import(process.argv[2]);
const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n');
console.log = console.error;

const { EVM_RPC, INDEXER_RPC, PRIVATE_KEY } = process.env;
const provider = new ethers.JsonRpcProvider(EVM_RPC);
const indexer = new Indexer(INDEXER_RPC);
const bytes = (base64) => Buffer.from(base64, 'base64');
// The older generation sends keys as they are given, so its users write base64 themselves.
const asked = process.argv[2].startsWith('@0glabs/') ? (key) => key : bytes;
const text = (key) => (typeof key === 'string' ? key : Buffer.from(key).toString('base64'));
const pair = (found) => (found ? { ...found, key: text(found.key) } : null);

/** A transaction through the flow contract and the storage nodes. */
async function write({ stream, version, reads, writes, controls, key, encryption }) {
  const [nodes, noNodes] = await indexer.selectNodes(1);
  if (noNodes) throw noNodes;
  const { networkIdentity } = await nodes[0].getStatus();
  const flow = getFlowContract(networkIdentity.flowAddress, new ethers.Wallet(key ?? PRIVATE_KEY, provider));
  const batcher = new Batcher(version ?? Number.MAX_SAFE_INTEGER, nodes, flow, EVM_RPC);
  const builder = batcher.streamDataBuilder;
  builder.addStreamId(stream);
  for (const [name, value] of writes ?? []) builder.set(stream, bytes(name), bytes(value));
  const read = (reads ?? []).map((name) => [bytes(name).toString('hex'), true]);
  if (read.length > 0) builder.reads.set(stream, new Map(read));
  for (const { op, key: name, account } of controls ?? []) {
    builder.controls.push({ Type: op, StreamId: stream, Key: name && bytes(name), Account: account });
  }
  const options = { ...defaultUploadOption };
  if (encryption?.key) options.encryption = { type: 'aes256', key: bytes(encryption.key) };
  if (encryption?.to) options.encryption = { type: 'ecies', recipientPubKey: bytes(encryption.to) };
  const [done, error] = await batcher.exec(options);
  if (error) throw error;
  return { root: done.rootHash };
}

/** All keys by an iterator, from the first on and from the last on, and from one key both ways. */
async function walk({ kv, stream, version, key }) {
  const steps = async (seek, step) => {
    const iterator = new KvClient(kv).newIterator(stream, version);
    const found = [];
    let error = await seek(iterator);
    while (!error && iterator.valid()) {
      found.push(pair(iterator.getCurrentPair()));
      error = await step(iterator);
    }
    if (error) throw error;
    return found;
  };
  const [up, down] = [(iterator) => iterator.next(), (iterator) => iterator.prev()];
  return {
    first: await steps((iterator) => iterator.seekToFirst(), up),
    last: await steps((iterator) => iterator.seekToLast(), down),
    after: await steps((iterator) => iterator.seekAfter(asked(key)), up),
    before: await steps((iterator) => iterator.seekBefore(asked(key)), down),
  };
}

const found = (answer) => ({ found: answer });
const ask = (question) => async (job) => found(await question(new KvClient(job.kv), job));
const jobs = {
  write,
  walk,
  value: ask((kv, { stream, key, version }) => kv.getValue(stream, asked(key), version)),
  part: ask((kv, { stream, key, from, len, version }) => kv.get(stream, asked(key), from, len, version)),
  next: ask(async (kv, { stream, key, len, inclusive, version }) =>
    pair(await kv.getNext(stream, asked(key), 0, len, inclusive, version))),
  prev: ask(async (kv, { stream, key, len, inclusive, version }) =>
    pair(await kv.getPrev(stream, asked(key), 0, len, inclusive, version))),
  first: ask(async (kv, { stream, len, version }) => pair(await kv.getFirst(stream, 0, len, version))),
  last: ask(async (kv, { stream, len, version }) => pair(await kv.getLast(stream, 0, len, version))),
  result: ask((kv, { seq }) => kv.getTransactionResult(seq)),
  streams: ask((kv) => kv.getHoldingStreamIds()),
  may_write: ask((kv, { account, stream, key, version }) => kv.hasWritePermission(account, stream, asked(key), version)),
  is_admin: ask((kv, { account, stream, version }) => kv.isAdmin(account, stream, version)),
  is_special: ask((kv, { stream, key, version }) => kv.isSpecialKey(stream, asked(key), version)),
  is_key_writer: ask((kv, { account, stream, key, version }) => kv.isWriterOfKey(account, stream, asked(key), version)),
  is_writer: ask((kv, { account, stream, version }) => kv.isWriterOfStream(account, stream, version)),
};
for await (const line of readline.createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  try {
    say({ id: job.id, ...(await jobs[job.do](job)) });
  } catch (error) {
    say({ id: job.id, error: String(error?.message ?? error) + (error?.data ? ` (${JSON.stringify(error.data)})` : '') });
  }
}
process.exit(0);
