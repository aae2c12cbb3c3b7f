// What holds for every page.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"];

/** The violations that axe finds, one line each. */
export async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(
    (tags) => axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] }),
    TAGS,
  );
  return found.violations.flatMap((violation) =>
    violation.nodes.map((node) => `axe ${violation.id}: ${node.target.join(" ")}: ${violation.help}\n    ${node.html.slice(0, 200)}`),
  );
}

/** How far the page can be scrolled sideways, in pixels, and by what. */
export async function sideways(page, width) {
  const height = page.viewportSize().height;
  await page.setViewportSize({ width, height });
  return page.evaluate(() => {
    const root = document.scrollingElement;
    const over = root.scrollWidth - root.clientWidth;
    if (over <= 0) return null;
    const wide = [...document.body.querySelectorAll("*")].filter((element) => {
      const box = element.getBoundingClientRect();
      return box.right > root.clientWidth + 1 && box.width > 0;
    });
    const name = (e) => `${e.localName}${e.id ? `#${e.id}` : ""}${[...e.classList].map((c) => `.${c}`).join("")}`;
    return `scrolls ${over} px sideways at ${root.clientWidth} px: ${wide.slice(-3).map(name).join(", ")}`;
  });
}

/** The addresses on this site that the page leads to, without their fragments and without the page itself. */
export function links(page) {
  return page.evaluate(() => {
    const here = new URL(location.href);
    const found = [...document.querySelectorAll("a[href]")].map((link) => new URL(link.href, here));
    const paths = found.filter((url) => url.origin === here.origin).map((url) => url.pathname + url.search);
    return [...new Set(paths)].filter((path) => path !== here.pathname + here.search);
  });
}

/** Everything that is wrong with an open page at its width and at 320 px. */
export async function faults(page) {
  const width = page.viewportSize().width;
  const found = [...(await violations(page))];
  for (const each of [width, 320]) {
    const over = await sideways(page, each);
    if (over) found.push(over);
  }
  await page.setViewportSize({ width, height: page.viewportSize().height });
  found.push(...(await page.evaluate(() => globalThis.policyReports.map((report) => `policy: ${report}`))));
  found.push(...page.wrongs.splice(0));
  return found;
}
