// Every page that there is: its name, who reads it, its path. The one list that the runs go by.
import { ENVIRONMENTS, TABLE_WIDTHS } from "./matrix.mjs";
import { businessOf, firstLink } from "./people.mjs";

const GUIDE = [
  "", "/why-keys", "/kinds", "/business-id", "/get-a-key", "/send-a-key", "/keep-keys-secret", "/test-and-live", "/checkout", "/webhooks", "/rotate",
  "/leaks", "/rules", "/refusals",
];

/** Pages for anybody. */
export async function open(site) {
  const pages = GUIDE.map((path, index) => ({
    name: `docs${path.replaceAll("/", "-")}`,
    path: `/docs${path}`,
    likeOthers: index === 0 ? 0 : index,
  }));
  for (const profile of ["payline", "codat"]) {
    GUIDE.forEach((path, index) =>
      pages.push({ name: `docs-${profile}${path.replaceAll("/", "-")}`, path: `/docs${path}?profile=${profile}`, likeOthers: index + 1 }),
    );
  }
  pages.push({ name: "api", path: "/docs/api" });
  pages.push({ name: "api-search", path: "/docs/api?q=key", likeOthers: 1 });
  pages.push({ name: "api-search-nothing", path: "/docs/api?q=nothing+like+this", likeOthers: 2 });
  const document = await (await fetch(`${site.url}/openapi.json`)).json();
  const operations = Object.values(document.paths).flatMap((item) => Object.values(item)).map((operation) => operation.operationId);
  operations.forEach((id, index) => {
    const slug = id.replaceAll("_", "-");
    pages.push({ name: `api-${slug}`, path: `/docs/api/${slug}`, likeOthers: slug === "create-key" ? 0 : index + 1 });
  });
  for (const [index, slug] of ["scope-missing", "unauthorized", "key-in-url"].entries()) {
    pages.push({ name: `problem-${slug}`, path: `/problems/${slug}`, likeOthers: index });
  }
  pages.push({ name: "sign-in", path: "/sign-in" });
  pages.push({ name: "reset", path: "/reset" });
  pages.push({ name: "welcome", path: firstLink(site) });
  pages.push({ name: "link-ended", path: "/reset/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", status: 410, likeOthers: 3 });
  pages.push({ name: "not-found", path: "/b/none/test/nothing", status: 404 });
  return pages;
}

/** Pages that are a table with much in it. */
const TABLES = new Set(["payments", "unmatched", "refunds", "invoices", "recurring", "links"]);

/** From a list to the page of its first entry, or to one below it. */
async function openFirst(tab, below = "") {
  await tab.goto((await tab.locator("td.name a").first().getAttribute("href")) + below);
}

/** Pages that look otherwise, or are only there, for whoever is signed in. */
export function signedIn(site) {
  const keys = (below) => (environment) => `/b/${businessOf(site)}/${environment}/developers/api-keys${below}`;
  const inBusiness = [
    ["", "keys"], ["?state=revoked", "keys-nothing-found"], ["/create", "keys-create"], ["/1", "key"], ["/2", "key-checkout"],
    ["/1/edit", "key-edit"], ["/1/rotate", "key-rotate"], ["/1/switch", "key-switch"], ["/1/revoke", "key-revoke"],
  ].map(([below, name]) => ({ name, path: keys(below), environments: ENVIRONMENTS }));
  const settings = ["", "/checkout", "/checkout/payout", "/checkout/payout/plan", "/members", "/notices"].map((below) => ({
    name: `settings${below.replaceAll("/", "-")}`,
    path: (environment) => `/b/${businessOf(site)}/${environment}/settings${below}`,
    environments: ENVIRONMENTS,
  }));
  const at = (below) => (environment) => `/b/${businessOf(site)}/${environment}${below}`;
  const frame = [
    ["", "home"], ["/developers/requests", "requests"], ["/developers/requests?status=299", "requests-nothing-found"],
    ["/developers/events", "events"], ["/developers/events?number=999", "events-nothing-found"],
    ["/developers/usage", "usage"], ["/developers/usage?days=7", "usage-week"],
    ["/payments", "payments"], ["/payments?status=settled", "payments-nothing-found"], ["/payments/unmatched", "unmatched"], ["/payments/accounting", "accounting"],
    ["/payments/refunds", "refunds"], ["/payments/refunds?q=nothing+like+this", "refunds-nothing-found"], ["/developers/webhooks", "webhooks-empty"],
    ["/developers/webhooks/create", "webhooks-create"],
    ["/invoices", "invoices"], ["/invoices?q=nothing+like+this", "invoices-nothing-found"], ["/invoices/create", "invoice-create"],
    ["/recurring-payments", "recurring"], ["/recurring-payments?q=nothing+like+this", "recurring-nothing-found"], ["/recurring-payments/create", "recurring-create"],
    ["/payment-links", "links"], ["/payment-links?q=nothing+like+this", "links-nothing-found"], ["/payment-links/create", "link-create"],
  ].map(([below, name]) => ({ name, path: at(below), environments: ENVIRONMENTS, widths: TABLES.has(name) ? TABLE_WIDTHS : undefined }));
  return [
    ...inBusiness,
    ...frame,
    { name: "filter-wrong", path: at("/developers/requests?from=soon&status=abc&path=%2Fv1"), status: 422, environments: ENVIRONMENTS },
    { name: "event", path: at("/developers/events"), environments: ENVIRONMENTS, prepare: openFirst },
    ...["payments", "payment-links", "invoices", "recurring-payments"].map((list) => ({
      name: list.slice(0, -1), path: at(`/${list}`), environments: ["test"], prepare: openFirst,
    })),
    { name: "refund-form", path: at("/payments?status=settled"), environments: ["test"], prepare: (tab) => openFirst(tab, "/refund") },
    { name: "refund-sent", path: at("/payments/refunds?status=succeeded"), environments: ["test"], prepare: openFirst },
    { name: "refund-pending", path: at("/payments/refunds?status=pending"), environments: ["test"], prepare: openFirst },
    { name: "refund-cancel", path: at("/payments/refunds?status=pending"), environments: ["test"], prepare: (tab) => openFirst(tab, "/cancel") },
    { name: "payment-refunded", path: at("/payments?status=partially_refunded"), environments: ["test"], prepare: openFirst },
    ...settings,
    { name: "platform", path: "/platform" },
    { name: "platform-nothing-found", path: "/platform?q=nobody" },
    { name: "platform-create", path: "/platform/businesses/create" },
    { name: "platform-business", path: `/platform/businesses/${businessOf(site)}` },
    { name: "platform-suspend", path: `/platform/businesses/${businessOf(site)}/suspend` },
    { name: "platform-resume", path: `/platform/businesses/${businessOf(site)}/resume`, likeOthers: 1 },
    { name: "platform-keys", path: "/platform/keys" },
    { name: "platform-key-create", path: "/platform/keys/create" },
    { name: "platform-networks", path: "/platform/networks" },
    { name: "platform-node", path: "/platform/node" },
    { name: "platform-configuration", path: "/platform/configuration" },
    { name: "account", path: "/account" },
    { name: "businesses", path: "/businesses" },
    { name: "own-docs", path: "/docs" },
    { name: "own-business-id", path: "/docs/business-id", likeOthers: 1 },
    { name: "own-api-create-key", path: "/docs/api/create-key" },
    { name: "own-api-list-keys", path: "/docs/api/list-keys", likeOthers: 2 },
  ];
}
