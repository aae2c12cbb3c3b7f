// The published npm client, unmodified, managing the keys of a business.
import assert from "node:assert/strict";
import { test } from "node:test";

import { CodatPlatform } from "@codat/platform";

const url = process.env.TROUSSEAU_TEST_URL;
const created = JSON.parse(process.env.TROUSSEAU_TEST_BUSINESS);
const [first] = created.keys;

// Without retries: a refusal must arrive at once, and a repetition would only hide one that is retried.
const client = (authHeader) => new CodatPlatform({ serverURL: url, authHeader, retryConfig: { strategy: "none" } });
const basic = (key) => `Basic ${Buffer.from(key).toString("base64")}`;
const codat = client(basic(first.value));

const refused = async (promise, status) => {
  const error = await promise.then(
    () => assert.fail(`expected a refusal with status ${status}`),
    (error) => error,
  );
  assert.equal(error.statusCode, status, String(error));
  return error;
};

test("the ready-made header is what the client sends", () => {
  assert.equal(first.authorization, basic(first.value));
});

test("a business begins with one key, listed with its full value", async () => {
  const { results } = await codat.settings.listApiKeys();
  assert.equal(results.length, 1);
  assert.equal(results[0].apiKey, first.value);
  assert.match(results[0].apiKey, /^[0-9A-Za-z]{40}$/);
  assert.match(results[0].id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(results[0].name ?? null, null);
  assert.match(results[0].createdDate, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
});

test("a key is made with a name and without one, works, and is deleted", async () => {
  const named = await codat.settings.createApiKey({ name: "invoice-job" });
  assert.equal(named.name, "invoice-job");
  const nameless = await codat.settings.createApiKey();
  assert.equal(nameless.name ?? null, null);
  const { results } = await client(basic(named.apiKey)).settings.listApiKeys();
  assert.deepEqual(
    results.map((key) => key.apiKey),
    [first.value, named.apiKey, nameless.apiKey],
  );
  // The client's own model of a deletion expects a body that a 204 cannot have: it throws after the success.
  for (const key of [named, nameless]) {
    await refused(codat.settings.deleteApiKey({ apiKeyId: key.id }), 204);
  }
  const unknown = await refused(client(basic(named.apiKey)).settings.listApiKeys(), 401);
  assert.equal(unknown.constructor.name, "ErrorMessage");
});

test("names are checked as documented", async () => {
  const error = await refused(codat.settings.createApiKey({ name: "x".repeat(51) }), 400);
  assert.equal(error.constructor.name, "ErrorMessage");
  assert.equal(error.service, "PublicApi");
  assert.match(error.correlationId, /^[0-9a-f]{32}$/);
  assert.equal(error.canBeRetried, "Unknown");
  assert.equal(error.detailedErrorCode, 0);
});

test("the last key stays", async () => {
  const { results } = await codat.settings.listApiKeys();
  assert.equal(results.length, 1);
  await refused(codat.settings.deleteApiKey({ apiKeyId: results[0].id }), 409);
  assert.equal((await codat.settings.listApiKeys()).results.length, 1);
});

test("the eleventh key is refused, and deleting one makes room", async () => {
  const made = [];
  for (let count = 2; count <= 10; count += 1) {
    made.push(await codat.settings.createApiKey({ name: `key ${count}` }));
  }
  const error = await refused(codat.settings.createApiKey({ name: "one too many" }), 409);
  assert.equal(error.constructor.name, "ErrorMessage");
  await refused(codat.settings.deleteApiKey({ apiKeyId: made[0].id }), 204);
  await codat.settings.createApiKey({ name: "fits again" });
  assert.equal((await codat.settings.listApiKeys()).results.length, 10);
});

test("a wrong key, a raw key and a bearer token are refused", async () => {
  const other = first.value.replace(/^./, (letter) => (letter === "x" ? "y" : "x"));
  for (const header of [basic(other), `Basic ${first.value}`, `Bearer ${first.value}`, "Basic"]) {
    const error = await refused(client(header).settings.listApiKeys(), 401);
    assert.equal(error.constructor.name, "ErrorMessage");
  }
});

test("an id that is not there is not found", async () => {
  for (const apiKeyId of ["00000000-0000-0000-0000-000000000000", "no-guid"]) {
    await refused(codat.settings.deleteApiKey({ apiKeyId }), 404);
  }
});
