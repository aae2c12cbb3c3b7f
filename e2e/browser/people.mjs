// What people do before they see keys: open the first link, sign in, accept an invitation. By keyboard.
import assert from "node:assert/strict";

export const PASSWORD = "seven wonders of a quiet harbour";
export const OWNER = { name: "An Owner", email: "admin@example.com", password: PASSWORD };

/** Types into the field that has the focus, and goes to the next. */
async function type(page, text) {
  await page.keyboard.type(text);
  await page.keyboard.press("Tab");
}

/** Goes from control to control by Tab until the wanted one has the focus. */
export async function tabTo(page, locator, most = 60) {
  for (let pressed = 0; pressed <= most; pressed++) {
    if (await locator.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not lead to ${locator}`);
}

/** The link of the first start, as the server printed it. */
export function firstLink(site) {
  const found = /\/welcome\/[\w-]+/.exec(site.said.out);
  assert.ok(found, `no link of the first start in:\n${site.said.out}`);
  return found[0];
}

/** Says that values which are shown once are stored, and closes their dialog; nothing where there is none. */
export async function stored(page) {
  const close = page.locator("dialog [data-close]");
  if (!(await close.count())) return;
  const box = page.locator("dialog [data-ack]");
  if (await box.count()) {
    await tabTo(page, box);
    await page.keyboard.press("Space");
  }
  await tabTo(page, close);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
}

/** The first account, made by keyboard. The page is then signed in. */
export async function firstRun(page, site, person = OWNER) {
  await page.goto(firstLink(site));
  await tabTo(page, page.getByLabel(/Your name|Votre nom/));
  await type(page, person.name);
  await type(page, person.email);
  await type(page, person.password);
  await tabTo(page, page.locator("main form button[type=submit]"));
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await stored(page);
}

/** Signs in, by keyboard. */
export async function signIn(page, person, back = "") {
  await page.goto(`/sign-in${back}`);
  await tabTo(page, page.locator("#email"));
  await type(page, person.email);
  await page.keyboard.type(person.password);
  await Promise.all([page.waitForURL((url) => url.pathname !== "/sign-in"), page.keyboard.press("Enter")]);
}

/** The link of an invitation in a text. */
export function invitationIn(text) {
  return /\/invitations\/[\w-]+/.exec(text)[0];
}

/** Accepts an invitation for somebody new, by keyboard; what is shown then stays open. */
export async function accept(page, link, name) {
  await page.goto(link);
  await tabTo(page, page.locator("#name"));
  await type(page, name);
  await page.keyboard.type(PASSWORD);
  await tabTo(page, page.locator("main form button[type=submit]"));
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
}

/** Invites somebody by the command line and accepts for them; gives the context with their session. */
export async function invited(browser, site, role, email, business) {
  const said = await site.cli("member", "invite", email, "--business", business, "--role", role);
  const context = await browser.newContext({ baseURL: site.url });
  const page = await context.newPage();
  await accept(page, invitationIn(said), `A ${role}`);
  await stored(page);
  return context;
}

/** The id of the first business, as the server printed it. */
export function businessOf(site) {
  return /^Id\s+([0-9a-f-]{36})$/m.exec(site.said.out)[1];
}
