// The page of a shop: the React page of the documentation, and /trousseau.js in a plain one, on origins of their own.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { faults } from "./checks.mjs";
import { start } from "./server.mjs";
import { openShop } from "./shop.mjs";

let site, browser, business, shop, stranger, key;
before(async () => {
  site = await start();
  browser = await launch();
  business = JSON.parse(await site.cli("business", "create", "Maison Éclair", "--json"));
  shop = await openShop(site.url);
  stranger = await openShop(site.url);
  const made = await site.cli("key", "create", "--business", business.business.id, "--environment", "test", "--kind", "checkout",
    "--name", "Shop", "--allowed-origin", shop.url, "--json");
  key = JSON.parse(made).value;
  for (const each of [shop, stranger]) await each.build(key, business.business.id);
});
after(async () => {
  await browser?.close();
  await shop?.close();
  await stranger?.close();
  await site?.stop();
});

const secret = (environment = "test") =>
  business.keys.find((key) => key.environment === environment && key.kind === "secret").value;
const ours = async (method, path, body) => {
  const answer = await fetch(site.url + path, {
    method,
    headers: { apikey: secret(), businessid: business.business.id, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
};
const link = (more) => ours("POST", "/v1/payment_links", { amount: "12.50", title: "Brass lamp", ...more });
const play = (payment, scenario) => ours("POST", `/v1/test/payments/${payment}/scenario`, { scenario });
const latest = async () => (await ours("GET", "/v1/payments?limit=1")).data[0];

/** An open page of a shop, which keeps the addresses that it asked for. */
const visit = async (at, path, prepare) => {
  const context = await browser.newContext({ baseURL: at.url, viewport: { width: 800, height: 900 }, locale: "en-GB" });
  const page = await open(context);
  page.asked = [];
  page.on("request", (request) => page.asked.push(request.url()));
  await prepare?.(page);
  await page.goto(path);
  return page;
};

/** The plain page with a checkout, and with everything that a watch says in `heard`. */
const plain = async (at, prepare) => {
  const page = await visit(at, "/plain", prepare);
  await page.evaluate(([key, business]) => {
    globalThis.trousseau = Trousseau({ key, business });
    globalThis.heard = [];
    const note = (what) => (said) => heard.push([what, said.code ?? said.status, said.retrying ?? said.confirmations]);
    globalThis.follow = (payment, more) => trousseau.watch(payment, {
      onChange: note("change"), onPaid: note("paid"), onEnd: note("end"), onError: note("error"), ...more,
    });
    globalThis.failure = (promise) => promise.then(() => "done", ({ code, status, advice }) => ({ code, status, advice }));
  }, [key, business.business.id]);
  return page;
};
const heard = (page, least) => page.waitForFunction((least) => heard.length >= least && heard, least).then((each) => each.jsonValue());

test("the documentation shows the page that runs here", async () => {
  const read = (path) => readFile(new URL(`../../docs/${path}`, import.meta.url), "utf8");
  const shown = await read("checkout.md");
  for (const file of ["Checkout.jsx", "main.jsx"]) {
    const text = await read(`examples/checkout-react/${file}`);
    assert.ok(shown.includes(`\`\`\`jsx\n${text}\`\`\`\n`), `docs/checkout.md holds another ${file} than the one that is tested`);
  }
});

test("the React page: started, seen, reloaded, paid", async () => {
  shop.payable = (await link()).id;
  const page = await visit(shop, "/");
  await page.getByRole("heading", { name: "Brass lamp: 12.50 USDC" }).waitFor();
  assert.deepEqual(await faults(page), []);
  await page.getByLabel("Network").selectOption("test:pol");
  await page.getByRole("button", { name: "Pay 12.50 USDC" }).click();
  await page.getByText("Waiting for your payment.").waitFor();
  const address = await page.textContent("code");
  assert.match(address, /^test_[0-9a-z]{26}$/);
  assert.deepEqual(await faults(page), []);

  const payment = await latest();
  assert.deepEqual([payment.amount, payment.network], ["12.50", "test:pol"]);
  await ours("POST", "/v1/test/transfers", { address, amount: "2.50", network: "pol" });
  await ours("POST", "/v1/test/blocks", { count: 1 });
  await page.getByText("Something arrived; 10.00 USDC are missing.").waitFor();
  await page.reload();
  await page.getByText("Something arrived; 10.00 USDC are missing.").waitFor();
  assert.equal(await page.textContent("code"), address, "a reload starts no other payment");
  await ours("POST", "/v1/test/transfers", { address, amount: "10.00", network: "pol" });
  await ours("POST", "/v1/test/blocks", { count: 1 });
  await page.getByText("Seen: 1 of 3 confirmations.").waitFor();
  await ours("POST", "/v1/test/blocks", { count: 2 });
  await page.getByText("Paid: 12.50 USDC. Thank you!").waitFor();
  await page.waitForFunction(() => document.title === "Paid: 12.50 USDC");
  assert.deepEqual(await faults(page), []);

  assert.equal((await latest()).id, payment.id);
  assert.ok(page.asked.some((url) => url.includes("/events?token=")));
  assert.deepEqual(page.asked.filter((url) => url.includes(key)), [], "no key is in a URL");
  const origins = new Set(page.asked.map((url) => new URL(url)).filter((url) => url.protocol !== "data:").map((url) => url.origin));
  assert.deepEqual([...origins].sort(), [shop.url, site.url].sort(), "nobody else is asked");
  await page.context().close();
});

test("the React page opens the hosted page of the same payment", async () => {
  shop.payable = (await link({ title: "Cable" })).id;
  const page = await visit(shop, "/");
  await page.getByRole("button", { name: "Pay 12.50 USDC" }).click();
  const address = await page.locator("code").textContent();
  const [hosted] = await Promise.all([page.waitForEvent("popup"), page.getByRole("button", { name: "Show the payment page" }).click()]);
  await hosted.getByText("Waiting for your payment").waitFor();
  assert.equal(await hosted.textContent("#addr"), address);
  const closed = hosted.waitForEvent("close");
  await hosted.getByRole("button", { name: "Paid", exact: true }).click();
  await closed;
  await page.getByText("Paid: 12.50 USDC. Thank you!").waitFor();
  assert.deepEqual(await faults(page), []);
  await page.context().close();
});

test("the React page says why an origin that is not allowed gets nowhere", async () => {
  stranger.payable = (await link()).id;
  const page = await visit(stranger, "/", (page) => { page.expects = `${site.url}/v1/checkout/payables/${stranger.payable}`; });
  const alert = page.getByRole("alert");
  await alert.getByText("origin_not_allowed").waitFor();
  assert.match(await alert.textContent(), /not allowed from this origin\. Add the origin of the page to the key's allowed origins/);
  assert.deepEqual(await faults(page), []);
  await page.context().close();
});

test("the page that the Guide begins with", async () => {
  const payable = (await link()).id;
  const page = await visit(shop, "/begin", async (page) => {
    await page.goto(`${site.url}/docs/checkout`);
    const text = (await page.textContent("#c-page"))
      .replace(/key: "[^"]+"/, `key: "${key}"`)
      .replace(/business: "[^"]+"/, `business: "${business.business.id}"`)
      .replace("plink_...", payable);
    shop.begin = `<!doctype html><html lang="en"><title>Begin</title><link rel="icon" href="data:,"><main><h1>Begin</h1>${text}</main></html>`;
  });
  await page.getByRole("button", { name: "Pay" }).click();
  await page.getByRole("button", { name: /^Send 12\.50 USDC to test_/ }).waitFor();
  await play((await latest()).id, "paid");
  await page.getByRole("button", { name: "Paid" }).waitFor();
  assert.deepEqual(await faults(page), []);
  await page.context().close();
});

test("a plain page: integrity, each step once, and the end", async () => {
  const page = await plain(shop);
  const payable = (await link()).id;
  const shown = await page.evaluate((id) => trousseau.payable(id), payable);
  assert.deepEqual([shown.amount, shown.title, shown.payable], ["12.50", "Brass lamp", true]);
  // The second one is told that the first still runs, and asks again.
  page.expects = `${site.url}/v1/checkout/payments`;
  const [one, two] = await page.evaluate(
    (payable) => Promise.all([1, 2].map(() => trousseau.startPayment({ payable, network: "base", idempotencyKey: "3b8e6f0c-once" }))), payable);
  assert.equal(one.id, two.id, "the same key answers the same payment");
  await page.evaluate((payment) => void follow(payment), one);
  assert.deepEqual(await heard(page, 1), [["change", "open", null]]);
  await play(one.id, "slow");
  assert.deepEqual((await heard(page, 2)).at(-1), ["change", "processing", 1]);
  await ours("POST", "/v1/test/blocks", { count: 2 });
  assert.deepEqual((await heard(page, 5)).slice(-3), [["change", "settled", null], ["paid", "settled", null], ["end", "settled", null]]);
  assert.deepEqual(await faults(page), []);
  await page.context().close();

  const tampered = await visit(shop, "/tampered");
  assert.equal(await tampered.evaluate(() => typeof Trousseau), "undefined");
  assert.match(tampered.wrongs.join(" "), /integrity/);
  await tampered.context().close();
});

test("a hash that is handed in counts once", async () => {
  const page = await plain(shop);
  const payable = (await link()).id;
  const answers = await page.evaluate(async (payable) => {
    const hash = `0x${"7e".repeat(32)}`;
    const [one, two] = [await trousseau.startPayment({ payable }), await trousseau.startPayment({ payable })];
    return [
      (await trousseau.handIn(one, hash)).status,
      (await trousseau.handIn(one, hash)).status,
      (await failure(trousseau.handIn(two, hash))).code,
    ];
  }, payable);
  assert.deepEqual(answers, ["settled", "settled", "transaction_taken"]);
  await page.context().close();
});

test("the server dies and comes back: the stream goes on, and tells nothing twice", async () => {
  const page = await plain(shop);
  const payable = (await link()).id;
  const payment = await page.evaluate(async (payable) => {
    const payment = await trousseau.startPayment({ payable });
    follow(payment);
    return payment;
  }, payable);
  await heard(page, 1);
  await play(payment.id, "slow");
  assert.deepEqual(await heard(page, 2), [["change", "open", null], ["change", "processing", 1]]);
  await site.halt();
  const unreachable = await page.evaluate((payable) => failure(trousseau.payable(payable)), payable);
  assert.deepEqual([unreachable.code, unreachable.status], ["unreachable", 0]);
  await site.resume();
  await ours("POST", "/v1/test/blocks", { count: 2 });
  await page.waitForFunction(() => heard.some(([what]) => what === "end"));
  const told = (await heard(page, 5)).filter(([what]) => what !== "error");
  assert.deepEqual(told.slice(2), [["change", "settled", null], ["paid", "settled", null], ["end", "settled", null]]);
  await page.context().close();
});

test("where no stream gets through, it asks", async () => {
  const page = await plain(shop, (page) => page.route("**/events?token=*", (route) => route.fulfill({ status: 502, body: "" })));
  const payment = await page.evaluate(async (payable) => {
    const payment = await trousseau.startPayment({ payable });
    follow(payment);
    return payment;
  }, (await link()).id);
  assert.deepEqual(await heard(page, 1), [["change", "open", null]]);
  await play(payment.id, "paid");
  await page.waitForFunction(() => heard.some(([what]) => what === "end"));
  assert.deepEqual((await heard(page, 4)).at(-2), ["paid", "settled", null]);
  await page.context().close();
});

test("watching ends by its answer, by a signal, and where there is nothing to watch", async () => {
  const page = await plain(shop);
  const payment = await page.evaluate(async (payable) => {
    const payment = await trousseau.startPayment({ payable });
    const abort = new AbortController();
    await new Promise((resolve) => { const stop = follow(payment, { onChange: () => { stop(); resolve(); } }); });
    await new Promise((resolve) => follow(payment, { signal: abort.signal, onChange: () => { abort.abort(); resolve(); } }));
    follow({ ...payment, events_url: payment.events_url.replace(/token=.*/, "token=x"), status_url: payment.status_url.replace(/token=.*/, "token=x") });
    return payment;
  }, (await link()).id);
  assert.deepEqual(await heard(page, 1), [["error", "not_found", false]]);
  await play(payment.id, "paid");
  await page.waitForTimeout(500);
  assert.equal((await heard(page, 1)).length, 1, "nothing is heard after the end");
  const aborted = await page.evaluate((id) => {
    const abort = new AbortController();
    abort.abort();
    return trousseau.payable(id, { signal: abort.signal }).catch((error) => error.name);
  }, payment.id);
  assert.equal(aborted, "AbortError");
  await page.context().close();
});

test("the window of the hosted page tells its opener, and nobody else is believed", async () => {
  const payable = (await link()).id;
  const opening = async (at) => {
    const page = await plain(at);
    const [hosted] = await Promise.all([
      page.waitForEvent("popup"),
      page.evaluate((payable) => {
        globalThis.opened = trousseau.open(payable);
        opened.then((result) => { globalThis.result = result; });
        // Whatever this page, or a frame in it, makes up.
        postMessage({ isPaymentComplete: true, paymentId: payable, walletAddress: "forged" }, "*");
      }, payable),
    ]);
    await hosted.getByRole("button", { name: "Pay 12.50 USDC" }).click();
    await hosted.getByRole("button", { name: "Paid", exact: true }).waitFor();
    assert.equal(await page.evaluate(() => globalThis.result), undefined, "a forged message is no news");
    return [page, hosted];
  };

  const [page, hosted] = await opening(shop);
  const closed = hosted.waitForEvent("close");
  await hosted.getByRole("button", { name: "Paid", exact: true }).click();
  await closed;
  assert.deepEqual(await page.evaluate(() => opened), { paid: true, payable, payer: "test_payer" });
  await page.context().close();

  const [other, window] = await opening(stranger);
  await window.getByRole("button", { name: "Paid", exact: true }).click();
  await window.getByText("Paid: 12.50 USDC").waitFor();
  await other.waitForTimeout(500);
  assert.equal(await other.evaluate(() => globalThis.result), undefined, "an origin that is not allowed hears nothing");
  await window.close();
  assert.deepEqual(await other.evaluate(() => opened), { paid: false });
  await other.context().close();
});

test("a window that is going to its next page lets that one tell", async () => {
  const page = await plain(shop);
  const payable = (await link()).id;
  const [hosted] = await Promise.all([
    page.waitForEvent("popup"),
    page.evaluate((payable) => { trousseau.open(payable).then((result) => { globalThis.result = result; }); }, payable),
  ]);
  await hosted.getByRole("button", { name: "Pay 12.50 USDC" }).click();
  await hosted.getByText("Waiting for your payment").waitFor();
  let go;
  const held = new Promise((resolve) => { go = resolve; });
  await hosted.route(/\/simulate/, async (route) => { await held; await route.continue(); });
  const closed = hosted.waitForEvent("close");
  await hosted.getByRole("button", { name: "Paid", exact: true }).click({ noWaitAfter: true });
  await play((await latest()).id, "paid");
  await page.waitForTimeout(1500);
  // The page that is left has heard of it. The shop would close the window in the middle of its way, and Chromium may
  // show the next page in it all the same.
  assert.equal(await page.evaluate(() => globalThis.result), undefined);
  go();
  await closed;
  assert.equal((await page.evaluate(() => globalThis.result)).paid, true);
  await page.context().close();
});

test("mistakes are told before anything is sent", async () => {
  const page = await plain(shop);
  const asked = page.asked.length;
  const codes = await page.evaluate(([secret, live, key, business]) => {
    const code = (options) => { try { Trousseau(options); return "none"; } catch (error) { return error.code; } };
    return [
      code({ key: secret, business }), code({ key: live, business }), code({ key: "Mileston_PLATFORM_x", business }), code({ business }),
      code({ key }), code({ key, business, url: "" }), code({ key, business }),
    ];
  }, [secret(), secret("live"), key, business.business.id]);
  assert.deepEqual(codes, [
    "secret_key_in_browser", "secret_key_in_browser", "secret_key_in_browser", "key_missing", "business_missing", "url_missing", "none",
  ]);
  const failures = await page.evaluate(async () => {
    // A window that no click asked for.
    globalThis.open = () => null;
    return [await failure(trousseau.open("plink_x")), await failure(trousseau.open("pay_x"))].map(({ code }) => code);
  });
  assert.deepEqual(failures, ["popup_blocked", "payable_unknown"]);
  assert.equal(page.asked.length, asked, "nothing was asked for");
  const said = page.wrongs.splice(0);
  assert.ok(said.length === 4 && said.slice(0, 3).every((line) => /rotate it now/.test(line)), said.join("\n"));
  assert.ok(!said.some((line) => line.includes(secret())), "and the key is not printed");

  // The server says no as well, should another script send it.
  page.expects = `${site.url}/v1/checkout/payables/plink_x`;
  const refused = await page.evaluate(async ([url, apikey, businessid]) => {
    const answer = await fetch(`${url}/v1/checkout/payables/plink_x`, { headers: { apikey, businessid } });
    return (await answer.json()).code;
  }, [site.url, secret(), business.business.id]);
  assert.equal(refused, "browser_not_allowed");
  const elsewhere = await page.evaluate(([key, business, url]) => failure(Trousseau({ key, business, url }).payable("plink_x")), [key, business.business.id, shop.url]);
  assert.deepEqual([elsewhere.code, elsewhere.status], ["not_trousseau", 404]);
  await page.context().close();
});
