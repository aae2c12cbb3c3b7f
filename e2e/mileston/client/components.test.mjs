// `mileston-payment-client` 0.9.3 as it is published: its components and buttons, in Chromium.
//
// Nothing of it is redirected here: the names of its servers lead to ours, by HTTPS, as a hosts file and a certificate
// authority of one's own would do it. Its wallets are stood in for, as in functions.test.mjs.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { launch, open } from "../../browser/browser.mjs";
import { start } from "../../browser/server.mjs";

const HOSTED = "https://checkout.mileston.co";
const tls = process.env.TROUSSEAU_TEST_TLS;

let site, shop, browser, folder, page, helpers, key;
before(async () => {
  site = await start(["--tls-cert", `${tls}/server.pem`, "--tls-key", `${tls}/server.key`]);
  const made = await site.cli("business", "create", "A shop", "--json");
  Object.assign(process.env, { TROUSSEAU_TEST_URL: site.url, TROUSSEAU_TEST_BUSINESS: made });
  helpers = await import("./server.mjs");

  folder = await mkdtemp(join(tmpdir(), "trousseau-mileston-"));
  const inThisFolder = new URL(".", import.meta.url).pathname;
  await build({
    absWorkingDir: inThisFolder, entryPoints: ["page.jsx"], outfile: join(folder, "page.js"), bundle: true, format: "iife",
    jsx: "automatic", define: { "process.env.NODE_ENV": '"production"' }, logLevel: "error",
  });
  const script = await readFile(join(folder, "page.js"));
  shop = createServer((request, response) => {
    if (request.url === "/page.js") return response.setHeader("content-type", "text/javascript").end(script);
    response.setHeader("content-type", "text/html").end(
      '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title><link rel="icon" href="data:,"></head><body><main id="shop"></main><script src="/page.js"></script></body></html>');
  });
  await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));
  shop.url = `http://127.0.0.1:${shop.address().port}`;
  key = JSON.parse(await site.cli("key", "create", "--business", helpers.business, "--environment", "test", "--kind", "checkout",
    "--allowed-origin", shop.url, "--json")).value;
  const here = `127.0.0.1:${new URL(site.url).port}`;
  browser = await launch({ "checkout-service.mileston.co": here, "checkout.mileston.co": here });
});
after(async () => {
  await browser?.close();
  shop?.closeAllConnections();
  shop?.close();
  await site?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const visit = async (config, origin = shop.url) => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 900, height: 1000 } });
  page = await open(context);
  // It loads pictures of coins from somebody else.
  await context.route("https://assets.parqet.com/**", (route) => route.fulfill({ contentType: "image/svg+xml", body: '<svg xmlns="http://www.w3.org/2000/svg"/>' }));
  await page.addInitScript((config) => { globalThis.shop = config; }, { apikey: key, businessid: helpers.business, ...config });
  await page.goto(origin);
};
const heard = () => page.evaluate(() => heard);
const choose = async (label, option) => {
  await page.getByLabel(label).click();
  await page.getByRole("option", { name: option }).click();
};

test("the QR component: a wallet, awaiting, paid, in each of the three checkouts", async () => {
  const seller = helpers.backend("test");
  for (const [kind, id, price, shows, chain, network] of [
    ["payment-link", await seller.link({ amount: "12.5" }), "12.50", "USD 12.50", "pol", "Polygon"],
    ["invoice", await seller.invoice(), "50.00", "USD 50.00", "base", "Base"],
    ["recurring", await seller.subscription(), "9.00", "Box", "sui", "Sui"],
  ]) {
    await visit({ kind, id });
    await page.getByText(shows).first().waitFor();
    await page.getByRole("tab", { name: "QR Code" }).click();
    await choose("Select Blockchain", network);
    await choose("Select Token", /^USDC/);
    const [answer] = await Promise.all([
      page.waitForResponse("**/checkout/payment-wallet/**"),
      page.getByRole("button", { name: /^Generate .* QR$/ }).click(),
    ]);
    const { publicKey } = await answer.json();
    await page.getByText(`${publicKey.slice(0, 13)}...${publicKey.slice(-4)}`).waitFor();
    assert.match(await page.getByAltText("Payment QR Code").getAttribute("src"), /^data:image\/png/);
    const asked = Number(price) + 0.05;
    await page.getByText(`Send ${asked} USDC on ${network} network`).waitFor();

    const confirm = page.getByRole("button", { name: "I have made the payment" });
    await confirm.click();
    await page.waitForFunction(() => heard.length === 1);
    assert.deepEqual(await heard(), [["qr failed", "Still awaiting payment. Please try again in a moment."]], "these very bytes");
    await helpers.ours("transfers", { address: publicKey, amount: asked.toFixed(2), network: chain });
    await helpers.ours("blocks", { count: 3 });
    await confirm.click();
    await page.getByRole("button", { name: "Payment Verified" }).waitFor();
    assert.deepEqual((await heard()).slice(1), [["qr", chain, "USDC"]]);
    // That it was refused for now is all that the console has to say.
    assert.deepEqual(page.wrongs.filter((line) => !/status of 400/.test(line)), []);

    const read = { "payment-link": "links", invoice: "invoices", recurring: "recurring" }[kind];
    const backend = await seller[read].get(id);
    if (kind === "invoice") assert.equal(backend.status, "paid");
    if (kind === "recurring") assert.equal(backend.recurringPaymentData.currentPaymentStatus, "paid");
    await page.context().close();
  }
});

test("the card component says that it failed, as cards are not offered", async () => {
  await visit({ kind: "payment-link", id: await helpers.backend("test").link() });
  await page.getByRole("tab", { name: "Card" }).click();
  await page.getByRole("button", { name: "Pay with Card" }).click();
  await page.getByText("Error: Failed to fetch onramp data").waitFor();
  assert.deepEqual(await heard(), [["card failed", "Failed to fetch onramp data"]]);
  await page.context().close();
});

test("a page of another origin is told why it gets nothing", async () => {
  await visit({ kind: "payment-link", id: await helpers.backend("test").link() }, shop.url.replace("127.0.0.1", "localhost"));
  assert.match(await page.getByRole("alert").textContent(), /origin.*reference [0-9a-f]{32}/);
  await page.context().close();
});

/** Pays in the window that a button opened. */
const payIn = async (button) => {
  const [hosted] = await Promise.all([page.waitForEvent("popup"), button.click()]);
  await hosted.getByRole("button", { name: /^Pay 100/ }).click();
  const paid = hosted.getByRole("button", { name: "Paid", exact: true });
  await paid.waitFor();
  return [hosted, () => paid.click()];
};

test("both buttons hear of the hosted page, where the name of Mileston's leads to ours", async () => {
  const seller = helpers.backend("test");
  for (const [name, said] of [["Pay Now", "vanilla"], ["In a window", "react"]]) {
    await visit({ paymentUrl: `${HOSTED}/payment-link/${await seller.link()}` });
    const [hosted, pay] = await payIn(page.getByRole("button", { name }));
    assert.equal(new URL(hosted.url()).origin, HOSTED);
    const closed = hosted.waitForEvent("close");
    await pay();
    await closed;
    await page.waitForFunction(() => heard.length);
    assert.deepEqual(await heard(), [[said]]);
    if (said === "vanilla") assert.equal(await page.textContent("#vanilla"), "Payment Complete");
    assert.deepEqual(page.wrongs, []);
    await page.context().close();
  }
});

test("the buttons take no message from another name, which is why they need that one", async () => {
  await visit({ paymentUrl: `${site.url}/pay/payment-link/${await helpers.backend("test").link()}` });
  await page.evaluate(() => {
    globalThis.raw = [];
    addEventListener("message", ({ origin, data }) => raw.push([origin, data]));
  });
  const [hosted, pay] = await payIn(page.getByRole("button", { name: "In a window" }));
  await pay();
  await page.waitForFunction(() => raw.length);
  const [[origin, data]] = await page.evaluate(() => raw);
  assert.equal(origin, site.url, "ours did speak");
  assert.deepEqual([data.isPaymentComplete, data.walletAddress, /^plink_/.test(data.paymentId)], [true, "test_payer", true]);
  await hosted.close();
  await page.getByRole("button", { name: "In a window" }).waitFor();
  assert.deepEqual(await heard(), []);
  await page.context().close();
});

test("a page that the business does not list hears nothing, whatever it asks for", async () => {
  await visit({ paymentUrl: `${HOSTED}/payment-link/${await helpers.backend("test").link()}` }, shop.url.replace("127.0.0.1", "localhost"));
  const [hosted, pay] = await payIn(page.getByRole("button", { name: "Pay Now" }));
  await pay();
  await hosted.getByText("Paid: 100.00 USDC").waitFor();
  await page.waitForTimeout(500);
  assert.deepEqual([await heard(), hosted.isClosed()], [[], false]);
  await page.context().close();
});
