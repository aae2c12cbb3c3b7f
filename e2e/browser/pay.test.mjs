// The hosted page: paid in TEST, in both languages, by keyboard, at phone width, told live.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { faults } from "./checks.mjs";
import { tabTo } from "./people.mjs";
import { start } from "./server.mjs";

let site, browser, business;
before(async () => {
  site = await start();
  browser = await launch();
  business = JSON.parse(await site.cli("business", "create", "Maison Éclair", "--json"));
});
after(async () => {
  await browser?.close();
  await site?.stop();
});

const ours = async (method, path, body) => {
  const { value } = business.keys.find((key) => key.environment === "test" && key.kind === "secret");
  const answer = await fetch(site.url + path, {
    method,
    headers: { apikey: value, businessid: business.business.id, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
};

const visit = async (options, url) => {
  const context = await browser.newContext({ baseURL: site.url, ...options });
  const page = await open(context);
  await page.goto(new URL(url).pathname);
  return page;
};

test("by keyboard, in English, at phone width, told live to the receipt", async () => {
  const invoice = await ours("POST", "/v1/invoices", {
    title: "Brass lamp", due_at: "2030-01-31T22:59:59Z",
    lines: [{ description: "Lamp", quantity: 1, unit_amount: "89.00" }, { description: "Cable, 3 m", quantity: 2, unit_amount: "9.00" }],
  });
  const page = await visit({ locale: "en-GB", viewport: { width: 390, height: 844 } }, invoice.url);
  assert.deepEqual(await faults(page), []);
  await tabTo(page, page.getByRole("button", { name: "Pay 107.00 USDC" }), 40);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await page.getByText("Waiting for your payment").waitFor();
  assert.deepEqual(await faults(page), []);
  const address = await page.textContent("#addr");
  assert.match(address, /^test_[0-9a-z]{26}$/);
  await ours("POST", "/v1/test/transfers", { address, amount: "7.00" });
  await ours("POST", "/v1/test/blocks", { count: 1 });
  await page.getByText("Send the remaining 100.00 USDC").waitFor();
  assert.equal(await page.getAttribute("#amt", "value"), "100.00");
  await ours("POST", "/v1/test/transfers", { address, amount: "100.00" });
  await ours("POST", "/v1/test/blocks", { count: 1 });
  await page.getByText("Payment seen: 1 of 3 confirmations").waitFor();
  assert.deepEqual(await faults(page), []);
  await ours("POST", "/v1/test/blocks", { count: 2 });
  await page.getByText("Paid: 107.00 USDC").waitFor();
  await page.getByRole("heading", { name: "Receipt" }).waitFor();
  assert.equal(await page.locator("#addr").count(), 0);
  assert.deepEqual(await faults(page), []);
  // What the window is called follows, and so does what is printed under it; the page itself says what it is no more.
  assert.equal(await page.title(), "Receipt: 107.00 USDC paid to Maison Éclair");
  assert.doesNotMatch(await page.textContent("body"), /Pay with USDC|Total due|The receipt opens here/);
  // The address that stands in the mail shows the same.
  await page.goto(new URL(invoice.url).pathname);
  await page.getByRole("heading", { name: "Receipt" }).waitFor();
  await page.getByRole("button", { name: "Print" }).waitFor();
  assert.deepEqual(await faults(page), []);
  await page.context().close();
});

test("in French and dark, by the buttons, with a time that counts down", async () => {
  const link = await ours("POST", "/v1/payment_links", { amount: "128.40", title: "Suspension en laiton", redirect_url: "https://shop.example/merci" });
  const page = await visit({ locale: "fr-FR", colorScheme: "dark", viewport: { width: 1440, height: 900 } }, link.url);
  assert.equal(await page.getAttribute("html", "lang"), "fr");
  await page.getByLabel("Polygon").check();
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: /^Payer 128,40/ }).click()]);
  await page.getByText("USDC sur Polygon", { exact: true }).waitFor();
  assert.match(await page.textContent("[role=timer]"), /(59:[0-5]\d|60:00) restantes/);
  assert.deepEqual(await faults(page), []);
  for (const [button, says] of [["Mauvais jeton", "Un autre jeton est arrivé"], ["Excédentaire", "de trop"]]) {
    await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: button }).click()]);
    await page.getByText(says).first().waitFor();
    assert.deepEqual(await faults(page), []);
  }
  // Paper is white, whatever the theme.
  await page.emulateMedia({ media: "print" });
  const ink = await page.evaluate(() => getComputedStyle(document.querySelector(".slip dd")).color);
  assert.equal(ink, "rgb(28, 27, 24)");
  await page.emulateMedia({ media: null });
  const back = page.getByRole("link", { name: "Retour chez Maison Éclair" });
  assert.match(await back.getAttribute("href"), /^https:\/\/shop\.example\/merci\?payment_id=pay_[0-9a-z]{26}$/);
  await page.context().close();
});

test("without script: read, pay, check again", async () => {
  const link = await ours("POST", "/v1/payment_links", { amount: "5.00" });
  const page = await visit({ locale: "en-GB", javaScriptEnabled: false, viewport: { width: 1100, height: 800 } }, link.url);
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Pay 5.00 USDC" }).click()]);
  const address = await page.textContent("#addr");
  assert.equal(await page.locator("[role=timer]").isVisible(), false);
  assert.equal(await page.getByText("Press “Check again” once you have sent it.").isVisible(), true);
  assert.equal(await page.getByText("This page updates by itself.").isVisible(), false);
  await ours("POST", "/v1/test/transfers", { address, amount: "5.00" });
  await ours("POST", "/v1/test/blocks", { count: 3 });
  await Promise.all([page.waitForNavigation(), page.getByRole("link", { name: "Check again" }).click()]);
  assert.match(await page.textContent("#state"), /Paid: 5\.00 USDC/);
  await page.context().close();
});

test("no news is lost: not before the stream is open, not where the stream or the page cannot be had, not by going back", async () => {
  const link = await ours("POST", "/v1/payment_links", { amount: "5.00" });
  const page = await visit({ locale: "en-GB", viewport: { width: 1100, height: 800 } }, link.url);
  let open, refused = 0, full = true;
  const held = new Promise((resolve) => { open = resolve; });
  await page.route("**/events", async (route) => {
    await held;
    if (!full) return route.continue();
    full = false;
    return route.fulfill({ status: 503, body: "" });
  });
  await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Pay 5.00 USDC" }).click()]);
  const address = await page.textContent("#addr");
  await ours("POST", "/v1/test/transfers", { address, amount: "2.00" });
  await ours("POST", "/v1/test/blocks", { count: 1 });
  page.expects = page.url();
  await page.route(page.url(), (route) => {
    if (route.request().resourceType() !== "fetch" || refused === 2) return route.fallback();
    refused += 1;
    return route.fulfill({ status: 503, body: "" });
  });
  open();
  await page.getByText("Send the remaining 3.00 USDC").waitFor();
  assert.equal(refused, 2);

  const started = page.url();
  await page.goto("/pay/nothing");
  await ours("POST", "/v1/test/transfers", { address, amount: "3.00" });
  await ours("POST", "/v1/test/blocks", { count: 1 });
  await page.goBack({ waitUntil: "commit" });
  await page.getByText("Payment seen: 1 of 3 confirmations").waitFor();
  await ours("POST", "/v1/test/blocks", { count: 2 });
  await page.getByText("Paid: 5.00 USDC").waitFor();

  let asked = 0;
  page.on("request", (request) => { asked += Number(request.url().endsWith("/events")); });
  await page.goto(started);
  await page.getByText("Paid: 5.00 USDC").waitFor();
  await page.waitForTimeout(500);
  assert.equal(asked, 0, "what is over is not watched");
  await page.context().close();
});
