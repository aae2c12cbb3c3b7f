// The samples of the documentation, copied from its pages and run as a reader would run them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { launch, open } from "./browser.mjs";
import { start } from "./server.mjs";

const run = promisify(execFile);

let site, browser, folder, tab;
before(async () => {
  site = await start();
  browser = await launch();
  folder = await mkdtemp(join(tmpdir(), "trousseau-samples-"));
  tab = await open(await browser.newContext({ baseURL: site.url }));
});
after(async () => {
  await browser?.close();
  await site?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a text in the language that it is written in, and gives what it printed. */
async function output(language, text, env) {
  const all = { ...process.env, ...env };
  if (language === "curl") return (await run("bash", ["-c", `${text} --silent --show-error --fail-with-body`], { env: all })).stdout;
  // The samples use no types, so that they run as they are.
  const file = join(folder, language === "typescript" ? "sample.mjs" : "sample.py");
  await writeFile(file, text);
  return (await run(language === "typescript" ? "node" : "python3", [file], { env: all })).stdout;
}

/** The samples of a page, with another business id in place of the made-up one. */
async function samples(path, name, business) {
  await tab.goto(path);
  const found = {};
  for (const language of ["curl", "typescript", "python"]) {
    const text = await tab.textContent(`#${name}-${language}`);
    found[language] = text.replace("3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77", business).replace("17616983000123", business);
  }
  return found;
}

/** A business with its keys. */
async function made(profile) {
  return JSON.parse(await site.cli("business", "create", `Samples for ${profile}`, "--profile", profile, "--json"));
}

test("the first call of the Guide, with the key alone and with the ready-made header", async () => {
  for (const profile of ["mileston", "payline", "codat"]) {
    const { business, keys } = await made(profile);
    const key = keys.find((key) => key.kind === "secret" && key.environment === (profile === "codat" ? "live" : "test"));
    const plain = await samples(`/docs?profile=${profile}`, "whoami", business.id);
    for (const [language, text] of Object.entries(plain)) {
      assert.match(await output(language, text, { API_KEY: key.value }), new RegExp(business.id), `${profile} ${language}`);
    }
    await tab.goto(`/docs/send-a-key?profile=${profile}`);
    const basic = (await tab.textContent("#c-basic")).replace(/3f0c8a52-[0-9a-f-]+|17616983000123/, business.id);
    const { stdout } = await run("bash", ["-c", `${basic}; printf %s "$AUTHORIZATION"`], {
      env: { ...process.env, API_KEY: key.value },
    });
    assert.equal(stdout, key.authorization, `${profile}: the header made by hand is the ready-made one`);
    const header = await samples(`/docs/send-a-key?profile=${profile}`, "basic", business.id);
    for (const [language, text] of Object.entries(header)) {
      assert.match(await output(language, text, { AUTHORIZATION: stdout }), new RegExp(business.id), `${profile} ${language}`);
    }
  }
});

test("calls of the reference that need nothing but a key", async () => {
  const { business, keys } = await made("mileston");
  const key = keys.find((key) => key.kind === "secret" && key.environment === "test");
  for (const slug of ["whoami", "list-keys", "list-events", "livez", "openapi-json"]) {
    for (const [language, text] of Object.entries(await samples(`/docs/api/${slug}`, "sample", business.id))) {
      assert.notEqual(await output(language, text, { API_KEY: key.value }), "", `${slug} ${language}`);
    }
  }
});

test("calls with a body and with the operator's key", async () => {
  const platform = JSON.parse(await site.cli("platform-key", "create", "samples", "--json"));
  const { business, keys } = await made("mileston");
  const key = keys.find((key) => key.kind === "secret" && key.environment === "test");
  for (const slug of ["create-business", "verify-keys", "create-business-key"]) {
    for (const [language, text] of Object.entries(await samples(`/docs/api/${slug}`, "sample", business.id))) {
      const said = await output(language, text, { PLATFORM_KEY: platform.value });
      assert.match(said, slug === "verify-keys" ? /key_malformed|key_unknown|valid/ : /key_/, `${slug} ${language}`);
    }
  }
  // A key without the scope is told which one it lacks.
  const refused = (await samples("/docs/api/create-key", "sample", business.id)).curl;
  await assert.rejects(output("curl", refused, { API_KEY: key.value }), (error) => /scope_missing/.test(error.stdout));
});
