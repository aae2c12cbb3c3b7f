// What other sites and hostile texts can do to the pages: nothing.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { CORPUS } from "./corpus.mjs";
import { start } from "./server.mjs";

let site, browser, elsewhere;
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

/** Sends a form to a path of the site from a page of the other site; gives the answer's status. */
async function postFromElsewhere(context, path, fields) {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${text(value)}">`).join("");
  const at = elsewhere.show("/form", `<form method="post" action="${site.url}${path}">${inputs}<button>Go</button></form>`);
  const page = await context.newPage();
  await page.goto(at);
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url() === site.url + path),
    page.click("button"),
  ]);
  await page.close();
  return answer.status();
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
