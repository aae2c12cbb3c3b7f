// /trousseau.js against its types, and the types as a shop uses them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const assets = new URL("../../crates/web/assets/", import.meta.url).pathname;
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

test("the script is what its types say, and they hold mistakes back", async () => {
  const folder = await mkdtemp(join(tmpdir(), "trousseau-types-"));
  for (const file of ["trousseau.js", "trousseau.d.ts"]) await copyFile(join(assets, file), join(folder, file));
  await writeFile(join(folder, "use.ts"), USE);
  const said = await new Promise((resolve) =>
    execFile("node", [tsc, ...STRICT, "trousseau.js", "use.ts"], { cwd: folder }, (_, stdout, stderr) => resolve(stdout + stderr)));
  await rm(folder, { recursive: true });
  assert.equal(said, "");
});
