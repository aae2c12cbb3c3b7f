// `mileston-payment-client` 0.9.3 as it is published: its functions and hooks, in Node.
//
// Only its wallets for Sui and Solana and its pictures are stood in for (stand-ins/): nobody has a wallet in a test, and with
// them it is 900 MB more. Its own code, and everything else that it needs, is what `npm install` brings.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { backend, business, key, name, ours, url } from "./server.mjs";

const require = createRequire(import.meta.url);
globalThis.IS_REACT_ACT_ENVIRONMENT = true;
const { createElement } = require("react");
const { act, create } = require("react-test-renderer");

// What its users do, too: there is no option for another server.
const fetched = [];
const { fetch } = globalThis;
globalThis.fetch = (asked, init) => {
  const address = String(asked).replace("https://checkout-service.mileston.co", url);
  if (address !== String(asked)) fetched.push(`${init.method} ${new URL(address).pathname}`);
  return fetch(address, init);
};
const client = require("mileston-payment-client");
// It prints what went wrong, too.
console.error = () => {};

const AWAITING = '{"message":"Still awaiting payment","error":"Bad Request","statusCode":400}';
const who = { apikey: key("test", "checkout"), businessid: business };
const live = { apikey: key("live", "checkout"), businessid: business };
const shop = backend("test");
const OTHER = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77";

const refused = (promise, pattern) => assert.rejects(promise, (error) => {
  if (pattern instanceof RegExp) assert.match(error.message, pattern);
  else assert.equal(error.message, pattern);
  return true;
});

/** What the wallet of a payer leads to: `savePayment` with its transaction. */
const saved = (id, hash, more) => ({
  paymentLinkId: id, payer: "0xpayer", recipientWalletAddress: "0xanything", amount: "0.01", userUUID: business,
  transactionSignature: hash, chain: "base", env: "test", ...more,
});
/** What its QR component sends. */
const scanned = (id, publicKey, chain, more) => ({
  paymentLinkId: id, publicKey, amount: "100.00", recipientWalletAddress: "0xanything", chain, env: "test", userUUID: business,
  token: "USDC", ...(["sui", "solana"].includes(chain) ? {} : { evmChain: chain, walletAddress: publicKey }), ...more,
});
let counted = 0;
const hash = () => `0x${String(++counted).padStart(64, "5c")}`;

/** Runs a hook inside the provider; `now()` is what it says. */
async function hook(use, provider = who) {
  let value;
  function Probe() { value = use(); return null; }
  let root;
  await act(async () => { root = create(createElement(client.MilestonPaymentProvider, provider, createElement(Probe))); });
  return { now: () => value, act, end: () => act(async () => root.unmount()) };
}
const settled = async (probe) => {
  for (let waited = 0; probe.now().loading && waited < 100; waited++) await act(() => new Promise((resolve) => setTimeout(resolve, 20)));
  return probe.now();
};

test("fetchPayment and savePayment: each kind is shown, paid in TEST, and then read as paid", async () => {
  for (const [type, id, data, status] of [
    ["payment-link", await shop.link(), "paymentData"],
    ["invoice", await shop.invoice(), "invoiceData", (read) => read.invoiceData.status],
    ["recurring", await shop.subscription(), "recurringPaymentData", (read) => read.recurringPaymentData.currentPaymentStatus],
  ]) {
    const before = await client.fetchPayment({ ...who, paymentId: id, paymentType: type });
    assert.deepEqual([before.statusCode, before.env, before[data].env], [200, "test", "test"], type);
    const paid = saved(id, hash(), { chain: type === "recurring" ? "solana" : "base" });
    const answer = await client.savePayment({ ...who, type, body: paid, nativeTokens: type === "invoice" ? "ETH" : undefined });
    assert.deepEqual(answer, { statusCode: 200, message: "Payment saved" }, type);
    assert.deepEqual(await client.savePayment({ ...who, type, body: paid }), answer, "the same once more");
    const after = await client.fetchPayment({ ...who, paymentId: id, paymentType: type });
    if (status) assert.deepEqual([status(before) === "paid", status(after)], [false, "paid"], type);
    const other = await shop.link();
    await refused(client.savePayment({ ...who, type: "payment-link", body: saved(other, paid.transactionSignature, { chain: paid.chain }) }), /transaction/i);
  }
  assert.equal(fetched.length, 15, "each call came here");
});

test("savePayment is refused for another environment, another business, another kind, and without what it needs", async () => {
  const id = await shop.link();
  const save = (more, how = {}) => client.savePayment({ ...who, type: "payment-link", body: saved(id, hash(), more), ...how });
  await refused(save({ env: "prod" }), /env/);
  await refused(save({ userUUID: OTHER }), /userUUID/);
  await refused(save({ transactionSignature: "" }), /transactionSignature/);
  await refused(save({ chain: "doge" }), /chain/);
  await refused(save({}, { type: "invoice" }), /nothing here|not/i);
  await refused(save({}, { businessid: OTHER }), /reference [0-9a-f]{32}/);
  await refused(save({}, { apikey: `${who.apikey.slice(0, -1)}x` }), /reference [0-9a-f]{32}/);
  await refused(client.savePayment({ ...who, apikey: "", type: "invoice", body: {} }), /forgot the API key/);
  await refused(client.fetchPayment({ ...who, paymentId: "plink_00000000000000000000000000", paymentType: "payment-link" }), /nothing here|not/i);
  await refused(client.fetchPayment({ ...live, paymentId: id, paymentType: "payment-link" }), /nothing here|not/i);
  // A scenario in place of a hash: money came, and not enough.
  await refused(save({ transactionSignature: "test_underpaid" }), "Still awaiting payment");
});

test("LIVE: shown, and nothing is paid as long as no network is configured", async () => {
  const seller = backend("live");
  const [link, invoice] = [await seller.link(), await seller.invoice()];
  const shown = await client.fetchPayment({ ...live, paymentId: link, paymentType: "payment-link" });
  assert.deepEqual([shown.env, shown.paymentData.amount], ["prod", "100.00"]);
  for (const [type, id] of [["payment-link", link], ["invoice", invoice]]) {
    await refused(client.savePayment({ ...live, type, body: saved(id, hash(), { env: "prod" }) }), /network/);
  }
  await refused(client.getPaymentWallet({ ...live, walletType: "evm", evmChain: "base", env: "prod" }), /^Failed to fetch wallet: \{"message":".*network/);
  await refused(client.verifyPaymentWithWallet({ ...live, type: "invoice", body: scanned(invoice, "0xabc", "base", { env: "prod" }) }), /^Payment Verification Failed: \{"message":".*network/);
  assert.equal((await client.fetchPayment({ ...live, paymentId: invoice, paymentType: "invoice" })).status, "pending");
});

test("getPaymentWallet and verifyPaymentWithWallet: awaiting to the byte, then verified, on every chain", async () => {
  const awaiting = `Payment Verification Failed: ${AWAITING}`;
  for (const chain of ["eth", "avax", "pol", "base", "arb", "sui", "solana"]) {
    const family = ["sui", "solana"].includes(chain) ? { walletType: chain } : { walletType: "evm", evmChain: chain, env: "test", merchant: "0xanything" };
    const { statusCode, publicKey } = await client.getPaymentWallet({ ...who, ...family });
    assert.deepEqual([statusCode, /^test_[0-9a-z]{26}$/.test(publicKey)], [200, true], chain);
    const id = await shop.link();
    const verify = (publicKey, more) =>
      client.verifyPaymentWithWallet({ ...who, type: "payment-link", body: scanned(id, publicKey, chain, more), nativeTokens: chain === "pol" ? "POL" : undefined });
    // Every second payer sends first, and says so afterwards.
    const late = ["pol", "solana"].includes(chain);
    if (!late) for (const address of [publicKey, "test_nobody", publicKey]) await refused(verify(address), awaiting);
    await ours("transfers", { address: publicKey, amount: "100.05", network: chain });
    await ours("blocks", { count: 1 });
    await refused(verify(publicKey), awaiting);
    await ours("blocks", { count: 2 });
    assert.deepEqual(await verify(publicKey), { statusCode: 200, message: "Payment verified" }, chain);
    assert.equal((await verify(publicKey)).statusCode, 200, "asked again");
    // The address has paid this link and nothing else.
    const other = await shop.link();
    await refused(client.verifyPaymentWithWallet({ ...who, type: "payment-link", body: scanned(other, publicKey, chain) }), awaiting);
    await refused(verify(publicKey, { env: "prod" }), /^Payment Verification Failed: \{"message":".*env/);
    await refused(verify(publicKey, { userUUID: OTHER }), /userUUID/);
  }
  await refused(client.getPaymentWallet({ ...who, walletType: "evm", evmChain: "base", env: "prod" }), /^Failed to fetch wallet: .*env/);
  await refused(client.verifyPaymentWithWallet({ ...who, type: "invoice", body: { chain: "eth" } }), /evmChain and walletAddress are required/);
});

test("getUserDetails: public facts; fetchSubWallets and the on-ramp: not offered", async () => {
  const user = await client.getUserDetails(who.apikey, business);
  assert.deepEqual(user.userData, { businessName: name, onboarded: true });
  assert.deepEqual([user.statusCode, user.walletAddress, user.isSecretCopied, user.walletBalance, user.qrPaymentWallets], [200, {}, true, "0", []]);
  assert.deepEqual(await client.getUserDetails(who.apikey, business, business), user);
  await refused(client.getUserDetails(who.apikey, business, OTHER), /"statusCode":404\}$/);
  await refused(client.getUserDetails(who.apikey, OTHER), /"statusCode":401\}$/);

  const notOffered = /not offered.*"error":"Bad Request","statusCode":400\}$/;
  await refused(client.fetchSubWallets({ ...who, subWalletUuid: "main", env: "test" }), notOffered);
  // These two read no body.
  const buy = { amount: "10.00", recipientWalletAddress: "0xanything", chain: "base" };
  await refused(client.getOnRampData(buy, who.apikey, business), "Failed to fetch onramp data");
  await refused(client.getOnRampPaymentStatus({ ...buy, id: "order-1" }, who.apikey, business), "Failed to fetch onramp payment status");
});

test("the hooks say the same, and what went wrong", async () => {
  const [link, invoice] = [await shop.link(), await shop.invoice()];
  let probe = await hook(() => client.useFetchPayment({ paymentId: link, paymentType: "payment-link" }));
  const { data, error, loading } = await settled(probe);
  assert.deepEqual([data.paymentData.title, data.paymentData.amount, error, loading], ["Coffee", "100.00", undefined, false]);
  await probe.end();
  probe = await hook(() => client.useFetchPayment({ paymentId: "inv_none", paymentType: "invoice" }));
  assert.match((await settled(probe)).error, /nothing here|not/i);
  await probe.end();

  probe = await hook(() => client.useUserDetails());
  assert.equal((await settled(probe)).data.userData.businessName, name);
  await probe.end();
  probe = await hook(() => client.useUserDetails(), { ...who, businessid: OTHER });
  assert.match((await settled(probe)).error.message, /reference/);
  await probe.end();

  probe = await hook(() => client.useGetPaymentWallet());
  await act(() => probe.now().fetchWallet("evm", { evmChain: "arb", env: "test" }));
  const { publicKey } = probe.now().wallet;
  await probe.end();
  probe = await hook(() => client.useVerifyPaymentWithWallet());
  const verify = () => probe.now().verify("invoice", scanned(invoice, publicKey, "arb", { amount: "50.00" }));
  await act(() => refused(verify(), `Payment Verification Failed: ${AWAITING}`));
  assert.equal(probe.now().error, `Payment Verification Failed: ${AWAITING}`);
  await ours("transfers", { address: publicKey, amount: "50.05", network: "arb" });
  await ours("blocks", { count: 3 });
  await act(verify);
  assert.deepEqual([probe.now().data, probe.now().error], [{ statusCode: 200, message: "Payment verified" }, null]);
  await probe.end();
  assert.equal((await shop.invoices.get(invoice)).status, "paid", "and the backend reads it");

  probe = await hook(() => client.useSavePayment());
  await act(() => probe.now().triggerSavePayment("payment-link", saved(link, hash())));
  assert.deepEqual(probe.now().data, { statusCode: 200, message: "Payment saved" });
  await act(() => refused(probe.now().triggerSavePayment("payment-link", saved(link, hash(), { env: "prod" })), /env/));
  assert.match(probe.now().error, /env/);
  await probe.end();

  const wanted = { ...who, subWalletUuid: "main", env: "test" };
  probe = await hook(() => client.useSubWallets(wanted));
  await act(() => probe.now().refetch());
  assert.match(probe.now().error, /not offered/);
  await probe.end();
  const buy = { amount: "10.00", recipientWalletAddress: "0xanything", chain: "base" };
  for (const [use, call] of [
    [client.useGetOnRampData, (hook) => hook.fetchOnRampData(buy)],
    [client.useGetOnRampPaymentStatus, (hook) => hook.fetchOnRampPaymentStatus({ ...buy, id: "order-1" })],
  ]) {
    probe = await hook(() => use());
    await act(() => refused(call(probe.now()), /Failed to fetch onramp/));
    assert.match(probe.now().error, /Failed to fetch onramp/);
    await probe.end();
  }
});

test("a secret key in a page is refused, and one without its business id", async () => {
  const id = await shop.link();
  const { apikey } = { apikey: key("test", "secret") };
  // A browser says where it comes from, which Node does not.
  const { fetch: redirected } = globalThis;
  globalThis.fetch = (asked, init) => redirected(asked, { ...init, headers: { ...init.headers, origin: "https://shop.example" } });
  await refused(client.fetchPayment({ apikey, businessid: business, paymentId: id, paymentType: "payment-link" }), /browser|page/i);
  assert.equal((await client.fetchPayment({ ...who, paymentId: id, paymentType: "payment-link" })).statusCode, 200);
  globalThis.fetch = redirected;
});
