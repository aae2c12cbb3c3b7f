// Debian's Chromium, with nothing but loopback addresses to talk to.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const executablePath = [process.env.CHROMIUM, "/usr/lib/chromium/chromium", "/usr/bin/chromium", "/usr/bin/chromium-browser"]
  .find((path) => path && existsSync(path));

/** Starts it. `hosts` are names that lead to an address of this machine: `{ "pay.example": "127.0.0.1:8443" }`. */
export function launch(hosts = {}) {
  if (!executablePath) throw new Error("Chromium is missing: run script/test, or set CHROMIUM to its program");
  const known = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  const rules = [...known, "MAP * ~NOTFOUND", "EXCLUDE localhost", "EXCLUDE 127.0.0.1"];
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
      `--host-resolver-rules=${rules.join(" , ")}`,
    ],
  });
}

/** A page that keeps what went wrong in it: errors of the console and of scripts, reports of the policy, failed loads. */
export async function open(context) {
  const page = await context.newPage();
  page.wrongs = [];
  page.on("console", (message) => {
    // A page about a failure has its status; that is no fault of the page.
    const { url } = message.location();
    const expected = message.text().startsWith("Failed to load resource") && [url, url.split("?")[0]].includes(page.expects);
    if (message.type() === "error" && !expected) page.wrongs.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => page.wrongs.push(`script: ${error.message}`));
  page.on("requestfailed", (request) => {
    const reason = request.failure()?.errorText;
    if (reason !== "net::ERR_ABORTED") page.wrongs.push(`not loaded: ${request.url()} ${reason}`);
  });
  await page.addInitScript(() => {
    globalThis.policyReports = [];
    document.addEventListener("securitypolicyviolation", (report) => {
      globalThis.policyReports.push(`${report.violatedDirective}: ${report.blockedURI}`);
    });
  });
  return page;
}
