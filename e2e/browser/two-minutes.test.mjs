// The second page of the README: each command as it is printed there, and the page opened as somebody would.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { program, start } from "./server.mjs";

const root = new URL("../..", import.meta.url).pathname;
let site, browser, receiver, heard;
before(async () => {
  // As script/server starts it; the program is the one that was built.
  const started = await readFile(`${root}script/server`, "utf8");
  const allow = /WEBHOOKS__ALLOW-([^}]+)\}/.exec(started)[1];
  site = await start([], { TROUSSEAU_WEBHOOKS__ALLOW: allow });
  browser = await launch();
});
after(async () => {
  receiver?.kill();
  await browser?.close();
  await site?.stop();
});

/** Starts the receiver on a free port and gives its address. */
async function listening(command) {
  receiver = spawn("bash", ["-c", `exec ${command} 0`], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  heard = "";
  receiver.stdout.on("data", (text) => (heard += text));
  return (await said(/listening on (http:\S+\/)/))[1];
}

async function said(pattern) {
  for (let waited = 0; waited < 30_000; waited += 100) {
    const found = pattern.exec(heard);
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${pattern} is not in:\n${heard}`);
}

/** A shell that goes from command to command, as a person's does. */
function shell() {
  const child = spawn("bash", ["-s"], {
    cwd: root,
    env: { ...process.env, PATH: `${dirname(program)}:${process.env.PATH}`, TROUSSEAU_DATA_DIR: site.data },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.write("set -euo pipefail\n");
  let out = "";
  child.stdout.on("data", (text) => (out += text));
  return {
    async run(command) {
      out = "";
      child.stdin.write(`${command}\nprintf '\\n-- done --\\n'\n`);
      for (let waited = 0; !out.endsWith("\n-- done --\n"); waited += 50) {
        if (child.exitCode !== null || waited > 30_000) throw new Error(`${command}\nended with:\n${out}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return out.slice(0, -"\n-- done --\n".length);
    },
    end: () => child.kill(),
  };
}

test("a payment in two minutes", async () => {
  const page = await readFile(`${root}docs/two-minutes.md`, "utf8");
  const blocks = (kind) => [...page.matchAll(new RegExp(`\`\`\`${kind}\\n([\\s\\S]*?)\`\`\``, "g"))].map(([, text]) => text.trim());
  const [server, receive, ...commands] = blocks("sh");
  assert.deepEqual([server, receive], ["script/server", "script/receiver"]);
  assert.equal(commands.length, 4);
  const there = await listening(receive);
  const here = (command) => command.replaceAll("http://localhost:8080", site.url).replaceAll("http://127.0.0.1:9000/", there);
  const terminal = shell();
  try {
    await terminal.run(here(commands[0]));
    const endpoint = JSON.parse(await terminal.run(here(commands[1])));
    assert.match(endpoint.id, /^whe_/);
    const answer = await terminal.run(here(commands[2]));
    const link = JSON.parse(answer);
    const members = (text) => [...text.matchAll(/"(\w+)":/g)].map(([, name]) => name);
    const [shown] = blocks("json");
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

    const [, id] = await said(/^payment\.succeeded (evt_\w{26})$/m);
    assert.match(blocks("text")[0], /^payment\.succeeded evt_\w{26}$/);
    assert.ok(id);
    const payments = JSON.parse(await terminal.run(here(commands[3])));
    assert.deepEqual(payments.data.map((payment) => [payment.status, payment.amount_settled]), [["settled", "12.50"]]);
  } finally {
    terminal.end();
  }
});
