// Sending with a wallet in the browser: any that announces itself (EIP-6963), or the one at window.ethereum (EIP-1193).
// A payer's payment, or a merchant's refund, whose page has a field for the hash. Nothing is loaded from anywhere, and
// what is sent is on the page: the token, the address, the amount.
const section = document.getElementById("wallet");
const buttons = document.getElementById("wallet-buttons"), told = document.getElementById("wallet-told");
const words = section.dataset;
const field = document.getElementById("transaction_hash");
const asked = () => document.getElementById("wallet-asked")?.dataset;
const key = () => `trousseau-sent ${words.payment} ${asked()?.units}`;
const kept = () => { try { return sessionStorage.getItem(key()); } catch { return null; } };
const forget = () => { try { sessionStorage.removeItem(key()); } catch { /* nothing was kept */ } };
const keep = (hash) => { try { sessionStorage.setItem(key(), hash); } catch { /* a browser that keeps nothing */ } };
const say = (text, tint = "") => { told.textContent = text; told.className = tint; };
const word = (number) => BigInt(number).toString(16).padStart(64, "0");

/** What a refusal means, by the codes of EIP-1193, EIP-3326 and EIP-1474. */
const meaning = (error) => {
  switch (error?.code ?? error?.data?.originalError?.code) {
    case 4001: case "ACTION_REJECTED": return words.rejected;
    case 4100: return words.unauthorized;
    case 4200: case -32601: return words.unsupported;
    case 4900: case 4901: return words.disconnected;
    case 4902: return words.unknown;
    case -32002: return words.pending;
    default: return words.failed;
  }
};

const onChain = async (provider, chain) => BigInt(await provider.request({ method: "eth_chainId" })) === BigInt(chain);

async function enough(provider, from, { token, units }) {
  try {
    const data = `0x70a08231${word(from)}`;
    const balance = await provider.request({ method: "eth_call", params: [{ to: token, data }, "latest"] });
    return BigInt(balance) >= BigInt(units);
  } catch {
    return true;                                   // the wallet will say it itself
  }
}

/** Hands in the hash. Of a payment it is a hint, for the network is watched anyway; of a refund it is the page's form. */
async function handIn(hash) {
  if (field) {
    field.value = hash;
    field.form.requestSubmit();
    return words.sent;
  }
  const body = new URLSearchParams(new FormData(section.querySelector("form")));
  body.set("transaction_hash", hash);
  try {
    const answer = await fetch(words.handIn, { method: "POST", headers: { accept: "application/json" }, body });
    if (answer.status === 409 || answer.status === 422) return words.refused;
    return answer.ok ? words.sent : words.untold;
  } catch {
    return words.untold;
  }
}

let busy = false;
async function pay(provider) {
  const what = { ...asked() };
  if (busy || !what.to) return;
  busy = true;
  show();
  try {
    say(words.asking);
    const [from] = await provider.request({ method: "eth_requestAccounts" });
    if (!from) { say(words.unauthorized, "bad"); return; }
    if (!(await onChain(provider, what.chain))) {
      say(words.switching);
      await provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId: what.chain }] });
      // Some wallets answer and stay where they are.
      if (!(await onChain(provider, what.chain))) { say(words.elsewhere, "bad"); return; }
    }
    if (!(await enough(provider, from, what))) { say(words.short, "bad"); return; }
    // Part of it may have come while the wallet was asked.
    if (asked()?.units !== what.units) { say(""); return; }
    say(words.confirm);
    const data = `0xa9059cbb${word(what.to)}${word(what.units)}`;
    const hash = await provider.request({
      method: "eth_sendTransaction", params: [{ from, to: what.token, value: "0x0", data }],
    });
    keep(hash);
    show();
    say(words.sent, "ok");
    const answer = await handIn(hash);
    // The network says that it pays nothing: another one may.
    if (answer === words.refused) forget();
    say(answer, answer === words.refused ? "bad" : "ok");
  } catch (error) {
    say(meaning(error), "bad");
  } finally {
    busy = false;
    show();
  }
}

const wallets = new Map();
function show() {
  section.hidden = wallets.size === 0 || !(asked() || told.textContent);
  const sent = Boolean(asked() && kept());
  for (const button of buttons.querySelectorAll("button")) {
    button.setAttribute("aria-disabled", String(busy));
    button.hidden = sent || !asked();
  }
  if (sent && !told.textContent) say(words.sent, "ok");
}
function add(id, name, provider) {
  if (wallets.has(id) || typeof provider?.request !== "function") return;
  wallets.set(id, provider);
  const button = buttons.querySelector("template").content.firstElementChild.cloneNode(true);
  if (name) button.textContent += `: ${name}`;
  button.addEventListener("click", () => pay(provider));
  buttons.append(button);
  show();
}

addEventListener("eip6963:announceProvider", ({ detail }) => {
  add(detail?.info?.uuid, String(detail?.info?.name ?? "").slice(0, 40), detail?.provider);
});
dispatchEvent(new Event("eip6963:requestProvider"));
// One that does not announce itself, after those that do had their turn.
const injected = () => { if (wallets.size === 0 && globalThis.ethereum) add("injected", "", globalThis.ethereum); };
setTimeout(injected, 200);
addEventListener("ethereum#initialized", injected, { once: true });
if (field) {
  // The network has said of what was sent that it is not it; or it was sent, and is still to be handed in.
  if (words.again && words.again.trim().toLowerCase() === kept()?.toLowerCase()) forget();
  if (!field.value) field.value = kept() ?? "";
} else {
  // What is asked for changes as the payment goes on.
  new MutationObserver(show).observe(document.getElementById("how"), { childList: true });
}
