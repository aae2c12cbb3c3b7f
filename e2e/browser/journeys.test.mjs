// What people come for, done by keyboard.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { faults } from "./checks.mjs";
import { businessOf, firstLink, firstRun, invited, OWNER, signIn, tabTo } from "./people.mjs";
import { start } from "./server.mjs";

let site, browser, context, page;
before(async () => {
  site = await start();
  browser = await launch();
  context = await browser.newContext({ baseURL: site.url, locale: "en-GB" });
  page = await open(context);
});
after(async () => {
  await browser?.close();
  await site?.stop();
});

test("from the printed link to the first account, once", async () => {
  const link = firstLink(site);
  await firstRun(page, site);
  const cookies = await context.cookies();
  const session = cookies.find((cookie) => cookie.name.endsWith("trousseau_session"));
  assert.ok(session.httpOnly && session.sameSite === "Lax" && session.expires === -1, JSON.stringify(session));
  // Home is still to come.
  page.wrongs.splice(0);
  const again = await browser.newContext({ baseURL: site.url });
  assert.equal((await again.request.get(link)).status(), 410, "the link is good once");
  await again.close();
});

test("the documentation is filled in for whoever is signed in", async () => {
  const business = businessOf(site);
  await page.goto("/docs");
  assert.match(await page.textContent("#whoami-curl"), new RegExp(business));
  assert.ok((await page.textContent("main")).includes("Atelier Lumière"));
});

test("from an account to a verified request, by trying one in TEST", async () => {
  await page.goto("/docs/api/whoami");
  await tabTo(page, page.getByRole("button", { name: "Send in TEST" }), 120);
  await Promise.all([page.waitForResponse((answer) => answer.request().method() === "POST"), page.keyboard.press("Enter")]);
  await page.waitForSelector("#outcome");
  assert.match(await page.textContent("#outcome"), /200 OK/);
  assert.match(await page.textContent("#outcome-body"), new RegExp(businessOf(site)));
  assert.doesNotMatch(await page.content(), /Mileston_TEST_[0-9A-Za-z]{38}/, "the key is not in the page");
  assert.deepEqual(await faults(page), []);
});

test("the language changes by keyboard, and stays", async () => {
  await page.goto("/docs/kinds");
  await tabTo(page, page.locator("button[name=language]"));
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  assert.equal(await page.getAttribute("html", "lang"), "fr");
  assert.equal(new URL(page.url()).pathname, "/docs/kinds");
  await page.goto("/docs/api");
  assert.equal(await page.getAttribute("html", "lang"), "fr");
  await Promise.all([page.waitForNavigation(), page.click("button[name=language]")]);
  assert.equal(await page.getAttribute("html", "lang"), "en");
});

test("an analyst sees nothing of keys, a developer does", async () => {
  for (const [role, sees] of [["developer", true], ["analyst", false]]) {
    const theirs = await invited(browser, site, role, `${role}@example.com`, businessOf(site));
    const tab = await open(theirs);
    await tab.goto("/docs/api/whoami");
    assert.equal(await tab.getByRole("button", { name: "Send in TEST" }).count(), sees ? 1 : 0, role);
    assert.equal((await tab.content()).includes("*****"), sees, `${role}: masks of keys`);
    await theirs.close();
  }
});

test("a wrong password says nothing about the account, and a right one leads back", async () => {
  const other = await browser.newContext({ baseURL: site.url, locale: "en-GB" });
  const tab = await open(other);
  const texts = [];
  for (const email of [OWNER.email, "nobody@example.com"]) {
    await tab.goto("/sign-in");
    await tab.fill("#email", email);
    await tab.fill("#password", "not the password at all");
    tab.expects = `${site.url}/sign-in`;
    await Promise.all([tab.waitForResponse((answer) => answer.request().method() === "POST"), tab.keyboard.press("Enter")]);
    await tab.waitForSelector("#errors");
    texts.push(await tab.textContent("#errors"));
    assert.equal(await tab.evaluate(() => document.activeElement.id), "errors", "the summary takes the focus");
  }
  assert.equal(texts[0], texts[1]);
  await signIn(tab, OWNER, "?return=/docs/rotate");
  assert.equal(new URL(tab.url()).pathname, "/docs/rotate");
  await other.close();
});
