// The types of /trousseau.js and /trousseau.mjs. Amounts are decimal texts, instants are RFC 3339 in UTC.

/** What is to be paid, as its payer may see it. */
export interface Payable {
  type: "payment_link" | "invoice" | "recurring_payment";
  id: string;
  environment: "test" | "live";
  business_name: string;
  title: string | null;
  description: string | null;
  amount: string;
  currency: string;
  payable: boolean;
  reason: "inactive" | "paid" | "processing" | "void" | "suspended" | "too_many_waiting" | null;
  invoice_number: number | null;
  due_at: string | null;
  networks: string[];
  url: string;
}

/** How a payment stands. */
export interface Status {
  id: string;
  environment: "test" | "live";
  status:
    | "open" | "processing" | "settled" | "expired" | "cancelled" | "needs_review" | "reversed" | "partially_refunded"
    | "refunded";
  exception: "none" | "partial" | "underpaid" | "overpaid" | "late" | "multiple" | "manual";
  paid: boolean;
  amount: string;
  amount_remaining: string;
  currency: string;
  network: string;
  address: string;
  confirmations: number | null;
  confirmations_needed: number | null;
  wrong_token: boolean;
  network_delayed: boolean;
  transaction_hash: string | null;
  expires_at: string | null;
  now: string;
}

/** A payment that was started. It is plain JSON. */
export interface Payment extends Status {
  status_url: string;
  events_url: string;
  checkout_url: string;
}

/** What went wrong. */
export interface TrousseauError extends Error {
  /**
   * The code of the problem, such as `origin_not_allowed`, or `secret_key_in_browser`, `key_missing`, `business_missing`,
   * `url_missing`, `payable_unknown`, `popup_blocked`, `unreachable`, `not_trousseau`.
   */
  code: string;
  /** What happened, in a few words. */
  title: string;
  /** What to do about it. */
  advice: string;
  /** The HTTP status; 0 where there was no answer. */
  status: number;
  /** Names the request in the log of the business. */
  requestId: string | undefined;
  /** When to try again, in seconds. */
  retryAfter: number | undefined;
  /** Which members are wrong, by JSON pointers. */
  errors: { pointer: string; detail: string }[];
  /** Whether this is tried again without anybody's help. */
  retrying: boolean;
}

export interface Listener {
  /** How it stands: at once, and whenever that changes. */
  onChange?(status: Status): void;
  /** It is paid. Once. */
  onPaid?(status: Status): void;
  /** Nothing more is to be expected. Once, and the last call. */
  onEnd?(status: Status): void;
  /** `error.retrying` says whether watching goes on by itself. */
  onError?(error: TrousseauError): void;
  /** Ends the watching. */
  signal?: AbortSignal;
}

export interface Checkout {
  /** Reads what is to be paid. */
  payable(id: string, how?: { signal?: AbortSignal }): Promise<Payable>;
  /** Starts a payment. The price is the one of what is paid. */
  startPayment(what: {
    /** The id of a payment link, an invoice or a recurring payment. */
    payable: string;
    /** The network, by its CAIP-2 id or short name (`base`); the first one unless given. */
    network?: string;
    /** A text that nobody can guess: with it the same payment is answered for 24 hours. */
    idempotencyKey?: string;
    signal?: AbortSignal;
  }): Promise<Payment>;
  /** Hands in a transaction that the payer's wallet named: a hint, and no proof. */
  handIn(payment: { id: string }, hash: string, how?: { signal?: AbortSignal }): Promise<Status>;
  /** Watches a payment until nothing more is to be expected. The answer ends the watching. */
  watch(payment: Payment, listener?: Listener): () => void;
  /** Opens the hosted page, and says whether it was paid there. */
  open(
    /** An id of what is to be paid, or a started payment. */
    target: string | Payment,
    how?: {
      /** `false` leaves for the page in this window. */
      popup?: boolean;
      /** `false` leaves the window open once it is paid. */
      close?: boolean;
      signal?: AbortSignal;
    },
  ): Promise<{ paid: boolean; payable?: string; payer?: string }>;
}

export interface Options {
  /** The checkout key of the business. A secret key is refused. */
  key: string;
  /** The id of the business. */
  business: string;
  /** Where Trousseau is: where the file came from unless given. */
  url?: string | URL;
}

export declare const Trousseau: {
  (options: Options): Readonly<Checkout>;
  /** Where the file came from. */
  home: string;
  /** The class of every error. */
  Error: new (code: string, title: string, advice: string) => TrousseauError;
};
export default Trousseau;
