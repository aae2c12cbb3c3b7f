// Asks a Trousseau installation whether the key in a request is good. Nothing is judged here: the headers go to
// /v1/authorize, and what it says is what holds. Where it cannot be asked, the request is refused.
import { createHash } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'

/** The headers that the decision looks at. */
const ASKED = new Set(['authorization', 'apikey', 'x-api-key', 'businessid', 'origin', 'sec-fetch-site', 'user-agent'])
/** The headers of a refusal that its caller may see. */
const TOLD = ['content-type', 'content-language', 'www-authenticate', 'retry-after', 'x-request-id', 'x-trousseau-code']
const DEMANDS = ['environment', 'business', 'kind', 'audience']
/** No refusal is longer. */
const MOST_BYTES = 64 * 1024
/** Notes and assertions are long: the longest there are make some 80 KiB of headers. */
const MOST_HEADERS = 128 * 1024

export class Trousseau {
  #ask
  #agent
  #base
  #timeoutMs
  #most
  #kept = new Map()

  constructor({ url, timeoutMs = 2_000, cacheEntries = 10_000 } = {}) {
    this.#base = new URL(url)
    if (!['http:', 'https:'].includes(this.#base.protocol)) throw new TypeError('url must be http or https')
    const wire = this.#base.protocol === 'https:' ? https : http
    this.#ask = wire.request
    this.#agent = new wire.Agent({ keepAlive: true, maxSockets: 64 })
    this.#timeoutMs = timeoutMs
    this.#most = cacheEntries
  }

  /** Lets kept connections go. */
  close() {
    this.#agent.destroy()
    this.#kept.clear()
  }

  /** Whether the key in `request` is good for what is demanded. Never throws for what a caller sent. */
  async authorize({ headers, ip, protocol, url }, demand = {}) {
    const lines = [...linesOf(headers)].filter(([name]) => ASKED.has(name))
    // Without it this service's own address would be judged, from which every key that is bound to it is good.
    lines.push(['x-forwarded-for', ip ?? 'unknown'])
    if (protocol) lines.push(['x-forwarded-proto', protocol])
    if (url) lines.push(['x-forwarded-uri', url])
    const target = new URL('/v1/authorize', this.#base)
    target.searchParams.set('statuses', 'all')
    for (const scope of [demand.scope ?? []].flat()) target.searchParams.append('scope', scope)
    for (const name of DEMANDS) if (demand[name] !== undefined) target.searchParams.set(name, demand[name])

    const name = createHash('sha256').update(JSON.stringify([target.search, lines])).digest('base64')
    const kept = this.#kept.get(name)
    if (kept && performance.now() < kept.until) return kept.decision
    this.#kept.delete(name)
    // Counted from before the question: the answer was true at some moment after it.
    const asked = performance.now()
    const decision = await this.#send(target, lines).catch(() => unavailable())
    const freshMs = decision.allowed ? decision.freshMs : 0
    if (freshMs > 0 && this.#most > 0) {
      // An assertion is for one request.
      if (demand.audience === undefined) this.#keep(name, { decision, until: asked + freshMs })
    }
    return decision
  }

  /** A handler of `fetch` requests behind the decision; it gets the caller as its second argument. */
  guard(handler, demand = {}, { ip, protocol } = {}) {
    return async (request, ...rest) => {
      const { pathname, search, protocol: scheme } = new URL(request.url)
      const asked = {
        headers: request.headers,
        ip: ip?.(request, ...rest),
        protocol: protocol?.(request, ...rest) ?? scheme.slice(0, -1),
        url: pathname + search,
      }
      const decision = await this.authorize(asked, demand)
      if (decision.allowed) return handler(request, decision.caller, ...rest)
      return new Response(decision.body, { status: decision.status, headers: decision.headers })
    }
  }

  /** A middleware of Express; the caller is in `request.trousseau`. Express's `trust proxy` says who called. */
  express(demand = {}) {
    return async (request, response, next) => {
      const { ip, protocol, originalUrl: url } = request
      const decision = await this.authorize({ headers: request.rawHeaders, ip, protocol, url }, demand)
      if (decision.allowed) {
        request.trousseau = decision.caller
        return next()
      }
      for (const [name, value] of decision.headers) response.append(name, value)
      response.status(decision.status).end(decision.body)
    }
  }

  /** A hook of Fastify, for `onRequest`; the caller is in `request.trousseau`. Its `trustProxy` says who called. */
  fastify(demand = {}) {
    return async (request, reply) => {
      const { ip, protocol, originalUrl: url } = request
      const decision = await this.authorize({ headers: request.raw.rawHeaders, ip, protocol, url }, demand)
      if (decision.allowed) {
        request.trousseau = decision.caller
        return
      }
      for (const [name, value] of decision.headers) reply.header(name, value)
      // As bytes: to a text Fastify would add a charset.
      return reply.code(decision.status).send(Buffer.from(decision.body))
    }
  }

  #keep(name, entry) {
    if (this.#kept.size >= this.#most) this.#kept.delete(this.#kept.keys().next().value)
    this.#kept.set(name, entry)
  }

  #send(target, lines) {
    return new Promise((resolve, reject) => {
      const headers = ['host', target.host, ...lines.flat()]
      const signal = AbortSignal.timeout(this.#timeoutMs)
      const request = this.#ask(target, { headers, agent: this.#agent, setHost: false, signal, maxHeaderSize: MOST_HEADERS })
      request.once('error', reject)
      request.once('response', (response) => {
        const chunks = []
        let size = 0
        response.once('error', reject)
        response.on('data', (chunk) => {
          size += chunk.length
          if (size > MOST_BYTES) return request.destroy(new Error('the answer is too long'))
          chunks.push(chunk)
        })
        response.once('end', () => resolve(read(response, Buffer.concat(chunks).toString())))
      })
      request.end()
    })
  }
}

/** Header lines with names in small letters: of `Headers`, of Node's `rawHeaders`, or of an object. */
function* linesOf(headers) {
  if (Array.isArray(headers)) {
    for (let index = 0; index + 1 < headers.length; index += 2) yield [headers[index].toLowerCase(), headers[index + 1]]
  } else {
    const entries = typeof headers.entries === 'function' ? headers.entries() : Object.entries(headers)
    for (const [name, values] of entries) {
      for (const value of [values].flat()) if (value !== undefined) yield [name.toLowerCase(), value]
    }
  }
}

function read({ statusCode: status, headers }, body) {
  if (status === 200) {
    const text = (name) => headers[`x-trousseau-${name}`]
    const caller = {
      businessId: text('business'),
      environment: text('environment'),
      kind: text('kind'),
      keyId: text('key'),
      scopes: (text('scopes') ?? '').split(' ').filter(Boolean),
      metadata: JSON.parse(text('metadata') ?? '{}'),
      businessMetadata: JSON.parse(text('business-metadata') ?? '{}'),
      requestId: headers['x-request-id'],
      ...(text('assertion') ? { assertion: text('assertion') } : {}),
    }
    // An answer that does not say whose key it is is no answer.
    if (!caller.businessId || !caller.keyId) return unavailable()
    return { allowed: true, caller, freshMs: Number(text('fresh-ms') ?? 0) || 0 }
  }
  if (status < 400 || status >= 500 || !headers['x-trousseau-code']) return unavailable()
  const told = TOLD.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]))
  return { allowed: false, status, code: headers['x-trousseau-code'], requestId: headers['x-request-id'], headers: told, body }
}

/** It cannot be told whether the key is good, so it is not. */
function unavailable() {
  const body = JSON.stringify({ type: 'about:blank', title: 'The key cannot be checked at the moment', status: 503, code: 'unavailable' })
  const headers = [['content-type', 'application/problem+json'], ['retry-after', '1']]
  return { allowed: false, status: 503, code: 'unavailable', requestId: undefined, headers, body }
}
