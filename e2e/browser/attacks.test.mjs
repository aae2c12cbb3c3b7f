// What other sites and hostile texts can do to the pages: nothing.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { CORPUS } from "./corpus.mjs";
import { businessOf, firstLink, firstRun } from "./people.mjs";
import { start } from "./server.mjs";

let site, browser, elsewhere, session;
before(async () => {
  site = await start();
  browser = await launch();
  elsewhere = await anotherSite();
});
after(async () => {
  await browser?.close();
  await site?.stop();
  elsewhere?.server.close();
});

/** A site of another origin, whose pages are given by their paths. */
async function anotherSite() {
  const pages = new Map();
  const server = createServer((request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(pages.get(request.url) ?? "nothing");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return { server, url, show: (path, html) => (pages.set(path, html), url + path) };
}

const text = (value) => value.replaceAll("&", "&amp;").replaceAll("\"", "&quot;").replaceAll("<", "&lt;");

/**
 * Sends a form to a path of the site from a page of the other site; gives the answer's status. The browser keeps the
 * session's cookie back, so that pages for members only lead to signing in: that is a 401 here.
 */
async function postFromElsewhere(context, path, fields) {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${text(value)}">`).join("");
  const at = elsewhere.show("/form", `<form method="post" action="${site.url}${path}">${inputs}<button>Go</button></form>`);
  const page = await context.newPage();
  await page.goto(at);
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url() === site.url + path),
    page.click("button"),
  ]);
  const status = answer.status();
  const signIn = status === 303 && (await answer.headerValue("location")).startsWith("/sign-in");
  await page.close();
  return signIn ? 401 : status;
}

test("a form of another site is refused", async () => {
  const context = await browser.newContext({ baseURL: site.url, locale: "en-GB" });
  const page = await open(context);
  await page.goto("/docs");
  assert.equal(await postFromElsewhere(context, "/preferences", { language: "fr", return: "/docs" }), 403);
  await page.goto("/docs");
  assert.equal(await page.getAttribute("html", "lang"), "en", "the choice has no effect");
  // The same form from the page itself has.
  await page.click("button[name=language]");
  assert.equal(await page.getAttribute("html", "lang"), "fr");
  await context.close();
});

test("no page can be framed", async () => {
  const context = await browser.newContext({ baseURL: site.url });
  for (const path of ["/docs", "/docs/api/create-key", "/problems/scope-missing", "/nothing"]) {
    const page = await context.newPage();
    await page.goto(elsewhere.show("/frame", `<iframe src="${site.url}${path}" width="800" height="600"></iframe>`));
    await page.waitForTimeout(300);
    const inside = page.frames().find((frame) => frame !== page.mainFrame());
    assert.match(inside.url(), /^chrome-error:/, `${path} stays out of frames`);
    await page.close();
  }
  await context.close();
});

test("hostile texts in the search of the reference are text", async () => {
  const page = await open(await browser.newContext({ baseURL: site.url }));
  for (const hostile of CORPUS) {
    await page.goto(`/docs/api?q=${encodeURIComponent(hostile)}`);
    assert.equal(await page.evaluate(() => globalThis.hacked), undefined, hostile);
    const kept = await page.inputValue("#q");
    assert.ok(kept === hostile || /[\u0000-\u001f]/.test(hostile), `${JSON.stringify(hostile)} became ${JSON.stringify(kept)}`);
    assert.deepEqual(page.wrongs.splice(0), [], hostile);
  }
});

/** Pages with forms of every kind, for whoever is signed in. */
function withForms() {
  const base = `/b/${businessOf(site)}/live`;
  const keys = ["", "/create", "/1/edit", "/1/rotate", "/1/switch", "/2/revoke", "/1/revoke"].map((path) => `${base}/developers/api-keys${path}`);
  const settings = ["", "/members", "/notices"].map((path) => `${base}/settings${path}`);
  return [...keys, ...settings, `${base}/developers/requests`, "/account", "/step-up?return=/account", "/docs/api/whoami"];
}

/** Pages with forms for anybody. */
const OPEN = ["/sign-in", "/reset"];

/** The forms of a page: where they go, how, and what they would send. */
function forms(page) {
  return page.evaluate(() =>
    [...document.forms].map((form, index) => ({
      index,
      action: new URL(form.getAttribute("action") ?? "", location.href).pathname,
      method: form.method,
      fields: Object.fromEntries([...new FormData(form)].filter(([, value]) => typeof value === "string")),
      texts: [...form.elements].filter((field) => /^(text|email|password|search|date)$/.test(field.type) || field.localName === "textarea").length,
    })),
  );
}

test("signed in: no form of another site has an effect, and no page can be framed", async () => {
  const context = await browser.newContext({ baseURL: site.url, locale: "en-GB" });
  const page = await open(context);
  // Before there is an account, the first link is a form like any other.
  assert.equal(await postFromElsewhere(context, firstLink(site), { name: "Taken", email: "taken@example.com", password: "seven wonders of a harbour" }), 403);
  assert.equal(await postFromElsewhere(context, "/sign-in", { email: "admin@example.com", password: "not the password" }), 403);
  await firstRun(page, site);
  // A second key, so that the first one may be revoked.
  await site.cli("key", "create", "--business", businessOf(site), "--environment", "live", "--name", "Second");
  const state = async () => {
    const texts = [];
    for (const path of ["/developers/api-keys?state=all&format=csv", "/settings", "/settings/members", "/settings/notices"]) {
      const answer = await context.request.get(`/b/${businessOf(site)}/live${path}`);
      texts.push((await answer.text()).replace(/<time[^>]*>[^<]*<\/time>/g, ""));
    }
    texts.push(await (await context.request.get("/account")).text().then((text) => text.replace(/<time[^>]*>[^<]*<\/time>/g, "")));
    return texts;
  };
  const before = await state();
  const seen = new Set();
  for (const path of [...withForms(), ...OPEN]) {
    await page.goto(path);
    for (const form of await forms(page)) {
      if (form.method !== "post" || seen.has(form.action)) continue;
      seen.add(form.action);
      // Even with the session's own token in it, which another site cannot know.
      const status = await postFromElsewhere(context, form.action, { ...form.fields, name: "Taken over", email: "taken@example.com" });
      assert.ok([401, 403].includes(status), `${form.action}: ${status}`);
      // With the session's cookie, which no browser sends along, it would be refused all the same.
      const forged = await context.request.post(form.action, {
        form: { ...form.fields, name: "Taken over", email: "taken@example.com" },
        headers: { origin: elsewhere.url, accept: "text/html" },
        maxRedirects: 0,
      });
      assert.equal(forged.status(), 403, form.action);
    }
  }
  for (const kind of ["/preferences", "/sign-out", "/account/password", "/create", "/rotate", "/revoke", "/find", "/members/invite", "/notices", "/settings", "/step-up"]) {
    assert.ok([...seen].some((action) => action.endsWith(kind)), `a form that ends in ${kind} was tried: ${[...seen]}`);
  }
  assert.deepEqual(await state(), before, "nothing has changed");
  for (const path of withForms()) {
    const tab = await context.newPage();
    await tab.goto(elsewhere.show("/frame", `<iframe src="${site.url}${path}" width="800" height="600"></iframe>`));
    await tab.waitForTimeout(200);
    const inside = tab.frames().find((frame) => frame !== tab.mainFrame());
    assert.match(inside.url(), /^chrome-error:/, `${path} stays out of frames`);
    await tab.close();
  }
  session = await context.storageState();
  await context.close();
});

test("hostile texts in every text field of every form are text, or refused with a reason", async () => {
  const context = await browser.newContext({ baseURL: site.url, locale: "en-GB", storageState: session });
  const page = await open(context);
  // A name that was taken stands in the pages that follow, too.
  for (const hostile of CORPUS) {
    for (const path of [...withForms(), ...OPEN]) {
      await page.goto(path);
      for (const form of (await forms(page)).filter((form) => form.texts > 0)) {
        page.expects = site.url + form.action;
        await page.goto(path);
        const sent = page.waitForEvent("load");
        await page.evaluate(({ index, hostile }) => {
          const form = document.forms[index];
          for (const field of form.elements) {
            if (/^(text|email|password|search)$/.test(field.type) || field.localName === "textarea") field.value = hostile;
          }
          // As it is, without the browser's own checks and without scripts of ours.
          HTMLFormElement.prototype.submit.call(form);
        }, { index: form.index, hostile });
        await sent;
        assert.equal(await page.evaluate(() => globalThis.hacked), undefined, `${form.action}: ${hostile}`);
        // What failed is told by a page, never by an error of ours.
        assert.doesNotMatch(await page.textContent("h1"), /went wrong on our side/, `${form.action}: ${hostile}`);
        assert.deepEqual(page.wrongs.splice(0), [], `${form.action}: ${hostile}`);
      }
    }
  }
  await context.close();
});
