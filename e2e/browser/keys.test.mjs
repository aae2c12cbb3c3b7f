// The life of a key, by keyboard; and once more without script.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CORPUS } from "./corpus.mjs";
import { launch, open } from "./browser.mjs";
import { businessOf, firstRun, OWNER, signIn, tabTo } from "./people.mjs";
import { start } from "./server.mjs";

let site, browser, context, page, list;
before(async () => {
  site = await start();
  browser = await launch();
  context = await browser.newContext({ baseURL: site.url, locale: "en-GB", permissions: ["clipboard-read", "clipboard-write"] });
  page = await open(context);
  await firstRun(page, site);
  // Home is still to come.
  page.wrongs.splice(0);
  list = `/b/${businessOf(site)}/test/developers/api-keys`;
});
after(async () => {
  await browser?.close();
  await site?.stop();
});

/** Presses a button or a link by keyboard, and waits for the page that it leads to. */
async function press(tab, locator) {
  await tabTo(tab, locator, 200);
  await Promise.all([tab.waitForLoadState("load"), tab.waitForNavigation(), tab.keyboard.press("Enter")]);
}

async function create(tab, name) {
  await tab.goto(`${list}/create`);
  await tabTo(tab, tab.locator("#name"));
  await tab.keyboard.type(name);
  await press(tab, tab.locator("main form.form button[type=submit]").last());
}

async function verified(value) {
  const answer = await fetch(`${site.url}/v1/whoami`, { headers: { apikey: value, businessid: businessOf(site) } });
  return answer.status;
}

test("create, copy, five times Escape, tick, close, reload: the value is gone", async () => {
  await create(page, "Orders service");
  const value = (await page.textContent("#v-key")).trim();
  assert.match(value, /^Mileston_TEST_[0-9A-Za-z]{38}$/);
  assert.equal(await verified(value), 200);
  assert.ok(await page.evaluate(() => document.querySelector("dialog").contains(document.activeElement)));
  await tabTo(page, page.locator("[data-copy='#v-key']"));
  await page.keyboard.press("Enter");
  // What is said stays; the sign at the button is gone after two seconds.
  await page.waitForFunction(() => document.getElementById("live").textContent === document.querySelector("[data-copy='#v-key']").dataset.done);
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value, "the clipboard has the value");
  for (let pressed = 0; pressed < 5; pressed++) await page.keyboard.press("Escape");
  assert.ok(await page.evaluate(() => document.querySelector("dialog").open), "five Escapes do not close it");
  const box = page.locator("[data-ack]");
  if (await box.count()) {
    await tabTo(page, box);
    await page.keyboard.press("Space");
  }
  await press(page, page.locator("[data-close]"));
  assert.ok(!(await page.content()).includes(value));
  await page.reload();
  assert.ok(!(await page.content()).includes(value), "reload shows the list, never the value");
  await page.goBack();
  assert.ok(!(await page.content()).includes(value), "back shows no value either");
});

test("on plain HTTP under a host name, what is copied from the dialog can be pasted, and what is not copied is said", async () => {
  const { port } = new URL(site.url);
  const elsewhere = await launch({ "keys.example": `127.0.0.1:${port}` });
  const theirs = await elsewhere.newContext({ baseURL: "http://keys.example", locale: "en-GB" });
  const tab = await open(theirs);
  await signIn(tab, OWNER, "?return=/account");
  assert.equal(await tab.evaluate(() => window.isSecureContext), false);
  await create(tab, "Copied by selection");
  const value = (await tab.textContent("#v-key")).trim();
  await tab.evaluate(() => { document.execCommandOfTheirs = document.execCommand; document.execCommand = () => false; });
  await tab.click("[data-copy='#v-key']");
  const told = tab.locator("dialog .copy-failed");
  await told.waitFor({ state: "visible" });
  assert.match(await told.textContent(), /^It was not copied/);
  assert.equal(await tab.evaluate(() => getSelection().toString().trim()), value, "it is selected to copy by hand");
  await tab.evaluate(() => { document.execCommand = document.execCommandOfTheirs; });
  await tab.click("[data-copy='#v-key']");
  await told.waitFor({ state: "detached" });
  const box = tab.locator("[data-ack]");
  if (await box.count()) await box.check();
  await Promise.all([tab.waitForNavigation(), tab.click("[data-close]")]);
  await tab.locator("#q").focus();
  await tab.keyboard.press("Control+V");
  assert.equal(await tab.inputValue("#q"), value);
  await elsewhere.close();
});

test("rotate: both values are accepted meanwhile; replace now: the old one is dead", async () => {
  await create(page, "Rotated");
  const first = (await page.textContent("#v-key")).trim();
  await page.goto(list);
  await press(page, page.getByRole("link", { name: "Rotated", exact: true }));
  await press(page, page.getByRole("link", { name: "Rotate" }).first());
  await press(page, page.locator("section[aria-labelledby=planned] button[type=submit]"));
  const second = (await page.textContent("#v-key")).trim();
  assert.deepEqual([await verified(first), await verified(second)], [200, 200]);
  await page.goto(list);
  await press(page, page.getByRole("link", { name: "Rotated", exact: true }));
  await press(page, page.getByRole("link", { name: "Rotate" }).first());
  await press(page, page.locator("section[aria-labelledby=now] button[type=submit]"));
  const third = (await page.textContent("#v-key")).trim();
  assert.deepEqual([await verified(first), await verified(second), await verified(third)], [401, 401, 200]);
});

test("revoke, with the consequence said first and the focus on Cancel", async () => {
  await create(page, "Ended");
  const value = (await page.textContent("#v-key")).trim();
  await page.goto(list);
  await press(page, page.getByRole("link", { name: "Ended", exact: true }));
  await press(page, page.getByRole("link", { name: "Revoke" }).first());
  // Browsers give the focus when they first draw the page, which may be after its load.
  await page.waitForFunction(() => document.activeElement.textContent === "Cancel");
  await press(page, page.locator("#confirm button[type=submit]"));
  assert.equal(await verified(value), 401);
});

test("without script: list, filter, create, revoke", async () => {
  const plain = await browser.newContext({ baseURL: site.url, javaScriptEnabled: false, locale: "en-GB", storageState: await context.storageState() });
  const tab = await plain.newPage();
  await tab.goto(`${list}/create`);
  await tab.fill("#name", "Without script");
  await tab.locator("main form.form button[type=submit]").last().click();
  const value = (await tab.textContent("#v-key")).trim();
  assert.equal(await verified(value), 200);
  await tab.goto(list);
  await tab.fill("#q", "Without");
  await tab.locator("form[role=search] button[type=submit]").click();
  assert.equal(await tab.locator("tbody tr").count(), 1);
  await tab.getByRole("link", { name: "Without script", exact: true }).click();
  await tab.getByRole("link", { name: "Revoke" }).first().click();
  await tab.locator("#confirm button[type=submit]").click();
  assert.equal(await verified(value), 401);
  await plain.close();
});

test("hostile texts in the name of a key are text, or refused with a reason", async () => {
  for (const hostile of CORPUS) {
    await page.goto(`${list}/create`);
    page.expects = `${site.url}${list}/create`;
    await page.fill("#name", hostile.replaceAll("\u0000", ""));
    // The load of the answer; the summary under the form is fetched without one.
    await Promise.all([page.waitForEvent("load"), page.locator("main form.form button[type=submit]").last().click()]);
    assert.equal(await page.evaluate(() => globalThis.hacked), undefined, hostile);
    await page.goto(list);
    assert.equal(await page.evaluate(() => globalThis.hacked), undefined, hostile);
    assert.deepEqual(page.wrongs.splice(0), [], hostile);
  }
});
