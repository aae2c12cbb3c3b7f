// A shop of somebody else: the React page of the documentation and a plain one, on an origin of their own, under a policy
// that lets in nothing but this origin and the server of the payments.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const example = new URL("../../docs/examples/checkout-react/", import.meta.url).pathname;
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript" };

/** Opens the shop. Its pages are built once `build` has said with which key. */
export async function openShop(trousseau) {
  const built = await mkdtemp(join(tmpdir(), "trousseau-shop-"));
  const script = Buffer.from(await (await fetch(`${trousseau}/trousseau.js`)).arrayBuffer());
  const integrity = (bytes) => `sha384-${createHash("sha384").update(bytes).digest("base64")}`;
  const plain = (wanted) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Plain</title>
    <link rel="icon" href="data:,"><script src="${trousseau}/trousseau.js" integrity="${wanted}" crossorigin="anonymous"></script>
    </head><body><main><h1>Plain</h1></main></body></html>`;
  const shop = { payable: "", begin: "" };

  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://shop").pathname;
    const answer = (type, body) => { response.setHeader("content-type", type); response.end(body); };
    // Whoever begins has no policy yet.
    if (path === "/begin") return answer(TYPES[".html"], shop.begin);
    response.setHeader("content-security-policy",
      `default-src 'none'; script-src 'self' ${trousseau}; connect-src 'self' ${trousseau}; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'`);
    response.setHeader("cache-control", "no-store");
    if (path === "/order.json") return answer("application/json", JSON.stringify({ payable: shop.payable }));
    if (path === "/plain") return answer(TYPES[".html"], plain(integrity(script)));
    if (path === "/tampered") return answer(TYPES[".html"], plain(integrity(`${script} `)));
    const file = path === "/shop.js" ? join(built, "shop.js") : join(example, "public", path === "/" ? "index.html" : path.slice(1));
    const content = await readFile(file).catch(() => null);
    if (!content) { response.statusCode = 404; return response.end(); }
    answer(TYPES[extname(file)], content);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

  return Object.assign(shop, {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Builds the React page as whoever copies it does. */
    async build(key, business) {
      const env = { ...process.env, TROUSSEAU_URL: trousseau, CHECKOUT_KEY: key, BUSINESS: business };
      await run("node", ["build.mjs", built], { cwd: example, env });
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(built, { recursive: true, force: true });
    },
  });
}
