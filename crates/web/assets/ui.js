// The one script of the pages. Every page works without it.
const live = document.getElementById("live");
const say = (text) => { live.textContent = ""; requestAnimationFrame(() => { live.textContent = text; }); };

async function put(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // Plain HTTP: no clipboard, so a selection is copied. Behind a modal dialog nothing can be selected, and copying that says
  // that it went well.
  const area = document.createElement("textarea"), before = document.activeElement;
  area.value = text; area.className = "vh";
  (document.querySelector("dialog:modal") ?? document.body).append(area);
  area.focus({ preventScroll: true }); area.select();
  const held = document.activeElement === area && area.selectionStart === 0 && area.selectionEnd === area.value.length;
  const done = held && document.execCommand("copy");
  area.remove(); before?.focus({ preventScroll: true });
  if (!done) throw new Error("copy refused");
}
// Where copying failed, it is said beside the button too.
function failed(button) {
  const box = button.closest(".secret, .codebox, .menu-row") ?? button;
  if (!box.nextElementSibling?.matches(".copy-failed")) {
    const told = document.createElement("p");
    told.className = "field-error copy-failed"; told.textContent = button.dataset.failed;
    box.after(told);
  }
  say(button.dataset.failed);
}
function copied(button) {
  (button.closest(".secret, .codebox, .menu-row") ?? button).parentElement.querySelector(":scope > .copy-failed")?.remove();
  button.classList.add("copied");
  say(button.dataset.done);
  setTimeout(() => button.classList.remove("copied"), 2000);
}

// Copy buttons: <button data-copy="#id" data-done="…" data-failed="…">. A <data value> copies its value.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  try {
    await put(source.getAttribute("value") ?? source.textContent.trim());
    copied(button);
  } catch {
    getSelection().selectAllChildren(source);       // left selected, to copy by hand
    failed(button);
  }
});

// Forms that fetch a value to copy it: <form data-fetch-copy="value">. Without script they show it on a page.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-fetch-copy]");
  if (!form) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector("button");
  try {
    const answer = await fetch(form.action, {
      method: "POST", headers: { accept: "application/json" }, body: new URLSearchParams(new FormData(form)),
    });
    const told = await answer.json();
    if (told.step_up) { location.assign(told.step_up); return; }
    if (!answer.ok) throw new Error("refused");
    await put(told[form.dataset.fetchCopy]);
    copied(button);
  } catch {
    HTMLFormElement.prototype.submit.call(form);    // the page with the value, to copy by hand
  }
});

// A form that does once what it does is sent once: the answer to a second click would take the place of the first one's.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.elements.once) return;
  if (form.dataset.sent && performance.now() - form.dataset.sent < 5000) event.preventDefault();
  else form.dataset.sent = performance.now();
});
addEventListener("pageshow", () => { for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent; });

// Many filters fill a phone: there they open when they are asked for.
const few = matchMedia("(max-width: 40rem)");
for (const filters of document.querySelectorAll("details.filters")) {
  if (few.matches && ![...filters.querySelectorAll("input, select")].some((field) => field.value)) filters.open = false;
  // Turned sideways it has room for them, and no summary to open them by.
  few.addEventListener("change", () => { if (!few.matches) filters.open = true; });
}

// Menus are <details>: Escape and a click elsewhere close them.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});

// A value stands in a dialog. Without script that is open in the page; modal it can only become from closed.
const shown = document.querySelector("dialog[data-replace]");
if (shown) {
  // Reload and Back lead to a page without the value, and no form is sent twice.
  history.replaceState(null, "", shown.dataset.replace);
  shown.removeAttribute("open"); shown.showModal();
  if (!("once" in shown.dataset)) shown.addEventListener("close", () => location.assign(shown.dataset.replace));
  // The file is made here, of what the page shows: nothing is asked for again.
  shown.querySelector("[data-env-file]")?.addEventListener("click", (event) => {
    const lines = [...shown.querySelectorAll("[data-env]")].map((el) => `${el.dataset.env}="${el.textContent.trim()}"\n`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "text/plain" }));
    link.download = event.currentTarget.dataset.envFile; link.click();
    URL.revokeObjectURL(link.href);
  });
}
// Where it is shown once, closing needs the confirmation.
const once = document.querySelector("dialog[data-once]");
if (once) {
  const box = once.querySelector("[data-ack]"), close = once.querySelector("[data-close]");
  const sync = () => close.setAttribute("aria-disabled", String(!box.checked));
  box.addEventListener("change", sync); sync();
  // closedby="none" stands in the markup: a second Escape closes a dialog whatever its "cancel" handler does.
  once.addEventListener("cancel", (event) => event.preventDefault());
  once.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.preventDefault(); (box.checked ? close : box).focus(); }
  });
  addEventListener("beforeunload", (event) => { if (!box.checked) event.preventDefault(); });
  close.addEventListener("click", (event) => { if (!box.checked) { event.preventDefault(); box.focus(); } });
}

// A form with mistakes takes the reader to their summary.
document.querySelector("[data-focus]")?.focus();

// Parts of a form that only some choice needs: data-when="name=value value".
const choose = (form) => {
  for (const part of form.querySelectorAll("[data-when]")) {
    const [name, values] = part.dataset.when.split("=");
    const chosen = form.elements[name]?.value ?? "";
    part.hidden = !values.split(" ").includes(chosen);
  }
};
for (const form of document.querySelectorAll("form:has([data-when])")) {
  choose(form);
  form.addEventListener("change", () => choose(form));
}

// A choice that takes effect at once, such as the number of rows.
document.addEventListener("change", (event) => { if (event.target.matches("[data-submit]")) event.target.form.requestSubmit(); });

document.addEventListener("htmx:after:swap", () => { const told = document.querySelector("[data-count]"); if (told) say(told.textContent.trim()); });

// Passkeys: <button data-passkey="/path">. The path with /start tells what to ask; the path itself takes the answer.
for (const button of document.querySelectorAll("[data-passkey]")) {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) break;
  button.hidden = false;
  const form = button.closest("form"), told = form.querySelector("[data-passkey-error]");
  const send = async (path, more) => {
    const body = new URLSearchParams(new FormData(form));
    body.delete("password");
    for (const [name, value] of Object.entries(more)) body.set(name, value);
    const answer = await fetch(path, { method: "POST", headers: { accept: "application/json" }, body });
    const json = await answer.json();
    if (json.step_up) { location.assign(json.step_up); return new Promise(() => {}); }
    if (!answer.ok) throw new Error(json.error ?? json.title ?? button.dataset.failed);
    return json;
  };
  button.addEventListener("click", async () => {
    told.hidden = true;
    try {
      const { handle, options } = await send(`${button.dataset.passkey}/start`, {});
      const credential = button.hasAttribute("data-create")
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey) });
      const { to } = await send(button.dataset.passkey, { handle, answer: JSON.stringify(credential.toJSON()) });
      location.assign(to);
    } catch (error) {
      told.textContent = error instanceof DOMException ? button.dataset.failed : error.message;
      told.hidden = false;
    }
  });
}

// A payment's page: what the server tells of is fetched as a page, and its parts take the place of the old ones.
const watched = document.querySelector("[data-watch]");
if (watched) {
  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms * (0.75 + Math.random() / 2)); });
  const RETRY = 1000, RETRY_AT_MOST = 30000, LISTEN_AGAIN = 15000, LEAVING = 5000;
  // What the page shows, and what was told last: states go by the ids of their events.
  let newest = watched.dataset.state, looking = false, source;

  // One fetch after the other, until the page shows what was told last: no news is lost, and none is undone.
  const look = async () => {
    if (looking) return;
    looking = true;
    for (let tries = 0; newest !== watched.dataset.state;) {
      const asked = newest;
      try {
        // At the address of an invoice another page may stand by now.
        const page = watched.dataset.watch.replace(/\/events$/, "") + location.search;
        const answer = await fetch(page, { headers: { accept: "text/html" } });
        if (!answer.ok) throw new Error(answer.statusText);
        show(new DOMParser().parseFromString(await answer.text(), "text/html"));
        // What was fetched is not older than what was told, under whichever name.
        if (newest === asked) newest = watched.dataset.state;
        tries = 0;
      } catch { await pause(Math.min(RETRY_AT_MOST, RETRY * 2 ** tries++)); }
    }
    looking = false;
    if ("over" in watched.dataset) source?.close();
  };
  const show = (fresh) => {
    document.title = fresh.title;
    for (const part of fresh.querySelectorAll("[data-live]")) {
      document.getElementById(part.id)?.replaceChildren(...part.childNodes);
    }
    Object.assign(document.getElementById("main").dataset, fresh.getElementById("main").dataset);
    Object.assign(watched.dataset, fresh.querySelector("[data-watch]").dataset);
    settle();
  };
  const listen = () => {
    if ("over" in watched.dataset) return;
    const mine = source = new EventSource(watched.dataset.watch);
    mine.addEventListener("state", ({ lastEventId }) => { newest = lastEventId; look(); });
    // The browser comes back by itself, but not where it was refused.
    mine.addEventListener("error", async () => {
      if (mine.readyState !== EventSource.CLOSED) return;
      await pause(LISTEN_AGAIN);
      if (mine === source) listen();
    });
  };
  addEventListener("pagehide", () => { source?.close(); source = undefined; });
  addEventListener("pageshow", ({ persisted }) => { if (persisted) listen(); });

  // Time left: from the server's two instants and a clock that only counts up, never from the payer's own.
  let every;
  const count = () => {
    clearInterval(every);
    const timer = document.querySelector("[role=timer]");
    if (!timer) return;
    const total = (Date.parse(timer.dataset.until) - Date.parse(timer.dataset.now)) / 1000, start = performance.now();
    let last = Infinity;
    const tick = () => {
      const left = Math.max(0, Math.ceil(total - (performance.now() - start) / 1000));
      timer.querySelector("b").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
      for (const [at, text] of [[300, timer.dataset.m5], [60, timer.dataset.m1]]) if (left <= at && last > at && left) say(text);
      last = left;
      if (left === 0) clearInterval(every);
    };
    timer.hidden = false;
    every = setInterval(tick, 1000); tick();
  };

  // The shop that opened the page hears of it once, where the business lists its origin. It may close this window then, and a
  // window that is just going to another page outlives that: the next page tells it.
  let told = false, left = -Infinity;
  addEventListener("beforeunload", () => { left = performance.now(); });
  const tellOpener = () => {
    const { tell, payment, payer } = document.getElementById("main").dataset;
    if (!tell || !window.opener || told) return;
    const wait = left + LEAVING - performance.now();
    if (wait > 0) return void setTimeout(tellOpener, wait);
    told = true;
    window.opener.postMessage({ isPaymentComplete: true, walletAddress: payer, paymentId: payment }, tell);
  };
  const settle = () => {
    count();
    for (const button of document.querySelectorAll("[data-print]")) button.hidden = false;
    tellOpener();
  };
  settle();
  listen();
  document.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) print(); });
}
