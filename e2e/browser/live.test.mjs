// The page on LIVE: each command as it is printed there, against a real EVM node on this machine.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { start } from "./server.mjs";
import { blocks, freePort, listening, root, terminal } from "./terminal.mjs";

const folder = await mkdtemp(join(tmpdir(), "trousseau-live-"));
const ends = [];
after(async () => {
  for (const end of ends.reverse()) await end();
  await rm(folder, { recursive: true, force: true });
});

/** Asks until the answer is the one that the page promises. */
async function until(wanted, ask) {
  let answer;
  for (let waited = 0; waited < 30_000; waited += 200) {
    answer = (await ask()).trim();
    if (answer === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.equal(answer, wanted);
}

test("from a payment to a refund, in LIVE", async () => {
  const page = await readFile(`${root}docs/live.md`, "utf8");
  const [chain, receive, serve, ...commands] = blocks(page, "sh");
  assert.equal(commands.length, 8);
  const port = { CHAIN_PORT: await freePort() };

  const network = await listening(chain, port);
  ends.push(network.end);
  const receiver = await listening(`${receive} 0`, { TROUSSEAU_DATA_DIR: folder });
  ends.push(receiver.end);

  // As the third terminal starts it, on a copy of the configuration with the free port.
  const [settings, started] = serve.split("\n");
  assert.equal(settings, "source trousseau-data/receiver.env");
  const [, example] = /^script\/server --config (\S+)$/.exec(started);
  const config = join(folder, "chain.toml");
  await writeFile(config, (await readFile(root + example, "utf8")).replace("8545", port.CHAIN_PORT));
  const variables = {};
  for (const [, name, value] of (await readFile(join(folder, "receiver.env"), "utf8")).matchAll(/(TROUSSEAU_\w+)=(\S+)/g)) {
    variables[name] = value;
  }
  const site = await start(["--config", config], variables);
  ends.push(site.stop);

  const shell = terminal(site, port);
  ends.push(shell.end);
  const here = (command) =>
    command
      .replaceAll("http://localhost:8080", site.url)
      .replaceAll("https://RECEIVER:9443/", receiver.address)
      .replaceAll(example, config)
      .replaceAll(/\b(payment|refund)\.json/g, `${folder}/$1.json`);
  const run = (command) => shell.run(here(command));

  await run(commands[0]);
  assert.match(JSON.parse(await run(commands[1])).id, /^whe_/);
  await run(commands[2]);
  await run(commands[3]);
  await until("settled", () => run(commands[4]));
  await receiver.said(/^payment\.succeeded evt_\w{26}$/m);

  const [plan, balance] = commands[5].split("\n");
  const sent = (await run(plan)).trim().split("\n");
  assert.equal(sent.length, 2, "the factory and the collection");
  assert.equal((await run(balance)).trim(), "12.50");
  assert.match(page, /now holds 12\.50\./);

  assert.equal(JSON.parse((await run(commands[6])).trim()).status, "processing");
  const [refund, payment, rest] = commands[7].split("\n");
  await until("succeeded", () => run(refund));
  await until("partially_refunded", () => run(payment));
  assert.equal((await run(rest)).trim(), "7.50");
  await receiver.said(/^payment\.refunded evt_\w{26}$/m);
});
