// The published npm client, unmodified, from creation to "paid"; the browser's calls as the published one for shops
// makes them.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Invoice, PaymentLink, RecurringPayment, Wallet } from "mileston-payments";

const url = process.env.TROUSSEAU_TEST_URL;
const created = JSON.parse(process.env.TROUSSEAU_TEST_BUSINESS);
const business = created.business.id;
const key = (environment, kind) => created.keys.find((key) => key.environment === environment && key.kind === kind).value;

// What its users set, too: there is no option for it.
PaymentLink.defaultBaseURL = `${url}/payment-link`;
Invoice.defaultBaseURL = `${url}/invoice`;
RecurringPayment.defaultBaseURL = `${url}/recurring-payment`;
Wallet.defaultBaseURL = `${url}/user`;

const secret = key("test", "secret");
const links = new PaymentLink(secret, business);
const invoices = new Invoice(secret, business);
const recurring = new RecurringPayment(secret, business);

// The client prints whole requests, keys included, to standard error.
console.error = () => {};

const refused = async (promise, pattern) => {
  await assert.rejects(promise, (error) => { assert.match(error.message, pattern); return true; });
};

const page = async (method, path, body, { apikey = key("test", "checkout"), headers = {} } = {}) => {
  const answer = await fetch(`${url}/checkout/${path}`, {
    method,
    headers: { apikey, businessid: business, "content-type": "application/json", origin: "https://shop.example", ...headers },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, text, json: JSON.parse(text) };
};

const claim = (id, more) => ({
  paymentLinkId: id, payer: "0xpayer", recipientWalletAddress: "0xanything", amount: "0.01", userUUID: business,
  chain: "base", env: "test", ...more,
});

test("payment links: create, get, getAll, update, delete", async () => {
  const made = await links.create({ amount: "100.00", title: "Café", description: "By the cup", redirectUrl: "https://shop.example/thanks", customerEmail: "ignored@example.com" });
  assert.equal(made.statusCode, 201);
  const id = made.paymentData.paymentLinkId;
  assert.equal(made.paymentLink, `${new URL(made.paymentLink).origin}/pay/payment-link/${id}`);
  assert.equal(made.paymentData.amount, "100.00");
  assert.deepEqual((await links.get(id)).paymentData, made.paymentData);
  assert.equal((await links.getAll(1)).paymentData.length, 1);
  assert.ok((await links.getAll()).paymentData.length >= 1);
  const changed = await links.update({ paymentLinkId: id, amount: "12.5", title: "Tea" });
  assert.deepEqual([changed.paymentData.amount, changed.paymentData.title], ["12.50", "Tea"]);
  assert.equal((await links.create({ amount: 7.1 })).paymentData.amount, "7.10");
  await refused(links.update(id, { amount: "1" }), /paymentLinkId/);
  await refused(links.create({ amount: "1e3" }), /amount/);
  assert.equal((await links.delete(id)).statusCode, 200);
  await refused(links.get(id), /not/i);
});

test("invoices: create, get, getAll, update, delete", async () => {
  const draft = { amount: "50.00", itemName: "Workshop", customerEmail: "billing@customer.example", dueDate: new Date("2030-01-31T12:00:00Z"), addPdf: true };
  const made = await invoices.create("Acme & Co #1", draft);
  const id = made.invoiceData.invoiceId;
  assert.equal(made.invoiceData.itemName, "Workshop");
  assert.equal(made.invoiceData.status, "pending");
  assert.equal((await invoices.get(id)).status, "pending");
  assert.ok((await invoices.getAll(5)).invoiceData.some((invoice) => invoice.invoiceId === id));
  assert.equal((await invoices.update({ invoiceId: id, itemName: "Two workshops" })).invoiceData.itemName, "Two workshops");
  assert.equal((await invoices.delete(id)).statusCode, 200);
  await refused(invoices.get(id), /not/i);
});

test("recurring payments: create, get, getAll, update, delete", async () => {
  const draft = { amount: "9.00", subscriptionName: "Box", subscriberFullName: "A customer", subscriberEmail: "a@customer.example", recurringDate: new Date(), recurringInterval: 30 };
  const made = await recurring.create("Acme", draft);
  const id = made.recurringPaymentData.recurringPaymentId;
  assert.equal(made.recurringPaymentData.recurringInterval, 30);
  assert.equal(made.recurringPaymentData.currentPaymentStatus, "unpaid");
  assert.equal((await recurring.get(id)).recurringPaymentData.subscriptionName, "Box");
  assert.ok((await recurring.getAll(5)).recurringPaymentData.length >= 1);
  assert.equal((await recurring.update({ recurringPaymentId: id, amount: "10.00" })).recurringPaymentData.amount, "10.00");
  assert.equal((await recurring.delete(id)).statusCode, 200);
  await refused(recurring.get(id), /not/i);
});

test("a shop's page saves a payment, once, and the backend sees it paid", async () => {
  const { invoiceData } = await invoices.create("Acme", { amount: "20.00", itemName: "Lamp", customerEmail: "b@customer.example", dueDate: new Date("2030-01-31T12:00:00Z") });
  const id = invoiceData.invoiceId;
  const shown = await page("GET", `data/invoice.get/${id}`);
  assert.deepEqual([shown.status, shown.json.status, shown.json.env, shown.json.invoiceData.customerEmail], [200, "pending", "test", ""]);
  const hash = `0x${"5c".repeat(32)}`;
  for (const _ of [1, 2]) {
    const saved = await page("POST", "save-payment/invoice.save?nativeTokens=ETH", claim(id, { transactionSignature: hash }));
    assert.deepEqual([saved.status, saved.json.statusCode], [200, 200], saved.text);
  }
  assert.equal((await page("GET", `data/invoice.get/${id}`)).json.status, "paid");
  assert.equal((await invoices.get(id)).status, "paid");
  // The same transaction pays nothing else.
  const { paymentData } = await links.create({ amount: "20.00" });
  const other = await page("POST", "save-payment/paymentlink.save", claim(paymentData.paymentLinkId, { transactionSignature: hash }));
  assert.equal(other.status, 400, other.text);
  for (const [wrong, more] of [["env", { env: "prod" }], ["userUUID", { userUUID: "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77" }]]) {
    const answer = await page("POST", "save-payment/paymentlink.save", claim(paymentData.paymentLinkId, { transactionSignature: "0xother", ...more }));
    assert.equal(answer.status, 400);
    assert.match(answer.json.message, new RegExp(wrong));
  }
});

test("the QR flow: a wallet, awaiting to the byte, then verified", async () => {
  const { paymentData } = await links.create({ amount: "3.00" });
  const id = paymentData.paymentLinkId;
  const wallet = await page("GET", "payment-wallet/evm?evmChain=pol&env=test&merchant=anything");
  assert.match(wallet.json.publicKey, /^test_/);
  const verify = (publicKey) => page("POST", "verify-payment/paymentlink.save", claim(id, { publicKey, token: "USDC", evmChain: "pol", walletAddress: "0xpayer" }));
  const awaiting = '{"message":"Still awaiting payment","error":"Bad Request","statusCode":400}';
  for (const address of [wallet.json.publicKey, "test_nobody", wallet.json.publicKey]) {
    const answer = await verify(address);
    assert.deepEqual([answer.status, answer.text], [400, awaiting]);
  }
  const ours = async (path, body) => {
    const answer = await fetch(`${url}/v1/test/${path}`, { method: "POST", headers: { apikey: secret, businessid: business, "content-type": "application/json" }, body: JSON.stringify(body) });
    assert.equal(answer.status, 200, await answer.text());
  };
  await ours("transfers", { address: wallet.json.publicKey, amount: "3.05", network: "pol" });
  await ours("blocks", { count: 3 });
  const verified = await verify(wallet.json.publicKey);
  assert.deepEqual([verified.status, verified.json.statusCode], [200, 200], verified.text);
});

test("public facts of the business, and what is not offered", async () => {
  const user = await page("GET", `user/${business}`);
  assert.deepEqual([user.json.userData.businessName, user.json.walletAddress], ["Mileston client", {}]);
  assert.equal((await page("GET", "user/3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77")).status, 404);
  for (const [method, path] of [["GET", "sub-wallets/x"], ["GET", "onramp-data?amount=1"], ["POST", "onramp-payment-status/x"]]) {
    const answer = await page(method, path, method === "POST" ? {} : undefined);
    assert.deepEqual([answer.status, answer.json.statusCode, Object.keys(answer.json)], [400, 400, ["message", "error", "statusCode"]]);
  }
  await refused(new Wallet(secret, business, "shh").getAllWallets(), /not offered/);
  const health = await (await fetch(`${url}/status`)).json();
  assert.equal(health.status, "healthy");
});

test("a checkout key does nothing else, a secret key is none for pages, a wrong one nothing", async () => {
  const checkout = key("test", "checkout");
  await refused(new PaymentLink(checkout, business).create({ amount: "1" }), /reference [0-9a-f]{32}/);
  await refused(new Invoice(checkout, business).getAll(1), /reference/);
  await refused(new PaymentLink(secret, "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77").getAll(1), /reference/);
  const leaked = await page("GET", `user/${business}`, undefined, { apikey: secret });
  assert.equal(leaked.status, 403);
  const live = await page("POST", "save-payment/paymentlink.save", claim("plink_00000000000000000000000000", { env: "prod", transactionSignature: "0x1" }), { apikey: key("live", "checkout") });
  assert.equal(live.status, 404);
});
