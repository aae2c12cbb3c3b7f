// A chain of one's own with a token, for trying things out: starts it, and moves money on it from accounts that everybody knows.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";

const root = new URL("../..", import.meta.url).pathname;
const port = Number(process.env.CHAIN_PORT ?? 8545);
const { contracts } = JSON.parse(readFileSync(`${root}e2e/evm/fixtures/test_token.json`, "utf8"));
const token = contracts.TestToken;
/** Where the first contract of the first account comes to lie, on every such chain. */
const TOKEN = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const DECIMALS = 6n;
/** Accounts of the chain, by who they stand for here. */
const WHO = { deployer: 0, customer: 1, merchant: 9 };

async function ask(method, ...params) {
  const answer = await fetch(`http://127.0.0.1:${port}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  const { result, error } = await answer.json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}

const word = (number) => BigInt(number).toString(16).padStart(64, "0");
const text = (value) => Buffer.from(value).toString("hex").padEnd(64, "0");
const call = (method, ...words) => `0x${token.methods[method]}${words.join("")}`;

/** The whole number of base units of a decimal amount. */
function units(amount) {
  const read = /^(\d+)(?:\.(\d{1,6}))?$/.exec(amount);
  if (!read) throw new Error(`${amount} is no amount of USDC`);
  return BigInt(read[1]) * 10n ** DECIMALS + BigInt((read[2] ?? "").padEnd(Number(DECIMALS), "0"));
}

async function address(who) {
  if (!(who in WHO)) return who;
  return (await ask("eth_accounts"))[WHO[who]];
}

/** Sends a transaction and gives its hash; it waits for the next block. */
async function send(who, { to, data, gas = "0x3d0900", value = "0x0" }) {
  return ask("eth_sendTransaction", { from: await address(who), to, data, gas, value });
}

async function start() {
  const packages = `${root}e2e/evm/node_modules/@foundry-rs`;
  const program = readdirSync(packages).map((name) => `${packages}/${name}/bin/anvil`).find((path) => existsSync(path));
  if (!program) throw new Error("there is no anvil: run `npm ci` in e2e/evm");
  const chain = spawn(program, ["--port", String(port), "--no-mining", "--silent", "--slots-in-an-epoch", "1"], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => chain.kill());
  chain.on("exit", (code) => process.exit(code ?? 0));
  while (!(await ask("eth_chainId").catch(() => false))) await new Promise((resolve) => setTimeout(resolve, 50));
  const name = [word(96), word(160), word(DECIMALS), word(8), text("USD Coin"), word(4), text("USDC")];
  await send("deployer", { data: token.bytecode + name.join("") });
  await send("deployer", { to: TOKEN, data: call("mint(address,uint256)", word(await address("customer")), word(units("1000"))) });
  await ask("anvil_mine", "0x1");
  console.log(`listening on http://127.0.0.1:${port}, USDC at ${TOKEN}, stop with Ctrl-C`);
}

const commands = {
  start,
  /** The address of `customer` or `merchant`. */
  address: async (who) => console.log(await address(who)),
  /** The customer's wallet sends an amount. */
  pay: async (to, amount) => console.log(await send("customer", { to: TOKEN, data: call("transfer(address,uint256)", word(to), word(units(amount))) })),
  /** Lets blocks come. */
  mine: async (blocks = "1") => void (await ask("anvil_mine", `0x${Number(blocks).toString(16)}`, "0x1")),
  /** The merchant's wallet sends the transactions that stand on standard input: a payout plan, or a refund. */
  async send() {
    const given = JSON.parse(readFileSync(0, "utf8"));
    const planned = given.data?.flatMap((plan) => plan.transactions) ?? [given.send.transaction];
    for (const transaction of planned) {
      console.log(await send("merchant", transaction));
      await ask("anvil_mine", "0x1");
    }
  },
  /** How much USDC somebody holds. */
  async balance(who) {
    const held = BigInt(await ask("eth_call", { to: TOKEN, data: call("balanceOf(address)", word(await address(who))) }, "latest"));
    const cents = String(held % 10n ** DECIMALS).padStart(Number(DECIMALS), "0").replace(/0{1,4}$/, "");
    console.log(`${held / 10n ** DECIMALS}.${cents}`);
  },
};

const [command = "start", ...rest] = process.argv.slice(2);
if (!(command in commands)) throw new Error(`no such command: ${command}; there are ${Object.keys(commands).join(", ")}`);
await commands[command](...rest);
