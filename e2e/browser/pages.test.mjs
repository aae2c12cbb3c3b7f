// Every page, in every language, environment, theme and width that was asked for.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { faults, links } from "./checks.mjs";
import { giveBack, sell } from "./goods.mjs";
import { cells } from "./matrix.mjs";
import * as pages from "./pages.mjs";
import { firstRun } from "./people.mjs";
import { start } from "./server.mjs";

const full = process.env.TROUSSEAU_BROWSER_MATRIX === "full";
const screenshots = new URL("./screenshots/", import.meta.url).pathname;

let site, browser;
before(async () => {
  await mkdir(screenshots, { recursive: true });
  // A network whose node does not answer: what pages say of networks is there, and nothing is asked outside.
  site = await start([], { TROUSSEAU_NETWORKS__BASE__ENDPOINTS: "http://127.0.0.1:9" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.stop();
});

/** Opens the pages of one reader, cell by cell, and gives what is wrong and where they lead. */
async function walk(list, cookies) {
  const wrong = [];
  const leads = new Map();
  const contexts = new Map();
  for (const page of list) {
    for (const cell of cells(page, full)) {
      const key = `${cell.language}-${cell.theme}-${cell.width}`;
      if (!contexts.has(key)) {
        const context = await browser.newContext({
          baseURL: site.url,
          viewport: { width: cell.width, height: 900 },
          colorScheme: cell.theme,
          reducedMotion: "reduce",
        });
        await context.addCookies([...cookies, { name: "trousseau_language", value: cell.language, url: site.url }]);
        contexts.set(key, await open(context));
      }
      const tab = contexts.get(key);
      const path = typeof page.path === "function" ? page.path(cell.environment) : page.path;
      const at = `${page.name} ${[cell.language, cell.environment, cell.theme, cell.width].filter(Boolean).join(" ")}`;
      tab.expects = page.status ? new URL(path, site.url).href : undefined;
      const answer = await tab.goto(path);
      const status = page.status ?? 200;
      if (answer.status() !== status) wrong.push(`${at}: status ${answer.status()}, not ${status}`);
      if (page.prepare) await page.prepare(tab);
      const language = await tab.getAttribute("html", "lang");
      if (language !== cell.language) wrong.push(`${at}: speaks ${language}`);
      wrong.push(...(await faults(tab)).map((fault) => `${at}: ${fault}`));
      await tab.screenshot({ path: `${screenshots}${at.replaceAll(" ", "-")}.png`, fullPage: true });
      for (const link of await links(tab)) if (!leads.has(link)) leads.set(link, at);
    }
  }
  for (const tab of contexts.values()) await tab.context().close();
  return { wrong, leads };
}

/** Links that lead nowhere. */
async function dead(leads, cookies) {
  const context = await browser.newContext({ baseURL: site.url });
  await context.addCookies(cookies);
  const wrong = [];
  for (const [link, at] of leads) {
    const answer = await context.request.get(link, { headers: { accept: "text/html" }, maxRedirects: 5 });
    const to = new URL(answer.url()).pathname;
    if (answer.status() >= 400) wrong.push(`${at}: ${link}, that is ${to}, answers ${answer.status()}`);
  }
  await context.close();
  return wrong;
}

test("pages for anybody", async () => {
  const { wrong, leads } = await walk(await pages.open(site), []);
  wrong.push(...(await dead(leads, [])));
  assert.deepEqual(wrong, []);
});

test("pages for people who are signed in", async () => {
  const context = await browser.newContext({ baseURL: site.url });
  const tab = await context.newPage();
  await firstRun(tab, site);
  const { payments } = await sell(site);
  await giveBack(tab, site, payments.paid, "2.50", "One cup was broken");
  await Promise.all([tab.waitForNavigation(), tab.click("form[action$='/send'] button")]);
  await giveBack(tab, site, payments.paid, "1.25");
  const cookies = (await context.cookies()).filter((cookie) => cookie.name.endsWith("trousseau_session"));
  await context.close();
  const { wrong, leads } = await walk(pages.signedIn(site), cookies);
  wrong.push(...(await dead(leads, cookies)));
  assert.deepEqual(wrong, []);
});
