// viem 2 against the chain.
import { createWalletClient, defineChain, getContract, http, parseEther, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { chainId, check, config, done, equal, probe } from "../harness.mjs";
import { accountChecks, chainChecks } from "./chain.mjs";
import { contractChecks } from "./contracts.mjs";
import { eventChecks } from "./events.mjs";
import { poolChecks } from "./pool.mjs";
import { transactionChecks } from "./transactions.mjs";

/** Which of the chain's accounts this client uses. */
const ACCOUNT = 2;

const chain = defineChain({
  id: chainId,
  name: "lode",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [config.chain.rpc], webSocket: [config.chain.ws] } },
});
// Polled often, asked anew each time, and not asked again after a failure: options of the client.
const options = { chain, pollingInterval: 50, cacheTime: 0 };
const transport = http(config.chain.rpc, { retryCount: 0 });
const clientOf = (account, through = transport) => createWalletClient({ ...options, account, transport: through }).extend(publicActions);
const client = clientOf(privateKeyToAccount(config.accounts[ACCOUNT].private_key));
const mined = async (hash) => client.waitForTransactionReceipt({ hash: await hash });
const at = { chain, options, client, clientOf, mined, me: client.account.address };

await check("deploy", async () => {
  const hash = client.deployContract({ abi: probe.abi, bytecode: probe.bytecode, args: [5n], value: parseEther("1") });
  at.deployed = await mined(hash);
  equal([at.deployed.status, at.deployed.to, at.deployed.from], ["success", null, at.me.toLowerCase()]);
  at.address = at.deployed.contractAddress;
  at.probe = getContract({ abi: probe.abi, address: at.address, client });
  equal(await client.getBalance({ address: at.address }), parseEther("1"));
});
for (const checks of [chainChecks, accountChecks, contractChecks, eventChecks, transactionChecks, poolChecks]) {
  await checks(at);
}
done();
