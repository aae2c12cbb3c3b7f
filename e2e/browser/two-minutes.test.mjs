// The second page of the README: each command as it is printed there, and the page opened as somebody would.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { start } from "./server.mjs";
import { blocks, listening, root, terminal } from "./terminal.mjs";

let site, browser, receiver;
before(async () => {
  // As script/server starts it; the program is the one that was built.
  const started = await readFile(`${root}script/server`, "utf8");
  const allow = /WEBHOOKS__ALLOW-([^}]+)\}/.exec(started)[1];
  site = await start([], { TROUSSEAU_WEBHOOKS__ALLOW: allow });
  browser = await launch();
});
after(async () => {
  receiver?.end();
  await browser?.close();
  await site?.stop();
});

test("a payment in two minutes", async () => {
  const page = await readFile(`${root}docs/two-minutes.md`, "utf8");
  const [server, receive, ...commands] = blocks(page, "sh");
  assert.deepEqual([server, receive], ["script/server", "script/receiver"]);
  assert.equal(commands.length, 4);
  receiver = await listening(`${receive} 0`);
  const here = (command) => command.replaceAll("http://localhost:8080", site.url).replaceAll("http://127.0.0.1:9000/", receiver.address);
  const shell = terminal(site);
  try {
    await shell.run(here(commands[0]));
    const endpoint = JSON.parse(await shell.run(here(commands[1])));
    assert.match(endpoint.id, /^whe_/);
    const answer = await shell.run(here(commands[2]));
    const link = JSON.parse(answer);
    const members = (text) => [...text.matchAll(/"(\w+)":/g)].map(([, name]) => name);
    const [shown] = blocks(page, "json");
    assert.deepEqual(members(shown), members(answer).slice(0, members(shown).length), "the answer begins otherwise");

    const context = await browser.newContext({ baseURL: site.url, locale: "en-GB" });
    const tab = await open(context);
    const told = [...page.matchAll(/\*\*(.+?)\*\*/g)].map(([, name]) => name);
    assert.deepEqual(told, ["Pay 12.50 USDC", "Paid"]);
    await tab.goto(new URL(link.url).pathname);
    await Promise.all([tab.waitForNavigation(), tab.getByRole("button", { name: told[0] }).click()]);
    await Promise.all([tab.waitForNavigation(), tab.getByRole("button", { name: told[1], exact: true }).click()]);
    await tab.getByText("Paid: 12.50 USDC").waitFor();
    await context.close();

    const [, id] = await receiver.said(/^payment\.succeeded (evt_\w{26})$/m);
    assert.match(blocks(page, "text")[0], /^payment\.succeeded evt_\w{26}$/);
    assert.ok(id);
    const payments = JSON.parse(await shell.run(here(commands[3])));
    assert.deepEqual(payments.data.map((payment) => [payment.status, payment.amount_settled]), [["settled", "12.50"]]);
  } finally {
    shell.end();
  }
});
