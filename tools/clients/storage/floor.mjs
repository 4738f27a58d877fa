// The fastest storage node that there can be: it takes chunks and throws them away, and gives back the
// same random chunk again and again (zeros the SDK would shorten). What a client needs against it is the client's own: the floor under every node.
//   floor.mjs CHAIN_RPC        prints one line of JSON: {"indexer": URL}
// Submissions are read from the chain, as a node does; nothing is checked.
import crypto from 'node:crypto';
import http from 'node:http';
import { ethers } from 'ethers';

const chain = new ethers.JsonRpcProvider(process.argv[2], undefined, { staticNetwork: true, pollingInterval: 100 });
const { chainId } = await chain.getNetwork();
const FLOW = '0x0000000000000000000000000000000000004c01';
const events = new ethers.Interface([
  'event Submit(address indexed sender, bytes32 indexed identity, uint256 submissionIndex, uint256 startPos, uint256 length, tuple(uint256 length, bytes tags, tuple(bytes32 root, uint256 height)[] nodes) submission)',
]);
const files = [];
const byRoot = new Map();
const chunk = crypto.randomBytes(262144);
const whole = chunk.toString('base64');

function add(log) {
  const { args } = events.parseLog(log);
  const nodes = [...args.submission.nodes];
  const root = nodes.slice(0, -1).reduceRight((right, node) => ethers.keccak256(ethers.concat([node.root, right])), nodes.at(-1).root);
  // By place: the list that holds it has a length of its own.
  const size = Number(args.submission[0]);
  const file = { seq: Number(args.submissionIndex), root, size, start: Number(args.startPos), segments: Math.ceil(size / 262144), got: 0, nodes: nodes.map((node) => [Number(node.height) + 1, node.root]) };
  files[file.seq] = file;
  byRoot.set(root, file);
}
let next = 0;
setInterval(async () => {
  const tip = await chain.getBlockNumber();
  if (tip < next) return;
  const logs = await chain.getLogs({ address: FLOW, fromBlock: next, toBlock: tip, topics: [events.getEvent('Submit').topicHash] });
  next = tip + 1;
  logs.forEach(add);
}, 100);

const info = (file) => file && { tx: { streamIds: [], data: [], dataMerkleRoot: file.root, merkleNodes: file.nodes, startEntryIndex: file.start, size: file.size, seq: file.seq }, finalized: file.got >= file.segments, isCached: false, uploadedSegNum: file.got, pruned: false };
const node = {
  zgs_getStatus: () => ({ connectedPeers: 0, logSyncHeight: next, logSyncBlock: ethers.ZeroHash, nextTxSeq: files.length, networkIdentity: { chainId: Number(chainId), flowAddress: FLOW, p2pProtocolVersion: { major: 0, minor: 4, build: 0 } } }),
  zgs_getShardConfig: () => ({ shardId: 0, numShard: 1 }),
  zgs_getFileInfo: ([root]) => info(byRoot.get(root)) ?? null,
  zgs_uploadSegmentsByTxSeq: ([segments, seq]) => { files[seq].got += segments.length; return null; },
  zgs_downloadSegmentByTxSeq: ([, first, end]) => (end - first === 1024 ? whole : chunk.subarray(0, (end - first) * 256).toString('base64')),
};
const serve = (methods, port) => new Promise((ready) => {
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const { id, method, params } = JSON.parse(Buffer.concat(parts));
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result: methods[method](params ?? []) }));
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(port, '127.0.0.1', () => ready(`http://127.0.0.1:${server.address().port}`));
});
const url = await serve(node, 0);
const entry = { url, config: { shardId: 0, numShard: 1 }, latency: 1, since: 0 };
const indexer = await serve({
  indexer_getShardedNodes: () => ({ trusted: [entry], discovered: [] }),
  indexer_getFileLocations: () => [entry],
}, 0);
console.log(JSON.stringify({ indexer }));
