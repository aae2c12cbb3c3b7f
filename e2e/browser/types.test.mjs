// /trousseau.js against its types, and the types as a shop uses them; those of the npm package as a service does.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const assets = new URL("../../crates/web/assets/", import.meta.url).pathname;
const node = new URL("../../packages/node/", import.meta.url).pathname;
const tsc = new URL("node_modules/typescript/bin/tsc", import.meta.url).pathname;
const STRICT = [
  "--noEmit", "--strict", "--allowJs", "--checkJs", "--target", "es2023", "--lib", "es2023,dom,dom.iterable", "--module", "esnext",
  "--moduleResolution", "bundler", "--allowImportingTsExtensions",
];
const USE = `
import type { Payment, Trousseau as Type, TrousseauError } from "./trousseau.d.ts";
declare const Trousseau: typeof Type;
const trousseau = Trousseau({ key: "", business: "", url: new URL("https://pay.example.com") });
export async function pay(payable: string, signal: AbortSignal): Promise<() => void> {
  const payment: Payment = await trousseau.startPayment({ payable, signal });
  const kept = JSON.parse(JSON.stringify(payment)) as Payment;
  return trousseau.watch(kept, { onPaid: (status) => status.amount.padStart(10), onError: (error: TrousseauError) => error.advice });
}
// @ts-expect-error A price is a text.
export const price = async (): Promise<number> => (await trousseau.payable("plink_x")).amount;
// @ts-expect-error There is no such state.
export const refused = async (payment: Payment): Promise<boolean> => payment.status === "paid";
// @ts-expect-error The business is missing.
Trousseau({ key: "" });
`;
const SERVICE = `
import { Trousseau, type Caller, type Decision } from "./index.js";
const trousseau = new Trousseau({ url: new URL("http://127.0.0.1:8080"), timeoutMs: 500, cacheEntries: 0 });
export async function ask(lines: string[], distinct: { [name: string]: string[] | undefined }): Promise<string> {
  const decision: Decision = await trousseau.authorize({ headers: lines, ip: "203.0.113.7", protocol: "https", url: "/" }, { scope: ["a:b"] });
  for (const headers of [distinct, new Headers(), { apikey: "x" }]) await trousseau.authorize({ headers });
  if (!decision.allowed) return decision.code + Object.fromEntries(decision.headers)["retry-after"];
  return decision.caller.keyId + decision.freshMs;
}
export const guarded = trousseau.guard(
  (request: Request, caller: Caller, env: { name: string }) => new Response(caller.keyId + env.name + request.url),
  { environment: "live" },
  { ip: (_, env) => env.name },
);
// @ts-expect-error Something in between may have taken it away.
export const reference = (caller: Caller): string => caller.requestId;
// @ts-expect-error Several may be given the same.
export const widened = (caller: Caller) => caller.scopes.push("a:b");
// @ts-expect-error There is no such demand.
trousseau.express({ scopes: ["a:b"] });
`;

/** What the compiler says of these files, copied from there, and of a text that uses them. */
async function compiled(from, files, use, sources) {
  const folder = await mkdtemp(join(tmpdir(), "trousseau-types-"));
  for (const file of files) await copyFile(join(from, file), join(folder, file));
  await writeFile(join(folder, "use.ts"), use);
  const said = await new Promise((resolve) =>
    execFile("node", [tsc, ...STRICT, ...sources], { cwd: folder }, (_, stdout, stderr) => resolve(stdout + stderr)));
  await rm(folder, { recursive: true });
  return said;
}

test("the script is what its types say, and they hold mistakes back", async () => {
  assert.equal(await compiled(assets, ["trousseau.js", "trousseau.d.ts"], USE, ["trousseau.js", "use.ts"]), "");
});

test("the types of the npm package fit a service, and hold mistakes back", async () => {
  assert.equal(await compiled(node, ["index.d.ts"], SERVICE, ["use.ts"]), "");
});
