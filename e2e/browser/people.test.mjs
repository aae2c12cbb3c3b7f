// People: the first LIVE keys, passkeys, members and what each of them sees, and the switches of the frame.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { faults } from "./checks.mjs";
import { accept, businessOf, firstRun, invitationIn, OWNER, stored, tabTo } from "./people.mjs";
import { start } from "./server.mjs";

let site, browser, context, page, base;
before(async () => {
  site = await start();
  browser = await launch();
  context = await browser.newContext({ baseURL: site.url, locale: "en-GB" });
  page = await open(context);
  await firstRun(page, site);
  base = `/b/${businessOf(site)}`;
});
after(async () => {
  await browser?.close();
  await site?.stop();
});

/** Presses a button or a link by keyboard, and waits for the page that it leads to. */
async function press(tab, locator) {
  await tabTo(tab, locator, 200);
  await Promise.all([tab.waitForNavigation(), tab.keyboard.press("Enter")]);
}

const main = (tab) => tab.textContent("main");

test("an invitation shows the first LIVE keys once, to the person invited", async () => {
  const made = JSON.parse(await site.cli("business", "create", "Maison Bleue", "--invite", "blue@example.com", "--json"));
  const link = invitationIn(made.invitation.link);
  const theirs = await browser.newContext({ baseURL: site.url, locale: "en-GB", acceptDownloads: true });
  const tab = await open(theirs);
  await accept(tab, link, "A New Owner");
  assert.equal(new URL(tab.url()).pathname, `/b/${made.business.id}/test`, "the address leads to no value");
  assert.ok(await tab.evaluate(() => document.querySelector("dialog").matches(":modal")));
  assert.ok(await tab.evaluate(() => document.querySelector("dialog").contains(document.activeElement)));
  const value = (await tab.textContent("#v-live-secret")).trim();
  assert.match(value, /^Mileston_LIVE_[0-9A-Za-z]{38}$/);
  assert.deepEqual(await faults(tab), []);
  for (let pressed = 0; pressed < 5; pressed++) await tab.keyboard.press("Escape");
  assert.ok(await tab.evaluate(() => document.querySelector("dialog").open), "five Escapes do not close it");
  await tabTo(tab, tab.locator("[data-close]"));
  await tab.keyboard.press("Enter");
  assert.ok(await tab.evaluate(() => document.querySelector("dialog").open), "nor does Close before the box is ticked");
  const [file] = await Promise.all([tab.waitForEvent("download"), tab.click("[data-env-file]")]);
  const lines = Buffer.concat(await (await file.createReadStream()).toArray()).toString().split("\n");
  assert.ok(lines.includes(`LIVE_SECRET_API_KEY="${value}"`), "the file has the LIVE key");
  assert.ok(lines.includes(`BUSINESS_ID="${made.business.id}"`), "and the business id");
  await stored(tab);
  for (const go of [() => tab.reload(), () => tab.goBack(), () => tab.goto(`/b/${made.business.id}/live/developers/api-keys`)]) {
    await go();
    assert.ok(!(await tab.content()).includes(value), "the value is gone");
  }
  assert.equal((await theirs.request.get(link)).status(), 410, "the link is good once");
  await theirs.close();
});

test("without script the first keys are a page with a way on", async () => {
  const made = JSON.parse(await site.cli("business", "create", "Maison Verte", "--invite", "green@example.com", "--json"));
  const theirs = await browser.newContext({ baseURL: site.url, javaScriptEnabled: false, locale: "en-GB" });
  const tab = await theirs.newPage();
  await tab.goto(invitationIn(made.invitation.link));
  await tab.fill("#name", "Another Owner");
  await tab.fill("#password", OWNER.password);
  await tab.click("main form button[type=submit]");
  assert.match(await tab.textContent("#v-live-secret"), /Mileston_LIVE_/);
  await tab.click("[data-close]");
  assert.equal(new URL(tab.url()).pathname, `/b/${made.business.id}/test`);
  await theirs.close();
});

test("a passkey is made, signs in, and proves who sits there", async () => {
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  await page.goto("/account");
  await tabTo(page, page.locator("#passkey_name"));
  await page.keyboard.type("The laptop");
  await press(page, page.locator("[data-passkey='/account/passkeys']"));
  assert.match(await main(page), /The laptop/);
  const { credentials } = await devtools.send("WebAuthn.getCredentials", { authenticatorId });
  assert.equal(credentials.length, 1, "the authenticator holds it");

  await page.goto("/step-up?return=/account");
  assert.deepEqual(await faults(page), []);
  const session = async () => (await context.cookies()).find((cookie) => cookie.name.endsWith("trousseau_session"))?.value;
  const before = await session();
  await press(page, page.locator("[data-passkey='/step-up/passkey']"));
  assert.equal(new URL(page.url()).pathname, "/account");
  assert.notEqual(await session(), before, "the session has a new secret");

  await page.locator("details.menu.end summary").press("Enter");
  await press(page, page.getByRole("button", { name: "Sign out" }));
  assert.equal(await session(), undefined);
  await page.goto("/sign-in?return=/account");
  await tabTo(page, page.locator("#email"));
  await page.keyboard.type(OWNER.email);
  await press(page, page.locator("[data-passkey='/sign-in/passkey']"));
  assert.equal(new URL(page.url()).pathname, "/account");
  assert.match(await main(page), /The laptop/);

  // Without the authenticator nobody gets in, and the page says so.
  await devtools.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId });
  await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  await page.goto("/step-up?return=/account");
  await page.click("[data-passkey='/step-up/passkey']");
  await page.waitForSelector("[data-passkey-error]:not([hidden])");
  await devtools.send("WebAuthn.disable");
});

test("a session, a passkey and an invitation are asked about before they end", async () => {
  const elsewhere = await browser.newContext({ baseURL: site.url, locale: "en-GB" });
  const other = await open(elsewhere);
  await other.goto("/sign-in");
  await other.fill("#email", OWNER.email);
  await other.fill("#password", OWNER.password);
  await Promise.all([other.waitForNavigation(), other.click("main form button[type=submit]")]);
  const isSignedIn = async () => {
    await other.goto("/account");
    return new URL(other.url()).pathname === "/account";
  };
  const isListed = async (link) => (await page.locator(link).count()) === 1;
  await page.goto(`${base}/test/settings/members`);
  await page.fill("#email", "never@example.com");
  await Promise.all([page.waitForNavigation(), page.locator("form[action$='/invite'] button[type=submit]").click()]);
  for (const [list, link, question, lasts] of [
    ["/account", "a[href^='/account/sessions/ses_']", /Sign out .*\(127\.0\.0\.1\)\?/, isSignedIn],
    ["/account", "a[href^='/account/passkeys/']", /The laptop/, isListed],
    [`${base}/test/settings/members`, "a[href$='/revoke']", /never@example\.com/, isListed],
  ]) {
    await page.goto(list);
    await press(page, page.locator(link).first());
    assert.match(await page.textContent("h1"), question);
    assert.deepEqual(await faults(page), []);
    // Whoever presses Enter by mistake goes back.
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    assert.equal(new URL(page.url()).pathname, list);
    assert.ok(await lasts(link), `${link} is as it was`);
    await press(page, page.locator(link).first());
    await press(page, page.locator("main form button.danger"));
    assert.equal(new URL(page.url()).pathname, list);
    assert.equal(await page.locator(link).count(), 0);
  }
  assert.ok(!(await isSignedIn()));
  await elsewhere.close();
});

test("members are invited on their page, and each sees what the role allows", async () => {
  for (const [role, tabs, sub, keys] of [
    ["developer", ["Home", "Payments", "Payment links", "Invoices", "Recurring payments", "Developers", "Settings"], true, 200],
    ["analyst", ["Home", "Payments", "Payment links", "Invoices", "Recurring payments", "Settings"], false, 403],
  ]) {
    const email = `${role}-by-page@example.com`;
    await page.goto(`${base}/test/settings/members`);
    await tabTo(page, page.locator("#email"), 200);
    await page.keyboard.type(email);
    await page.locator(`input[name=role][value=${role}]`).check();
    await press(page, page.getByRole("button", { name: /invitation/ }));
    assert.match(await main(page), new RegExp(`${email} was invited`));
    const mail = await site.mail(email, "/invitations/");
    const theirs = await browser.newContext({ baseURL: site.url, locale: "en-GB" });
    const tab = await open(theirs);
    await accept(tab, invitationIn(mail), `A ${role}`);
    assert.equal(new URL(tab.url()).pathname, `${base}/test`);
    assert.equal(await tab.locator("dialog").count(), 0, "the first keys were shown before");
    const shown = await tab.locator("nav.tabs a").allTextContents();
    assert.deepEqual(shown.filter((name) => tabs.includes(name)), tabs, role);
    assert.equal(shown.includes("Developers"), sub, role);
    tab.expects = `${site.url}${base}/live/developers/api-keys`;
    const answer = await tab.goto(`${base}/live/developers/api-keys`);
    assert.equal(answer.status(), keys, role);
    if (keys === 403) assert.match(await main(tab), /Your role does not include this/);
    assert.equal((await tab.content()).includes("*****"), sub, `${role}: masks of keys`);
    assert.deepEqual(await faults(tab), []);
    await tab.goto(`${base}/test/settings/members`);
    assert.equal(await tab.locator("form[action$='/members/invite']").count(), 0, `${role} invites nobody`);
    await theirs.close();
  }
});

test("language, business and environment are switched by keyboard", async () => {
  const other = JSON.parse(await site.cli("business", "create", "Second House", "--json"));
  const said = await site.cli("member", "invite", OWNER.email, "--business", other.business.id, "--role", "administrator");
  await page.goto(invitationIn(said));
  await press(page, page.locator("main form button[type=submit]"));
  assert.equal(new URL(page.url()).pathname, `/b/${other.business.id}/test`);

  await page.goto(`${base}/test/developers/api-keys`);
  await press(page, page.getByRole("navigation", { name: "Environment" }).getByRole("link", { name: "LIVE" }));
  assert.equal(new URL(page.url()).pathname, `${base}/live/developers/api-keys`);
  assert.equal(await page.getAttribute("html", "data-env"), "live");
  await press(page, page.locator("button[name=language]"));
  assert.equal(await page.getAttribute("html", "lang"), "fr");
  assert.equal(new URL(page.url()).pathname, `${base}/live/developers/api-keys`, "it is the same page");
  await press(page, page.locator("button[name=language]"));

  await tabTo(page, page.locator("summary.biz"));
  await page.keyboard.press("Enter");
  await press(page, page.locator("details.menu").first().getByRole("link", { name: "Second House" }));
  assert.equal(new URL(page.url()).pathname, `/b/${other.business.id}/live`, "in the environment that was open");
  await tabTo(page, page.locator("summary.biz"));
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("details.menu[open]").count(), 0, "Escape closes the menu");
});
