// Key-value streams, written by each of 0G's clients through the flow contract and the storage nodes,
// replayed by `lode kv`, and read by all clients: values of all versions, neighbours, permissions, results;
// and streams that the clients encrypt, replayed by nodes that have the keys.
//   kv.mjs CONFIG      CONFIG is what `lode devnet --config-out` wrote; LODE is our program
// Prints a line per check, and "N passed, M failed" at the end; the exit code says the same.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ethers } from 'ethers';
import { Model, OP, byBytes, low } from './kv_model.mjs';
import { KvNode, rpc } from './kv_node.mjs';
import { Checks, workers } from './workers.mjs';

const config = JSON.parse(fs.readFileSync(process.argv[2]));
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'kv-'));
const clients = workers('kv_worker', config, dir);
const [owner, writer, keeper, stranger] = config.accounts.slice(4);
const people = { owner, writer, keeper, stranger };
const checks = new Checks();
const check = (name, run) => checks.check(name, run);

const random = (len) => crypto.randomBytes(len).toString('base64');
const newStream = () => '0x' + crypto.randomBytes(32).toString('hex');
// Their base64 is hex as well, for the Python client's sake (see kv_worker.py).
const key = (number) => `cafe${String(number).padStart(4, '0')}`;
const KEYS = [1, 2, 3, 4, 5].map(key);
const LEN_MAX = 262_144; // of a value, that one question may ask for
const COMMIT = 'Commit';
const NOBODY = 'SenderNoWritePermission';

/** Writes, waits for what becomes of it, and compares; what takes effect goes into the model. `want` is
 * the result, or a pattern where it is made of noise. */
async function step(name, { kv, client, as, stream, model, want = COMMIT }, change) {
  await check(`${client.name}: ${name}`, async () => {
    const { root } = await client.ask({ do: 'write', stream, key: as.private_key, ...change });
    const { tx } = await rpc(config.nodes[0].zgs, 'zgs_getFileInfo', [root, true]);
    const result = await kv.result(tx.seq);
    if (want instanceof RegExp) assert.match(result, want);
    else assert.equal(result, want);
    model.results.push([tx.seq, result]);
    if (want === COMMIT) model.commit(tx.seq, as.address, change);
  });
}

/** A stream from its first transaction on, with every control, and with what must change nothing. */
async function life(kv, [first, second, third]) {
  const stream = newStream();
  const model = Object.assign(new Model(), { stream, by: first.name, results: [] });
  const tell = (name, client, as, change, want) => step(name, { kv, client, as, stream, model, want }, change);
  const one = (number) => [[key(number), random(20)]];
  const denied = `WritePermissionDenied: stream: ${stream}, key: UNKNOWN`;
  const control = (op, account, number) => ({ op, account: account?.address, key: number && key(number) });

  await tell('claims a stream with three keys', first, owner, { writes: [1, 2, 3].flatMap(one) });
  const claimed = model.results.at(-1)?.[0];
  await tell('replaces one and removes one', first, owner, { writes: [...one(1), [key(3), '']] });
  await tell('a stranger writes nothing', first, stranger, { writes: one(1) }, NOBODY);
  await tell('lets others write', first, owner, {
    controls: [control(OP.grantWrite, writer), control(OP.setKeyToSpecial, null, 2), control(OP.grantSpecialWrite, keeper, 2)],
  });
  await tell('a writer writes', second, writer, { writes: [...one(4), ...one(5)] });
  await tell('a writer writes no special key', second, writer, { writes: [...one(4), ...one(2)] }, denied);
  await tell('who has the special key writes it', third, keeper, { writes: one(2) });
  await tell('and no other', third, keeper, { writes: one(1) }, denied);
  await tell('a writer makes himself no admin', second, writer, { writes: one(4), controls: [control(OP.grantAdmin, writer)] });
  await tell('a writer revokes nobody', second, writer, { writes: one(4), controls: [control(OP.revokeWrite, keeper)] },
    `AccessControlPermissionDenied: operation: REVOKE_WRITER_ROLE, stream: ${stream}, key: NONE, account: ${low(keeper.address)}`);
  await tell('what it read is newer', first, owner, { version: claimed, reads: [key(1)], writes: one(5) }, 'VersionConfliction');
  await tell('what it read is not newer', first, owner, { reads: [key(1)], writes: one(5) });
  await tell('makes a second admin', first, owner, { controls: [control(OP.grantAdmin, stranger)] });
  await tell('the second admin takes all of it back', second, stranger, {
    writes: one(3),
    controls: [control(OP.revokeWrite, writer), control(OP.revokeSpecialWrite, keeper, 2), control(OP.setKeyToNormal, null, 2)],
  });
  await tell('the writer is none any more', third, writer, { writes: one(4) }, NOBODY);
  await tell('who had the special key has it no more', third, keeper, { writes: one(2) }, NOBODY);
  await tell('the first admin goes', first, owner, { controls: [control(OP.grantWrite, owner), control(OP.renounceAdmin)] });
  await tell('and then writes nothing, having renounced that too', first, owner, {
    writes: one(1), controls: [control(OP.renounceWrite)],
  });
  await tell('nothing', first, owner, { writes: one(1) }, NOBODY);
  return model;
}

/** What a client finds in a stream is what the model says, now and as of each transaction. */
async function read(kv, client, model, title) {
  const { stream } = model;
  const ask = async (job) => (await client.ask({ kv: kv.url, stream, len: LEN_MAX, ...job })).found;
  const versions = [undefined, ...model.states.map(({ seq }) => seq)];
  const never = key(77);
  const all = async (name, compare) => check(`${client.name} reads ${title}: ${name}`, async () => {
    for (const version of versions) await compare(version, model.at(version));
  });
  const same = (got, want, what) => assert.deepEqual(plain(got), plain(want), what);
  await all('values', async (version, at) => {
    for (const name of [...KEYS, never]) same(await ask({ do: 'value', key: name, version }), at.value(name), `${name} at ${version}`);
  });
  await all('parts of values', async (version, at) => {
    const { data, ...rest } = at.value(KEYS[0]);
    const part = Buffer.from(data, 'base64').subarray(3, 8).toString('base64');
    same(await ask({ do: 'part', key: KEYS[0], from: 3, len: 5, version }), { data: part, ...rest });
  });
  await all('neighbours', async (version, { entries }) => {
    same(await ask({ do: 'first', version }), entries.at(0) ?? null);
    same(await ask({ do: 'last', version }), entries.at(-1) ?? null);
    for (const name of [...KEYS, never]) {
      for (const inclusive of [true, false]) {
        const beyond = (order) => (entry) => (inclusive && entry.key === name) || order * byBytes(entry.key, name) > 0;
        const job = { key: name, inclusive, version };
        same(await ask({ do: 'next', ...job }), entries.find(beyond(1)) ?? null, `after ${name} at ${version}`);
        same(await ask({ do: 'prev', ...job }), entries.findLast(beyond(-1)) ?? null, `before ${name} at ${version}`);
      }
    }
  });
  if (client.name !== 'python') { // Its iterators work nowhere: see kv_worker.py.
    await all('iterators', async (version, { entries }) => {
      const walked = await client.ask({ do: 'walk', kv: kv.url, stream, version, key: KEYS[2] });
      same(walked, {
        first: entries,
        last: entries.toReversed(),
        after: entries.filter((entry) => byBytes(entry.key, KEYS[2]) >= 0),
        before: entries.filter((entry) => byBytes(entry.key, KEYS[2]) <= 0).toReversed(),
      });
    });
  }
  await all('permissions', async (version, at) => {
    for (const [name, { address: account }] of Object.entries(people)) {
      same(await ask({ do: 'is_admin', account, version }), at.isAdmin(account), `${name} at ${version}`);
      same(await ask({ do: 'is_writer', account, version }), at.isWriter(account), `${name} at ${version}`);
      for (const one of [KEYS[0], KEYS[1]]) {
        const job = { account, key: one, version };
        same(await ask({ do: 'may_write', ...job }), at.mayWrite(account, one), `${name}, ${one} at ${version}`);
        same(await ask({ do: 'is_key_writer', ...job }), at.isKeyWriter(account, one), `${name}, ${one} at ${version}`);
      }
    }
    for (const one of KEYS) same(await ask({ do: 'is_special', key: one, version }), at.isSpecial(one), `${one} at ${version}`);
  });
  await check(`${client.name} reads ${title}: results, and the stream's name`, async () => {
    for (const [seq, want] of model.results) same(await ask({ do: 'result', seq }), want);
    assert.ok((await ask({ do: 'streams' })).includes(stream));
  });
}

/** Without what the model has no words for, and with keys in one order. */
const plain = (found) => JSON.parse(JSON.stringify(found, (_, held) => (held && typeof held === 'object' && !Array.isArray(held)
  ? Object.fromEntries(Object.entries(held).sort(([a], [b]) => (a < b ? -1 : 1))) : held)));

/** A value of two chunks: whole by who can ask for it, else in parts. (The TypeScript client counts the
 * letters of base64 where it should count bytes, and fails beyond one question's length.) */
async function long(kv, client) {
  const stream = newStream();
  const model = Object.assign(new Model(), { results: [] });
  const value = crypto.randomBytes(LEN_MAX + 50_000);
  await step('writes a value of two chunks', { kv, client, as: owner, stream, model }, { writes: [[KEYS[0], value.toString('base64')]] });
  for (const reader of clients) {
    await check(`${reader.name} reads a value of two chunks by ${client.name}`, async () => {
      const ask = async (job) => (await reader.ask({ kv: kv.url, stream, key: KEYS[0], ...job })).found;
      const parts = [];
      for (let from = 0; from < value.length; from += LEN_MAX) {
        const part = await ask({ do: 'part', from, len: LEN_MAX });
        assert.equal(part.size, value.length);
        parts.push(Buffer.from(part.data, 'base64'));
      }
      assert.ok(Buffer.concat(parts).equals(value));
      if (reader.name === 'python') {
        const whole = await ask({ do: 'value' });
        assert.ok(Buffer.from(whole.data, 'base64').equals(value));
      }
    });
  }
}

/** Streams that the newer TypeScript client encrypts, at nodes that have a key of each kind. (The older one
 * cannot, and in Python encrypting fails on an iterator that it makes wrongly.) */
async function sealed(open, [client]) {
  const secrets = { key: crypto.randomBytes(32), wallet: crypto.randomBytes(32) };
  for (const [name, secret] of Object.entries(secrets)) fs.writeFileSync(folder(`${name}.txt`), secret.toString('hex'));
  const to = ethers.getBytes(new ethers.SigningKey('0x' + secrets.wallet.toString('hex')).compressedPublicKey);
  const kinds = { key: { key: secrets.key.toString('base64') }, wallet: { to: Buffer.from(to).toString('base64') } };
  const streams = Object.keys(kinds).map((kind) => ({ kind, stream: newStream() }));
  const args = ['--decryption-key', folder('key.txt'), '--private-key', folder('wallet.txt')];
  args.push('--streams', streams.map(({ stream }) => stream).join(','));
  const kv = await KvNode.start(config, folder('sealed'), args);
  const noise = /^DataParseError: (Invalid stream data|Stream .* too long)$/;
  const all = [];
  for (const { kind, stream } of streams) {
    const model = Object.assign(new Model(), { stream, results: [] });
    const tell = (name, change, want) =>
      step(`${name} (by a ${kind})`, { kv, client, as: owner, stream, model, want }, change);
    const encryption = kinds[kind];
    await tell('claims an encrypted stream by more than a chunk', {
      encryption, writes: [[KEYS[0], random(200_000)], [KEYS[1], random(100_000)], [KEYS[2], random(20)]],
    });
    await tell('replaces, and lets somebody write', {
      encryption, writes: [[KEYS[0], random(20)]], controls: [{ op: OP.grantWrite, account: writer.address }],
    });
    await tell('encrypts nothing', { writes: [[KEYS[0], random(20)]] }, 'DataParseError: Cannot decrypt: not encrypted, or in an unknown way');
    await tell('encrypts by another key', { encryption: { key: random(32) }, writes: [[KEYS[0], random(20)]] }, noise);
    await check(`${client.name}: without the ${kind} all of that is noise`, async () => {
      for (const [seq, result] of model.results) if (result === COMMIT) assert.match(await open.result(seq), noise);
    });
    for (const reader of clients) await read(kv, reader, model, `a stream that is encrypted by a ${kind}`);
    all.push(model);
  }
  const late = await KvNode.start(config, folder('sealed late'), args);
  await check('a node with the same keys that begins now finds the same results', async () => {
    for (const [seq, want] of all.flatMap((model) => model.results)) assert.equal(await late.result(seq), want);
  });
  await Promise.all([kv.kill(), late.kill()]);
}

const folder = (name) => path.join(dir, name);
let kv = await KvNode.start(config, folder('all'));
const models = [];
for (let number = 0; number < clients.length; number++) {
  const order = clients.map((_, place) => clients[(number + place) % clients.length]);
  models.push(await life(kv, order));
  await long(kv, order[0]);
}
for (const model of models) {
  for (const client of clients) await read(kv, client, model, `a stream of ${model.by}`);
}
await sealed(kv, clients);
await kv.kill();
kv = await KvNode.start(config, folder('all'));
await read(kv, clients[0], models[0], 'after a kill');
const late = await KvNode.start(config, folder('late'));
await check('a node that begins now finds the same results', async () => {
  for (const [seq, want] of models.flatMap((model) => model.results)) assert.equal(await late.result(seq), want);
});
await read(late, clients[1], models[1], 'a node that begins now');

await Promise.all([kv.kill(), late.kill()]);
clients.forEach((client) => client.process.kill());
fs.rmSync(dir, { recursive: true, force: true });
checks.end();
