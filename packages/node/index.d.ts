import type { IncomingHttpHeaders } from 'node:http'

/** Who calls. */
export interface Caller {
  businessId: string
  environment: 'test' | 'live'
  kind: 'secret' | 'checkout'
  keyId: string
  scopes: string[]
  /** The notes kept beside the key. */
  metadata: Record<string, string>
  /** The notes kept beside the business. */
  businessMetadata: Record<string, string>
  /** The reference of the decision. */
  requestId: string
  /** The same, signed, where an audience was named. */
  assertion?: string
}

/** What a key must have. All of it adds up. */
export interface Demand {
  scope?: string | string[]
  environment?: 'test' | 'live'
  business?: string
  kind?: 'secret' | 'checkout'
  /** For whom to sign an assertion. */
  audience?: string
}

export interface Allowed {
  allowed: true
  caller: Caller
  /** How many milliseconds the decision may be kept. */
  freshMs: number
}

export interface Refused {
  allowed: false
  /** 400, 401, 403, 429 or 431; 503 where it could not be told. */
  status: number
  code: string
  requestId: string | undefined
  /** What the caller may be told. */
  headers: [name: string, value: string | string[]][]
  body: string
}

export type Decision = Allowed | Refused

/** What is judged. */
export interface AskedRequest {
  /** Node's `rawHeaders` is best: it keeps a header that was sent twice. */
  headers: Headers | string[] | IncomingHttpHeaders
  /** The address of the caller. */
  ip?: string
  /** How the caller came. */
  protocol?: 'http' | 'https' | (string & {})
  /** Path and query. */
  url?: string
}

export interface Options {
  /** Where Trousseau is. It must trust this service (`trusted_proxies`) to believe the caller's address. */
  url: string | URL
  /** How long a question may take; 2000 unless said. */
  timeoutMs?: number
  /** The most decisions that are kept for as long as Trousseau allows; 10000 unless said, 0 for none. */
  cacheEntries?: number
}

export class Trousseau {
  constructor(options: Options)
  authorize(request: AskedRequest, demand?: Demand): Promise<Decision>
  guard<Rest extends unknown[]>(
    handler: (request: Request, caller: Caller, ...rest: Rest) => Response | Promise<Response>,
    demand?: Demand,
    from?: { ip?: (request: Request, ...rest: Rest) => string; protocol?: (request: Request, ...rest: Rest) => string },
  ): (request: Request, ...rest: Rest) => Promise<Response>
  express(demand?: Demand): (request: any, response: any, next: (error?: unknown) => void) => Promise<void>
  fastify(demand?: Demand): (request: any, reply: any) => Promise<unknown>
  close(): void
}
