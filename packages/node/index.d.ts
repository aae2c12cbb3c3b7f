/** Who calls. It is frozen: several requests may be given the same. */
export interface Caller {
  readonly businessId: string
  readonly environment: 'test' | 'live'
  readonly kind: 'secret' | 'checkout'
  readonly keyId: string
  readonly scopes: readonly string[]
  /** The notes kept beside the key. */
  readonly metadata: Readonly<Record<string, string>>
  /** The notes kept beside the business. */
  readonly businessMetadata: Readonly<Record<string, string>>
  /** The reference of the decision; absent where something in between has taken it away. */
  readonly requestId: string | undefined
  /** The same, signed, where an audience was named. */
  readonly assertion?: string
}

/**
 * What a key must have. All of it adds up. A member that is `undefined` counts as absent; another name, an empty value or
 * one that is not of its type throws `TypeError`.
 */
export interface Demand {
  /** One, several with blanks between, or an array that is not empty. */
  scope?: string | readonly string[]
  environment?: 'test' | 'live'
  business?: string
  kind?: 'secret' | 'checkout'
  /** For whom to sign an assertion. Nobody passes without one then. */
  audience?: string
}

export interface Allowed {
  allowed: true
  caller: Caller
  /** How many milliseconds the decision may still be kept. */
  freshMs: number
}

/** Frozen as well. */
export interface Refused {
  readonly allowed: false
  /** 400, 401, 403, 429 or 431; 503 where it could not be told. */
  readonly status: number
  readonly code: string
  readonly requestId: string | undefined
  /** What the caller may be told. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

export type Decision = Allowed | Refused

/** What is judged. */
export interface AskedRequest {
  /**
   * Of Node's requests `rawHeaders` or `headersDistinct`. Their `headers` is none of these types: the second of two
   * `Authorization` lines is dropped there, and a request with two credentials, which is refused, looks like a good one.
   */
  headers: Headers | readonly string[] | { [name: string]: string | readonly string[] } | { [name: string]: string[] | undefined }
  /** The address of the caller. */
  ip?: string
  /** How the caller came. */
  protocol?: 'http' | 'https' | (string & {})
  /** Path and query. */
  url?: string
}

export interface Options {
  /**
   * Where Trousseau is: scheme, host and port with nothing else. It must trust this service (`trusted_proxies`) to believe
   * the caller's address.
   */
  url: string | URL
  /** Lets keys go in the clear to another machine, for networks that are encrypted below. To this machine they always may. */
  allowPlainHttp?: boolean
  /** How long an answer may take, waiting included: a whole number from 1; 2000 unless said. */
  timeoutMs?: number
  /** The most decisions that are kept for as long as Trousseau allows; 10000 unless said, 0 for none. */
  cacheEntries?: number
}

export class Trousseau {
  constructor(options: Options)
  /** The request keeps the `X-Trousseau-*` headers that its caller wrote: do not pass them on. */
  authorize(request: AskedRequest, demand?: Demand): Promise<Decision>
  /** The `Request` cannot be changed, so it keeps the `X-Trousseau-*` headers that its caller wrote: do not pass them on. */
  guard<Rest extends unknown[]>(
    handler: (request: Request, caller: Caller, ...rest: Rest) => Response | Promise<Response>,
    demand?: Demand,
    from?: { ip?: (request: Request, ...rest: Rest) => string; protocol?: (request: Request, ...rest: Rest) => string },
  ): (request: Request, ...rest: Rest) => Promise<Response>
  /** `X-Trousseau-*` headers that the caller wrote are gone behind it. */
  express(demand?: Demand): (request: any, response: any, next: (error?: unknown) => void) => Promise<void>
  /** `X-Trousseau-*` headers that the caller wrote are gone behind it. */
  fastify(demand?: Demand): (request: any, reply: any) => Promise<unknown>
  close(): void
}
