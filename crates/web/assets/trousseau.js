// Trousseau for the page of a shop: starts a payment with a checkout key, watches it, and opens the hosted page.
// One file without dependencies; it talks to the server that it came from and to nobody else.
// <script src="https://pay.example.com/trousseau.js"></script> sets `Trousseau`; /trousseau.mjs is the same as a module,
// and /trousseau.d.ts has its types. What a page hears here is news, not proof: deliver by webhook or by your backend.
// @ts-check

/** @import { Checkout, Listener, Options, Payment, Status } from "./trousseau.d.ts" */

/** @type {typeof import("./trousseau.d.ts").Trousseau} */
var Trousseau = (() => {
  "use strict";

  /** How long an answer, or an open stream, is waited for, in milliseconds. */
  const PATIENCE = 10_000;
  /** The first and the longest pause between two looks at a payment whose stream does not come, in milliseconds. */
  const SOON = 1_000;
  const RARELY = 30_000;
  /** How often a request is sent where nothing or "later" came back. */
  const TRIES = 3;
  /** States after which nothing happens by itself. */
  const ENDS = ["settled", "cancelled", "refunded"];
  /** Paths of the hosted page, by the prefix of an id. */
  const PAGES = { plink: "payment-link", inv: "invoice", rec: "recurring-payment" };

  /** What went wrong, as a stable `code` and as advice for whoever builds the page. */
  class TrousseauError extends Error {
    /**
     * @param {string} code  That of the problem (`origin_not_allowed`), or one of this file (`popup_blocked`).
     * @param {string} title
     * @param {string} advice
     */
    constructor(code, title, advice) {
      super(`${title}: ${advice}`);
      this.name = "TrousseauError";
      this.code = code;
      /** What happened, in a few words. */
      this.title = title;
      /** What to do about it. */
      this.advice = advice;
      /** The HTTP status; 0 where there was no answer. */
      this.status = 0;
      /** Names the request in the log of the business. @type {string | undefined} */
      this.requestId = undefined;
      /** When to try again, in seconds. @type {number | undefined} */
      this.retryAfter = undefined;
      /** Which members are wrong, by JSON pointers. @type {{ pointer: string, detail: string }[]} */
      this.errors = [];
      /** Whether this is tried again without anybody's help. */
      this.retrying = false;
    }
  }

  /** The folder that this file was loaded from; a module learns it from its own address. */
  const script = typeof document === "undefined" ? null : /** @type {HTMLScriptElement | null} */ (document.currentScript);
  const home = script?.src ? new URL(".", script.src).href : "";

  /** @param {number} ms @param {AbortSignal} [signal] */
  const pause = (ms, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms);
      signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
    });

  /** A problem of the server (RFC 9457) as an error. @param {Response} answer @param {string} text */
  function problem(answer, text) {
    /** @type {any} */
    let body;
    try { body = JSON.parse(text); } catch { /* Not ours, then. */ }
    const { origin } = new URL(answer.url);
    const error = typeof body?.code === "string"
      ? new TrousseauError(body.code, body.title, body.detail ?? "")
      : answer.status >= 500
        ? new TrousseauError("unreachable", `${origin} answered ${answer.status}`, "Look whether the server behind the proxy is up.")
        : new TrousseauError("not_trousseau", `${origin} answered ${answer.status} and is not Trousseau`,
            "Give Trousseau({ url }) the address of your server.");
    error.status = answer.status;
    error.requestId = body?.request_id;
    error.errors = body?.errors ?? [];
    error.retryAfter = Number(answer.headers.get("retry-after")) || undefined;
    return error;
  }

  /**
   * One request, until its answer is read.
   * @param {URL | string} url @param {RequestInit} init
   */
  async function once(url, init) {
    const abort = new AbortController();
    const given = init.signal;
    if (given?.aborted) throw given.reason;
    const pass = () => abort.abort(given?.reason);
    given?.addEventListener("abort", pass, { once: true });
    const timer = setTimeout(() => abort.abort(), PATIENCE);
    try {
      // No cookies, nothing kept: these answers are for this page and this moment.
      const answer = await fetch(url, { ...init, signal: abort.signal, credentials: "omit", cache: "no-store" });
      const text = await answer.text();
      if (!answer.ok) throw problem(answer, text);
      try { return JSON.parse(text); } catch { throw problem(answer, ""); }
    } catch (error) {
      if (given?.aborted) throw given.reason;
      if (error instanceof TrousseauError) throw error;
      throw new TrousseauError("unreachable", `${new URL(url).origin} does not answer`,
        "Look whether the server is up, and whether the page's Content-Security-Policy has it in connect-src.");
    } finally {
      clearTimeout(timer);
      given?.removeEventListener("abort", pass);
    }
  }

  /** Whether the same request may go well later. @param {unknown} error */
  const passing = (error) =>
    error instanceof TrousseauError
    && (error.code === "unreachable" || error.code === "idempotency_in_progress" || error.status === 429 || error.status >= 500);

  /** A request that may be sent again, a few times. @param {URL | string} url @param {RequestInit} init */
  async function send(url, init) {
    for (let tries = 1; ; tries++) {
      try {
        return await once(url, init);
      } catch (error) {
        if (!passing(error) || tries === TRIES) throw error;
        const { retryAfter = 0 } = /** @type {TrousseauError} */ (error);
        // Whoever is told to come back much later is told so by the error.
        if (retryAfter * 1000 > PATIENCE) throw error;
        await pause(Math.max(retryAfter * 1000, SOON * tries), init.signal ?? undefined);
      }
    }
  }

  /** Looks at the text of a key before it goes anywhere. @param {string} key */
  function checkout(key) {
    if (/^[A-Za-z]{2,20}_(TEST|LIVE)_CHECKOUTKEY_[0-9A-Za-z]+$/.test(key ?? "")) return;
    const error = key
      ? new TrousseauError("secret_key_in_browser", "This is no checkout key",
          "Everybody who opens this page can read it. If it is a secret key, rotate it now; then use the key with CHECKOUTKEY in it.")
      : new TrousseauError("key_missing", "There is no key", "Give Trousseau({ key }) the checkout key of the business.");
    // Also where the error is caught: this must not go live unseen.
    console.error(error.message);
    throw error;
  }

  /** @param {Options} options */
  function Trousseau({ key, business, url = Trousseau.home }) {
    checkout(key);
    if (!business) {
      throw new TrousseauError("business_missing", "There is no business", "Give Trousseau({ business }) the id of the business.");
    }
    if (!url) {
      throw new TrousseauError("url_missing", "It is not known where Trousseau is", "Give Trousseau({ url }) the address of your server.");
    }
    const base = new URL(url, typeof location === "undefined" ? undefined : location.href);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    const headers = { apikey: key, businessid: business };
    /** @param {string} path @param {AbortSignal} [signal] */
    const get = (path, signal) => send(new URL(path, base), { headers, signal });
    /** @param {string} path @param {object} body @param {Record<string, string>} more @param {AbortSignal} [signal] */
    const post = (path, body, more, signal) =>
      send(new URL(path, base), {
        method: "POST", headers: { ...headers, ...more, "content-type": "application/json" }, body: JSON.stringify(body), signal,
      });

    /** The hosted page of something to pay, or of a payment. @param {string | Payment} target */
    function page(target) {
      if (typeof target === "object") return new URL(`${target.checkout_url}/${target.id}`);
      const kind = PAGES[/** @type {keyof typeof PAGES} */ (target.split("_")[0])];
      if (!kind) {
        throw new TrousseauError("payable_unknown", `${target} is nothing that can be paid`,
          "Give the id of a payment link (plink_), an invoice (inv_) or a recurring payment (rec_), or a started payment.");
      }
      return new URL(`pay/${kind}/${encodeURIComponent(target)}`, base);
    }

    return Object.freeze({
      /** Reads what is to be paid: a payment link, an invoice or a recurring payment. @type {Checkout["payable"]} */
      payable: (id, { signal } = {}) => get(`v1/checkout/payables/${encodeURIComponent(id)}`, signal),

      /**
       * Starts a payment. The price is the one of what is paid; nothing in the page changes it.
       * A request that got no answer is sent again and starts no second payment. With an `idempotencyKey` of your own,
       * that nobody can guess, the same payment is answered for 24 hours.
       * @type {Checkout["startPayment"]}
       */
      startPayment({ payable, network, idempotencyKey, signal }) {
        const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0"));
        return post("v1/checkout/payments", { payable, network }, { "idempotency-key": idempotencyKey ?? random().join("") }, signal);
      },

      /**
       * Hands in a transaction that the payer's wallet named: a hint to look sooner, and no proof.
       * @type {Checkout["handIn"]}
       */
      handIn: (payment, hash, { signal } = {}) =>
        post(`v1/checkout/payments/${encodeURIComponent(payment.id)}/transaction`, { transaction_hash: hash }, {}, signal),

      /**
       * Watches a payment until nothing more is to be expected. Lost connections, restarts of the server and proxies that
       * hold streams back are its own business: it comes back, and asks now and then where no stream gets through.
       * @type {Checkout["watch"]}
       */
      watch(payment, { onChange, onPaid, onEnd, onError, signal } = {}) {
        /** @type {EventSource | undefined} */
        let source;
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        let timer;
        let over = false, paid = false, seen = "", looks = 0;

        const stop = () => {
          over = true;
          source?.close();
          clearTimeout(timer);
          removeEventListener("online", glance);
          document.removeEventListener("visibilitychange", glance);
          signal?.removeEventListener("abort", stop);
        };
        /** @param {Status} status */
        const tell = (status) => {
          // Its clock alone is no news.
          const state = JSON.stringify({ ...status, now: "" });
          if (!over && state !== seen) { seen = state; onChange?.(status); }
          if (!over && status.paid && !paid) { paid = true; onPaid?.(status); }
          if (!over && ENDS.includes(status.status) && status.confirmations === null) { stop(); onEnd?.(status); }
        };
        const read = () => once(payment.status_url, { headers: { accept: "application/json" }, signal });

        // The stream. The browser comes back to it by itself, with the id of what it heard last; `look` takes over where
        // it was refused, or is not open in time.
        const listen = () => {
          if (typeof EventSource === "undefined") return void look();
          const mine = new EventSource(payment.events_url);
          const expect = () => { clearTimeout(timer); timer = setTimeout(look, PATIENCE); };
          source = mine;
          mine.onopen = () => { clearTimeout(timer); looks = 0; };
          mine.onerror = () => (mine.readyState === EventSource.CLOSED ? look() : expect());
          mine.addEventListener("state", (event) => { clearTimeout(timer); tell(JSON.parse(event.data)); });
          expect();
        };
        const look = async () => {
          source?.close();
          clearTimeout(timer);
          let wait = Math.min(RARELY, SOON * 2 ** looks++) * (0.75 + Math.random() / 2);
          try {
            tell(await read());
          } catch (error) {
            if (over || !(error instanceof TrousseauError)) return;
            if (!passing(error)) stop();
            error.retrying = !over;
            wait = Math.max(wait, (error.retryAfter ?? 0) * 1000);
            onError?.(error);
          }
          if (!over) timer = setTimeout(listen, wait);
        };
        // A page that slept, or was without network, looks at once. What goes wrong here the stream notices too.
        const glance = () => {
          if (document.visibilityState === "visible") read().then(tell, () => {});
        };

        if (signal?.aborted) return stop;
        signal?.addEventListener("abort", stop);
        addEventListener("online", glance);
        document.addEventListener("visibilitychange", glance);
        listen();
        return stop;
      },

      /**
       * Opens the hosted page in a window of its own, and says whether it was paid there. Call it in the handler of a
       * click. It is told only where the business allows this page's origin; `watch` hears of a started payment anyway.
       * `popup: false` leaves for the page in this window; `close: false` leaves the window open once it is paid.
       * @type {Checkout["open"]}
       */
      async open(target, { popup = true, close = true, signal } = {}) {
        const address = page(target);
        if (!popup) {
          location.assign(address);
          return new Promise(() => {});
        }
        address.searchParams.set("parentOrigin", location.origin);
        const opened = window.open(address, "_blank", "popup,width=480,height=800");
        if (!opened) {
          throw new TrousseauError("popup_blocked", "The browser let no window open",
            "Call open() in the handler of a click, before anything is awaited, or use { popup: false }.");
        }
        return new Promise((resolve, reject) => {
          const end = () => {
            clearInterval(every);
            removeEventListener("message", hear);
            signal?.removeEventListener("abort", giveUp);
          };
          const giveUp = () => { end(); opened.close(); reject(signal?.reason); };
          /** @param {MessageEvent} message */
          const hear = ({ source, origin, data }) => {
            // Any page can send a message: only this window counts, and only while our server's page is in it.
            if (source !== opened || origin !== address.origin || data?.isPaymentComplete !== true) return;
            end();
            if (close) opened.close();
            resolve({ paid: true, payable: data.paymentId, payer: data.walletAddress });
          };
          const every = setInterval(() => { if (opened.closed) { end(); resolve({ paid: false }); } }, 300);
          addEventListener("message", hear);
          signal?.addEventListener("abort", giveUp);
          if (signal?.aborted) giveUp();
        });
      },
    });
  }
  /** Where this file came from. */
  Trousseau.home = home;
  Trousseau.Error = TrousseauError;
  return Trousseau;
})();
