// Uploads files of several sizes by each client, and downloads each by all of them: bytes and roots
// must agree, also with the root that our own program computes offline.
//   pairs.mjs CONFIG [SIZE,…]      CONFIG is what `lode devnet --config-out` wrote; LODE is our program
// Prints a line per upload, and "N passed, M failed" at the end; the exit code says the same.
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Checks, workers } from './workers.mjs';

const config = JSON.parse(fs.readFileSync(process.argv[2]));
const MIB = 1 << 20;
const sizes = (process.argv[3]?.split(',').map(Number)) ?? [1, 256, 257, 262144, 262145, 5000003, 64 * MIB];
const lode = process.env.LODE;
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'pairs-'));

const clients = workers('worker', config, dir);

/** Our own: over the native API, and over the indexer's plain HTTP. */
const ours = {
  root: (file) => execFileSync(lode, ['root', file, '--quiet']).toString().trim().split(/\s/)[0],
  get: (root, file) => execFileSync(lode, ['get', root, '-o', file, '--node', config.api, '--quiet']),
  http: async (root, file) => {
    const answer = await fetch(`${config.indexer}/file?root=${root}`);
    if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
    fs.writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
  },
};

const checks = new Checks();
const check = (name, run) => checks.check(name, run);
for (const size of sizes) {
  for (const up of clients) {
    const source = path.join(dir, 'source');
    fs.writeFileSync(source, crypto.randomBytes(size));
    // The smallest files are not new each time: they are deduplicated, which is right as well.
    const want = crypto.createHash('sha256').update(fs.readFileSync(source)).digest('hex');
    let root;
    await check(`${size} B up by ${up.name}`, async () => {
      ({ root } = await up.ask({ do: 'upload', file: source }));
      const computed = ours.root(source);
      if (root !== computed) throw new Error(`root ${root}, ours ${computed}`);
    });
    if (!root) continue;
    const same = (file) => {
      const got = crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');
      if (got !== want) throw new Error('other bytes');
    };
    for (const down of clients) {
      await check(`  ${size} B up by ${up.name}, down by ${down.name}`, async () => {
        const file = path.join(dir, 'copy');
        await down.ask({ do: 'download', root, file });
        same(file);
      });
    }
    for (const way of ['get', 'http']) {
      await check(`  ${size} B up by ${up.name}, down by ours (${way})`, async () => {
        const file = path.join(dir, 'copy');
        fs.rmSync(file, { force: true });
        await ours[way](root, file);
        same(file);
      });
    }
  }
}
clients.forEach((client) => client.process.kill());
fs.rmSync(dir, { recursive: true, force: true });
checks.end();
