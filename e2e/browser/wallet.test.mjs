// LIVE on a chain of its own: paid and given back by a wallet in the browser, end to end, and every way in which a wallet
// says no.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { launch, open } from "./browser.mjs";
import { faults } from "./checks.mjs";
import { invited, tabTo } from "./people.mjs";
import { program, start } from "./server.mjs";
import { freePort } from "./terminal.mjs";

const CHAIN = 31_337, ALL = 12_500_000n;
let site, browser, node, rpc, token, business, variables;

async function anvil() {
  if (process.env.TROUSSEAU_TEST_ANVIL) return process.env.TROUSSEAU_TEST_ANVIL;
  const folder = new URL("../evm/node_modules/@foundry-rs/", import.meta.url).pathname;
  const packages = await readdir(folder).catch(() => []);
  return packages.map((name) => `${folder}${name}/bin/anvil`).find(existsSync);
}

const word = (value) => BigInt(value).toString(16).padStart(64, "0");
const text = (value) => word(value.length) + Buffer.from(value).toString("hex").padEnd(64, "0");

const installed = await anvil();
if (!installed) console.error("\nSKIPPED: there is no EVM node, so nothing was paid by a wallet. Run `npm ci` in e2e/evm.\n");

before(async () => {
  if (!installed) return;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  node = spawn(installed, ["--host", "127.0.0.1", "--port", String(port), "--chain-id", String(CHAIN), "--no-mining", "--silent", "--slots-in-an-epoch", "1"], { stdio: "ignore" });
  rpc = async (method, params = []) => {
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }) });
    const { result, error } = await answer.json();
    if (error) throw Object.assign(new Error(error.message), { code: error.code });
    return result;
  };
  for (let waited = 0; ; waited += 50) {
    try { await rpc("eth_chainId"); break; } catch (error) { if (waited > 20_000) throw error; }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { contracts } = JSON.parse(await readFile(new URL("../evm/fixtures/test_token.json", import.meta.url), "utf8"));
  const { bytecode, methods } = contracts.TestToken;
  const [issuer, payer] = await rpc("eth_accounts");
  const send = async (transaction) => {
    const hash = await rpc("eth_sendTransaction", [{ from: issuer, gas: "0x3d0900", ...transaction }]);
    await rpc("anvil_mine", ["0x1"]);
    return rpc("eth_getTransactionReceipt", [hash]);
  };
  const made = await send({ data: `${bytecode}${word(96)}${word(160)}${word(6)}${text("USD Coin")}${text("USDC")}` });
  token = made.contractAddress;
  await send({ to: token, data: `0x${methods["mint(address,uint256)"]}${word(payer)}${word(1_000_000_000)}` });
  variables = {
    TROUSSEAU_NETWORKS: `{ local = { chain = "eip155:${CHAIN}", endpoints = ["${url}"], title = "Home chain", poll = 1, stale_after = 600,
      confirmations = [{ from = 0, needs = 3 }, { from = 100, needs = "finalized" }], final_after = { finalized = 900 },
      explorer = { transaction = "https://scan.example/tx/{hash}", address = "https://scan.example/address/{address}", block = "https://scan.example/block/{number}" },
      tokens = { USDC = { contract = "${token}", decimals = 6 } } } }`,
  };
  site = await start([], variables);
  browser = await launch();
  const cli = (...args) => promisify(execFile)(program, [...args, "--data-dir", site.data], { env: { ...process.env, ...variables } });
  business = JSON.parse((await cli("business", "create", "Maison Éclair", "--json")).stdout);
  const [, , , , , , , , , payout] = await rpc("eth_accounts");
  await cli("payout", "set", "local", payout, "--business", business.business.id, "--yes");
  await until(async () => (await cli("network", "list", "--json")).stdout.includes('"well"'));
});
after(async () => {
  await browser?.close();
  await site?.stop();
  node?.kill();
});

async function until(holds) {
  for (let waited = 0; waited < 20_000; waited += 100) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail("it did not come to hold in time");
}

const call = async (path, body) => {
  const { value } = business.keys.find((key) => key.environment === "live" && key.kind === "secret");
  const answer = await fetch(site.url + path, {
    method: "POST", headers: { apikey: value, businessid: business.business.id, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, await answer.clone().text());
  return answer.json();
};
const link = (amount) => call("/v1/payment_links", { amount, title: "Brass lamp" });

/** Gives a page a wallet that hands everything on to the node, or says what `refusal` tells for a method. */
const equip = async (page, { announced = true, refusal = {}, chain = CHAIN } = {}) => {
  const calls = [];
  await page.exposeFunction("askNode", async (method, params) => {
    calls.push([method, params]);
    if (refusal[method]) return { error: refusal[method] };
    try {
      if (method === "eth_requestAccounts") return { result: [(await rpc("eth_accounts"))[1]] };
      if (method === "eth_chainId") return { result: `0x${chain.toString(16)}` };
      if (method === "wallet_switchEthereumChain") { chain = Number(params[0].chainId); return { result: null }; }
      return { result: await rpc(method, params) };
    } catch (error) {
      return { error: { code: error.code ?? -32603, message: error.message } };
    }
  });
  await page.addInitScript((announces) => {
    const provider = {
      async request({ method, params = [] }) {
        const { result, error } = await globalThis.askNode(method, params);
        if (error) throw Object.assign(new Error(error.message), { code: error.code });
        return result;
      },
    };
    if (!announces) { globalThis.ethereum = provider; return; }
    const detail = Object.freeze({ info: { uuid: "0d4c6bd4-26a8-4f3a-9d1e-3c5a3c1f4b11", name: "Test wallet", icon: "data:,", rdns: "example.wallet" }, provider });
    const announce = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
    addEventListener("eip6963:requestProvider", announce);
    announce();
  }, announced);
  return calls;
};

/** A payer's page with such a wallet. */
const visit = async (url, { options = {}, ...wallet } = {}) => {
  const context = await browser.newContext({ baseURL: site.url, locale: "en-GB", viewport: { width: 390, height: 844 }, ...options });
  const page = await open(context);
  const calls = await equip(page, wallet);
  await page.goto(new URL(url).pathname);
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: /^(Pay|Payer) \d/ }).click()]);
  return { page, calls };
};

test("paid by keyboard, told live to the receipt, which leads to the explorer", { skip: !installed }, async () => {
  const { page, calls } = await visit((await link("12.50")).url, { chain: 1 });
  await page.getByText("USDC on Home chain", { exact: true }).waitFor();
  const pay = page.getByRole("button", { name: "Pay with browser wallet: Test wallet" });
  await pay.waitFor();
  assert.deepEqual(await faults(page), []);
  await page.screenshot({ path: "screenshots/wallet-phone.png", fullPage: true });
  const to = await page.textContent("#addr");
  await tabTo(page, pay, 60);
  await page.keyboard.press("Enter");
  await page.getByText("Sent. The payment shows here").waitFor();
  const [[, [asked]]] = calls.filter(([method]) => method === "eth_sendTransaction");
  assert.equal(asked.to.toLowerCase(), token.toLowerCase());
  assert.equal(asked.data, `0xa9059cbb${word(to)}${word(ALL)}`);
  assert.ok(calls.some(([method, params]) => method === "wallet_switchEthereumChain" && params[0].chainId === "0x7a69"));
  assert.equal(await pay.isVisible(), false);
  // Reloaded, the page does not ask for it again.
  await page.reload();
  await page.getByText("Sent. The payment shows here").waitFor();
  assert.equal(await page.getByRole("button", { name: "Pay with browser wallet" }).count(), 0);
  await rpc("anvil_mine", ["0x1"]);
  await page.getByText("Payment seen: 1 of 3 confirmations").waitFor();
  await rpc("anvil_mine", ["0x2"]);
  await page.getByText("Paid: 12.50 USDC").waitFor();
  const hash = await page.textContent("#hash");
  const explorer = page.getByRole("link", { name: "Explorer" });
  assert.equal(await explorer.getAttribute("href"), `https://scan.example/tx/${hash}`);
  assert.equal(await explorer.getAttribute("rel"), "noopener noreferrer");
  assert.deepEqual(await faults(page), []);
  await page.screenshot({ path: "screenshots/wallet-receipt.png", fullPage: true });
  await page.context().close();
});

test("every no of a wallet is told in words, and nothing is sent", { skip: !installed }, async () => {
  const { url } = await link("3.00");
  for (const [method, code, says] of [
    ["eth_requestAccounts", 4001, "You said no in your wallet"],
    ["eth_requestAccounts", 4100, "does not let this page ask"],
    ["eth_requestAccounts", -32002, "A question is open in your wallet already"],
    ["wallet_switchEthereumChain", 4902, "Your wallet does not know Home chain"],
    ["wallet_switchEthereumChain", 4200, "Your wallet cannot do this"],
    ["eth_chainId", 4900, "no connection to the network"],
    ["eth_sendTransaction", 4001, "You said no in your wallet"],
    ["eth_sendTransaction", -32000, "Your wallet says that it did not work"],
  ]) {
    const { page, calls } = await visit(url, { announced: false, chain: 1, refusal: { [method]: { code, message: "no" } } });
    await page.getByRole("button", { name: "Pay with browser wallet" }).click();
    await page.getByText(says).waitFor();
    assert.equal(calls.filter(([name]) => name === "eth_sendTransaction").length, method === "eth_sendTransaction" ? 1 : 0);
    // It may be tried again.
    assert.equal(await page.getByRole("button", { name: "Pay with browser wallet" }).getAttribute("aria-disabled"), "false");
    assert.deepEqual(await faults(page), []);
    await page.context().close();
  }
  const { page } = await visit((await link("5000.00")).url, {});
  await page.getByRole("button", { name: "Pay with browser wallet" }).click();
  await page.getByText("does not have that much USDC").waitFor();
  await page.context().close();
});

test("large sums wait for the network's own word, in French and dark", { skip: !installed }, async () => {
  const { page } = await visit((await link("100.00")).url, { options: { locale: "fr-FR", colorScheme: "dark", viewport: { width: 1440, height: 900 } } });
  await page.getByRole("button", { name: "Payer avec le portefeuille du navigateur" }).click();
  await page.getByText("Envoyé. Le paiement s’affiche ici").waitFor();
  await rpc("anvil_mine", ["0x1"]);
  await page.getByText(/vu\s: en attente de la validation définitive/).waitFor();
  await page.getByText("15 min environ").waitFor();
  assert.deepEqual(await faults(page), []);
  await page.screenshot({ path: "screenshots/wallet-final-fr-dark.png", fullPage: true });
  await rpc("anvil_mine", ["0x3"]);
  await page.getByText("Payé").first().waitFor();
  await page.context().close();
});

test("from a payment to a refund on the pages, sent by the merchant's wallet and believed once the chain holds it", { skip: !installed }, async () => {
  const [, payer, customer] = await rpc("eth_accounts");
  const transfer = (to, units) => ({ from: payer, to: token, data: `0xa9059cbb${word(to)}${word(units)}` });
  const has = async (who) => BigInt(await rpc("eth_call", [{ to: token, data: `0x70a08231${word(who)}` }, "latest"]));
  const { id, address } = await call("/v1/checkout/payments", { payable: (await link("12.50")).id });
  await rpc("eth_sendTransaction", [transfer(address, ALL)]);
  await rpc("anvil_mine", ["0x3"]);

  const context = await invited(browser, site, "administrator", "desk@example.com", business.business.id);
  const page = await open(context);
  const calls = await equip(page);
  const payment = `/b/${business.business.id}/live/payments/${id}`;
  const says = (text) => until(async () => { await page.goto(page.url()); return (await page.textContent("main")).includes(text); });
  await page.goto(payment);
  await says("Settled for good12.50");
  const press = async (locator) => {
    await tabTo(page, locator, 100);
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  };
  const ask = async (amount) => {
    await page.goto(payment);
    await press(page.getByRole("link", { name: "Refund", exact: true }));
    // Who sent the money is not proposed.
    assert.equal(await page.inputValue("#destination"), "");
    assert.ok(!(await page.content()).toLowerCase().includes(payer.toLowerCase()));
    assert.deepEqual(await faults(page), []);
    await page.fill("#amount", amount);
    await page.fill("#destination", customer);
    await press(page.getByRole("button", { name: "Ask for the refund" }));
  };

  await ask("5");
  const send = page.getByRole("button", { name: "Send with browser wallet: Test wallet" });
  await send.waitFor();
  assert.deepEqual(await faults(page), []);
  await page.screenshot({ path: "screenshots/refund-wallet.png", fullPage: true });
  const before = await has(customer);
  // One that moves something else is not taken, and it can be sent once more.
  const wrong = await rpc("eth_sendTransaction", [transfer(customer, 1_000_000)]);
  await rpc("anvil_mine", ["0x1"]);
  page.expects = page.url();
  await page.fill("#transaction_hash", wrong);
  await press(page.getByRole("button", { name: "Hand in the transaction" }));
  await page.getByText("moves another amount").first().waitFor();
  assert.equal(await page.inputValue("#transaction_hash"), wrong);
  assert.deepEqual(await faults(page), []);

  await tabTo(page, send, 100);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await page.getByText("Transaction handed in").waitFor();
  const asked = calls.filter(([method]) => method === "eth_sendTransaction");
  assert.deepEqual(asked.map(([, [sent]]) => [sent.to.toLowerCase(), sent.data]), [[token.toLowerCase(), transfer(customer, 5_000_000).data]]);
  await page.getByText("is in no block yet").waitFor();
  assert.equal(await page.locator("#wallet").count(), 0, "nobody sends it twice");
  await rpc("anvil_mine", ["0x1"]);
  await says("is in a block and does what it should");
  await rpc("anvil_mine", ["0x3"]);
  await says("Sent for certain");
  assert.equal(await has(customer) - before, 6_000_000n);
  assert.match(await page.locator("a.out").nth(1).getAttribute("href"), /^https:\/\/scan\.example\/tx\/0x[0-9a-f]{64}$/);
  assert.deepEqual(await faults(page), []);
  await page.goto(payment);
  assert.match(await page.textContent("main"), /Partly refunded/);

  // Sent, and the page was closed before its hash was handed in: the browser remembers, and asks for nothing twice.
  await ask("7.50");
  await send.waitFor();
  await page.evaluate(() => { HTMLFormElement.prototype.requestSubmit = () => {}; });
  await tabTo(page, send, 100);
  await page.keyboard.press("Enter");
  await page.getByText("Sent. Hand in its transaction below").waitFor();
  const hash = await page.inputValue("#transaction_hash");
  await page.reload();
  await page.getByText("Sent. Hand in its transaction below").waitFor();
  assert.equal(await page.inputValue("#transaction_hash"), hash);
  assert.equal(await send.count(), 0);
  await press(page.getByRole("button", { name: "Hand in the transaction" }));
  await rpc("anvil_mine", ["0x4"]);
  await says("Sent for certain");
  await page.goto(payment);
  assert.equal((await page.locator(".page-head .badge").first().textContent()).trim(), "Refunded");
  assert.equal(await page.getByRole("link", { name: "Refund", exact: true }).count(), 0, "nothing is left");
  await context.close();
});

test("without a wallet there is no button; without an answering node payers are told, live", { skip: !installed }, async () => {
  const context = await browser.newContext({ baseURL: site.url, locale: "en-GB", viewport: { width: 1100, height: 900 } });
  const page = await open(context);
  await page.goto(new URL((await link("4.00")).url).pathname);
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Pay 4.00 USDC" }).click()]);
  await page.getByText("Waiting for your payment").waitFor();
  await page.waitForTimeout(500);
  assert.equal(await page.locator("#wallet").isVisible(), false);
  node.kill("SIGSTOP");
  try {
    await page.getByText("Home chain is seen late at the moment").waitFor({ timeout: 60_000 });
    await page.getByText("Do not pay twice").waitFor();
    assert.deepEqual(await faults(page), []);
    await page.screenshot({ path: "screenshots/wallet-slow.png", fullPage: true });
  } finally {
    node.kill("SIGCONT");
  }
  await rpc("anvil_mine", ["0x1"]);
  await page.getByText("Home chain is seen late at the moment").waitFor({ state: "detached", timeout: 60_000 });
  await context.close();
});
