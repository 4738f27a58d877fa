// Writes the description of a chain that did not write one itself: config.mjs RPC WS. Its accounts
// are those of the mnemonic that development chains share.
import { HDNodeWallet } from "ethers";

const PHRASE = "test test test test test test test test test test test junk";
const [rpc, ws] = process.argv.slice(2);
const response = await fetch(rpc, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] }),
});
const { result } = await response.json();
const accounts = Array.from({ length: 10 }, (_, i) => {
  const { address, privateKey } = HDNodeWallet.fromPhrase(PHRASE, undefined, `m/44'/60'/0'/0/${i}`);
  return { address, private_key: privateKey };
});
console.log(JSON.stringify({ chain: { rpc, ws, id: Number(result) }, accounts }));
