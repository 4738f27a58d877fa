// ethers 6 against the chain.
import { ContractFactory, JsonRpcProvider, Wallet, parseEther } from "ethers";
import { check, config, done, equal, probe } from "../harness.mjs";
import { accountChecks, chainChecks } from "./chain.mjs";
import { contractChecks } from "./contracts.mjs";
import { eventChecks } from "./events.mjs";
import { poolChecks } from "./pool.mjs";
import { transactionChecks } from "./transactions.mjs";

/** Which of the chain's accounts this client uses. */
const ACCOUNT = 1;

// Polled often and asked anew each time: both are options of the client.
const provider = new JsonRpcProvider(config.chain.rpc, undefined, { pollingInterval: 50, cacheTimeout: -1 });
const wallet = new Wallet(config.accounts[ACCOUNT].private_key, provider);
const at = { provider, wallet };

await check("deploy", async () => {
  const factory = new ContractFactory(probe.abi, probe.bytecode, wallet);
  at.probe = await factory.deploy(5n, { value: parseEther("1") });
  await at.probe.waitForDeployment();
  at.address = await at.probe.getAddress();
  at.deployed = await at.probe.deploymentTransaction().wait();
  equal([at.deployed.contractAddress, at.deployed.status, at.deployed.to], [at.address, 1, null]);
  equal(await provider.getBalance(at.address), parseEther("1"));
});
for (const checks of [chainChecks, accountChecks, contractChecks, eventChecks, transactionChecks, poolChecks]) {
  await checks(at);
}
done();
