// Things for sale in TEST, and payments for them, so that the pages have something to show.
import assert from "node:assert/strict";
import { businessOf } from "./people.mjs";

/** Calls the API with the TEST secret key that the server printed at its start. */
export async function call(site, path, body) {
  const [key] = /Mileston_TEST_(?!CHECKOUTKEY)\w+/.exec(site.said.out);
  const answer = await fetch(site.url + path, {
    method: "POST",
    headers: { apikey: key, businessid: businessOf(site), "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

/** Asks on its page for a refund of a payment, as somebody who is signed in; leaves the tab on the page of the refund. */
export async function giveBack(tab, site, payment, amount, reason = "") {
  await tab.goto(`/b/${businessOf(site)}/test/payments/${payment.id}/refund`);
  await tab.fill("#amount", amount);
  await tab.fill("#destination", "test_customer");
  await tab.fill("#reason", reason);
  await Promise.all([tab.waitForNavigation(), tab.click("main form button[type=submit]")]);
}

/** One of each, and payments that went well and less well. */
export async function sell(site) {
  const link = await call(site, "/v1/payment_links", {
    amount: "12.50", title: "Coffee for a month", description: "Four bags, roasted on Mondays", customer_reference: "C-2041",
    redirect_url: "https://shop.example/thanks", metadata: { campaign: "spring" },
  });
  const invoice = await call(site, "/v1/invoices", {
    title: "Brass lamp", due_at: "2030-01-31T22:59:59Z", customer_name: "Maison Éclair", customer_reference: "C-7",
    lines: [{ description: "Lamp", quantity: 1, unit_amount: "1289.00" }, { description: "Cable, 3 m", quantity: 2, unit_amount: "9.00" }],
  });
  const recurring = await call(site, "/v1/recurring_payments", {
    name: "A box a month", amount: "9.00", anchor: "2026-01-31T09:00:00Z", interval: { unit: "months", count: 1 },
    customer_name: "Maison Éclair", customer_reference: "C-7",
  });
  const payments = {};
  for (const [scenario, payable] of [["paid", link], ["underpaid", recurring], ["overpaid", link], ["wrong_token", invoice]]) {
    payments[scenario] = await call(site, "/v1/checkout/payments", { payable: payable.id });
    await call(site, `/v1/test/payments/${payments[scenario].id}/scenario`, { scenario });
  }
  // From an address as long as those of a network are, in a transaction whose hash is.
  const sender = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
  await call(site, "/v1/test/transfers", { address: payments.wrong_token.address, asset: "other", sender, amount: "1249.50" });
  await call(site, "/v1/test/blocks", { count: 3 });
  return { link, invoice, recurring, payments };
}
