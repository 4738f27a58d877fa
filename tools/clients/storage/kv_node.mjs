// Key-value nodes of ours beside a development network, and their RPC.
import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';

/** How long a node may take to decide a submission that its storage nodes have. */
const WAIT_MS = 60_000;

/** Asks by JSON-RPC. */
export async function rpc(url, method, params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { error, result } = await answer.json();
  if (error) throw new Error(`${method}: ${JSON.stringify(error)}`);
  return result;
}

/** `lode kv` on a free port; a second one in the same folder goes on where the first was. */
export class KvNode {
  static async start(config, folder, args = []) {
    const nodes = config.nodes.map((node) => node.zgs).join(',');
    const all = ['kv', '--dir', folder, '--nodes', nodes, '--listen', '127.0.0.1:0', '--json', ...args];
    const node = new KvNode();
    node.process = spawn(process.env.LODE, all, { stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    node.process.stderr.on('data', (text) => { log = (log + text).slice(-4000); });
    node.ended = new Promise((tell) => node.process.on('exit', tell));
    const ready = new Promise((tell) => readline.createInterface({ input: node.process.stdout }).once('line', tell));
    const line = await Promise.race([ready, node.ended.then(() => null)]);
    if (line === null) throw new Error(`${path.basename(folder)}: no node: ${log}`);
    node.url = JSON.parse(line).url;
    return node;
  }

  /** What became of a submission, as soon as that is known. */
  async result(seq) {
    const { decided, result } = await rpc(this.url, 'lode_waitForSeq', [seq, WAIT_MS]);
    if (!decided) throw new Error(`submission ${seq} is not decided`);
    return result;
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}
