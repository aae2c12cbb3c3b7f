// Asks a Trousseau installation whether the key in a request is good. Nothing is judged here: the headers go to
// /v1/authorize, and what it says is what holds. Where it cannot be asked, the request is refused.
import { createHash } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'

/** The headers that the decision looks at. */
const ASKED = new Set(['authorization', 'apikey', 'x-api-key', 'businessid', 'origin', 'sec-fetch-site', 'user-agent'])
/** The headers of a refusal that its caller may see. */
const TOLD = [
  'content-type', 'content-language', 'www-authenticate', 'retry-after', 'ratelimit', 'ratelimit-policy', 'x-request-id',
  'x-trousseau-code',
]
/** Visible ASCII without a comma, which parts words on the wire. */
const WORD = /^[!-+\--~]{1,255}$/
const ENVIRONMENT = /^(test|live)$/
const KIND = /^(secret|checkout)$/
/** What can be demanded, how it is written, and how that is told. */
const DEMANDS = {
  scope: [/^[ ,]*[!-+\--~][ -~]*$/, 'a scope, several with blanks between, or a non-empty array of them'],
  environment: [ENVIRONMENT, "'test' or 'live'"],
  business: [WORD, 'the id of a business'],
  kind: [KIND, "'secret' or 'checkout'"],
  audience: [/^[!-~]{1,255}$/, '1 to 255 visible ASCII characters'],
}
/** This machine, as `URL` writes it: 127.0.0.0/8 also within IPv6. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\])$/
/** No refusal is longer. */
const MOST_BYTES = 64 * 1024
/** Notes and assertions are long: the longest there are make some 80 KiB of headers. */
const MOST_HEADERS = 128 * 1024
/** For how long a connection that nobody uses is kept. Trousseau closes it after 10 s, perhaps in the moment in which it is used. */
const IDLE_MS = 5_000
/** The longest that a timer of Node waits; a longer one would end at once. */
const MOST_MS = 2 ** 31 - 1

export class Trousseau {
  #ask
  #agent
  #base
  #timeoutMs
  #most
  #kept = new Map()
  #flights = new Map()

  constructor({ url, timeoutMs = 2_000, cacheEntries = 10_000, allowPlainHttp = false } = {}) {
    this.#base = new URL(url)
    const { protocol, hostname, origin, href } = this.#base
    if (!['http:', 'https:'].includes(protocol)) throw new TypeError('url must be http or https')
    // It may hold a password, so it is not told.
    if (href !== `${origin}/`) throw new TypeError('url must be scheme, host and port with nothing else')
    if (protocol === 'http:' && !allowPlainHttp && !LOOPBACK.test(hostname)) {
      throw new TypeError('keys go to another machine by https only, unless allowPlainHttp says otherwise')
    }
    if (!(Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= MOST_MS)) {
      throw new TypeError(`timeoutMs must be a whole number from 1 to ${MOST_MS}`)
    }
    if (!(Number.isInteger(cacheEntries) && cacheEntries >= 0)) throw new TypeError('cacheEntries must be a whole number, 0 for none')
    const wire = this.#base.protocol === 'https:' ? https : http
    this.#ask = wire.request
    this.#agent = new wire.Agent({ keepAlive: true, maxSockets: 64, timeout: IDLE_MS })
    this.#timeoutMs = timeoutMs
    this.#most = cacheEntries
  }

  /** Lets kept connections go. */
  close() {
    this.#agent.destroy()
    this.#kept.clear()
  }

  /** Whether the key in `request` is good for what is demanded. Never throws for what a caller sent. */
  async authorize(request, demand = {}) {
    return this.#decide(request, queryOf(demand))
  }

  /** A handler of `fetch` requests behind the decision; it gets the caller as its second argument. */
  guard(handler, demand = {}, { ip, protocol } = {}) {
    const query = queryOf(demand)
    return async (request, ...rest) => {
      const { pathname, search, protocol: scheme } = new URL(request.url)
      const asked = {
        headers: request.headers,
        ip: ip?.(request, ...rest),
        protocol: protocol?.(request, ...rest) ?? scheme.slice(0, -1),
        url: pathname + search,
      }
      const decision = await this.#decide(asked, query)
      if (decision.allowed) return handler(request, decision.caller, ...rest)
      return new Response(decision.body, { status: decision.status, headers: decision.headers })
    }
  }

  /** A middleware of Express; the caller is in `request.trousseau`. Express's `trust proxy` says who called. */
  express(demand = {}) {
    const query = queryOf(demand)
    return async (request, response, next) => {
      try {
        const { ip, protocol, originalUrl: url } = request
        const decision = await this.#decide({ headers: request.rawHeaders, ip, protocol, url }, query)
        if (!decision.allowed) {
          for (const [name, value] of decision.headers) response.setHeader(name, value)
          response.status(decision.status).end(decision.body)
          return
        }
        strip(request)
        request.trousseau = decision.caller
      } catch (error) {
        // Express 4 does not look at what a promise throws.
        return next(error)
      }
      return next()
    }
  }

  /** A hook of Fastify, for `onRequest`; the caller is in `request.trousseau`. Its `trustProxy` says who called. */
  fastify(demand = {}) {
    const query = queryOf(demand)
    return async (request, reply) => {
      const { ip, protocol, originalUrl: url } = request
      const decision = await this.#decide({ headers: request.raw.rawHeaders, ip, protocol, url }, query)
      if (decision.allowed) {
        strip(request.raw)
        request.trousseau = decision.caller
        return
      }
      for (const [name, value] of decision.headers) reply.header(name, value)
      // As bytes: to a text Fastify would add a charset.
      return reply.code(decision.status).send(Buffer.from(decision.body))
    }
  }

  async #decide({ headers, ip, protocol, url }, query) {
    const lines = [...linesOf(headers)].filter(([name]) => ASKED.has(name))
    // Without it this service's own address would be judged, from which every key that is bound to it is good.
    lines.push(['x-forwarded-for', ip ?? 'unknown'])
    if (protocol) lines.push(['x-forwarded-proto', protocol])
    if (url) lines.push(['x-forwarded-uri', url])
    const target = new URL(`/v1/authorize?${query}`, this.#base)
    // An assertion is for one request, and nobody passes without the one that is asked for.
    if (query.has('audience')) {
      const heard = await this.#question(target, lines)
      return heard.decision.caller && !heard.decision.caller.assertion ? unavailable() : tell(heard)
    }
    const name = createHash('sha256').update(JSON.stringify([target.search, lines])).digest('base64')
    const asking = async () => {
      const heard = await this.#question(target, lines)
      this.#keep(name, heard)
      return heard
    }
    return tell(this.#look(name) ?? (await this.#inTime(this.#together(name, asking))))
  }

  /** One question at a time for everybody who asks the same. */
  async #together(name, asking) {
    const flight = this.#flights.get(name)
    if (!flight) return this.#depart(name, asking)
    if (flight.next) {
      const heard = await flight.next
      // Each use of a key that has limits is asked for.
      return heard.isCounted ? asking() : heard
    }
    // The answer on its way may be older than this question. All who come until the next is sent share that one.
    flight.next = flight.landed.then(() => {
      this.#flights.delete(name)
      return this.#look(name) ?? this.#depart(name, asking)
    })
    return flight.next
  }

  #depart(name, asking) {
    const flight = { next: undefined }
    this.#flights.set(name, flight)
    flight.landed = asking().finally(() => {
      if (!flight.next) this.#flights.delete(name)
    })
    return flight.landed
  }

  /** What is heard within the time that a caller waits, for others too. */
  #inTime(answer) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, this.#timeoutMs, { decision: unavailable() })
      answer.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }

  #look(name) {
    const heard = this.#kept.get(name)
    if (heard && left(heard) > 0) return heard
    this.#kept.delete(name)
    return undefined
  }

  #keep(name, heard) {
    if (heard.isCounted || this.#most <= 0 || left(heard) <= 0) return
    this.#kept.delete(name)
    if (this.#kept.size >= this.#most) this.#kept.delete(this.#kept.keys().next().value)
    this.#kept.set(name, heard)
  }

  async #question(target, lines) {
    // Counted from before the question: the answer was true at some moment after it.
    const asked = moment()
    const heard = await this.#send(target, lines).then(read).catch(() => ({ decision: unavailable() }))
    return { ...heard, asked }
  }

  async #send(target, lines) {
    const signal = AbortSignal.timeout(this.#timeoutMs)
    try {
      return await this.#sendBy(this.#agent, target, lines, signal)
    } catch (error) {
      // The other end let a kept connection go while this was on its way there (RFC 9112, section 9.3.1).
      if (error !== LET_GO) throw error
      return this.#sendBy(false, target, lines, signal)
    }
  }

  #sendBy(agent, target, lines, signal) {
    return new Promise((resolve, reject) => {
      const headers = ['host', target.host, ...lines.flat()]
      const request = this.#ask(target, { headers, agent, setHost: false, signal, maxHeaderSize: MOST_HEADERS })
      request.once('error', (error) => reject(request.reusedSocket && CLOSED.has(error.code) ? LET_GO : error))
      // Where another protocol is answered (101) there is neither a response nor an error.
      request.once('close', () => reject(new Error('there is no answer')))
      request.once('response', (response) => {
        const chunks = []
        let size = 0
        response.once('error', reject)
        response.on('data', (chunk) => {
          size += chunk.length
          if (size > MOST_BYTES) return request.destroy(new Error('the answer is too long'))
          chunks.push(chunk)
        })
        response.once('end', () => resolve({ response, body: Buffer.concat(chunks).toString() }))
      })
      request.end()
    })
  }
}

/** How it shows that the other end has closed a connection. */
const CLOSED = new Set(['ECONNRESET', 'EPIPE'])
const LET_GO = new Error('a kept connection was closed')

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

/** The query of a demand. What is misspelt or empty is this program's own mistake, and would be told to each of its callers. */
function queryOf(demand) {
  const query = new URLSearchParams({ statuses: 'all' })
  if (!isObject(demand)) throw new TypeError('a demand is an object')
  for (const name in demand) {
    const value = demand[name]
    if (value === undefined) continue
    if (!Object.hasOwn(DEMANDS, name)) {
      throw new TypeError(`nothing can be demanded by the name ${name}; known: ${Object.keys(DEMANDS).join(', ')}`)
    }
    const [form, what] = DEMANDS[name]
    const texts = name === 'scope' && Array.isArray(value) ? [...value] : [value]
    const good = texts.length > 0 && texts.every((text) => typeof text === 'string' && form.test(text))
    if (!good) throw new TypeError(`${name} of a demand must be ${what}`)
    for (const text of texts) query.append(name, text)
  }
  return query
}

function isObject(value) {
  return Object.prototype.toString.call(value) === '[object Object]'
}

/** Takes away what only Trousseau may say: a handler that passes headers on would pass a caller's own word on. */
function strip({ headers, headersDistinct = {}, rawHeaders }) {
  // Some servers take an underscore for a hyphen.
  const isOurs = (name) => name.toLowerCase().replaceAll('_', '-').startsWith('x-trousseau-')
  for (const known of [headers, headersDistinct]) for (const name of Object.keys(known).filter(isOurs)) delete known[name]
  // Node makes both out of these lines, by a count of its own: so the lines go last.
  for (let index = rawHeaders.length - 2; index >= 0; index -= 2) if (isOurs(rawHeaders[index])) rawHeaders.splice(index, 2)
}

/** What an answer says. Throws where it is not as Trousseau writes it. */
function read({ response: { statusCode: status, headers, headersDistinct }, body }) {
  const one = (name, otherwise) => {
    const [value = otherwise, ...more] = headersDistinct[name] ?? []
    // Nobody knows which of them counts.
    if (more.length > 0) throw new Error(`${name} is there twice`)
    return value
  }
  const text = (name, otherwise) => one(`x-trousseau-${name}`, otherwise)
  const word = (name, form) => {
    const value = text(name, '')
    if (!form.test(value)) throw new Error('it does not say whose key it is')
    return value
  }
  const isCounted = headers.ratelimit !== undefined
  const requestId = one('x-request-id')
  if (status === 200) {
    const assertion = text('assertion')
    const caller = {
      businessId: word('business', WORD),
      environment: word('environment', ENVIRONMENT),
      kind: word('kind', KIND),
      keyId: word('key', WORD),
      scopes: text('scopes', '').split(' ').filter(Boolean),
      metadata: notesOf(text('metadata', '{}')),
      businessMetadata: notesOf(text('business-metadata', '{}')),
      requestId,
      ...(assertion ? { assertion } : {}),
    }
    const fresh = text('fresh-ms', '')
    return { decision: frozen({ allowed: true, caller }), isCounted, freshMs: /^\d{1,9}$/.test(fresh) ? Number(fresh) : 0 }
  }
  const code = text('code')
  const isProblem = /^application\/problem\+json *(;|$)/i.test(one('content-type', ''))
  if (status < 400 || status >= 500 || !code || !isProblem) throw new Error('it is no refusal')
  const told = TOLD.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]))
  return { decision: frozen({ allowed: false, status, code, requestId, headers: told, body }), isCounted }
}

function notesOf(json) {
  const notes = JSON.parse(json)
  if (!isObject(notes) || !Object.values(notes).every((note) => typeof note === 'string')) throw new Error('these are no notes')
  return notes
}

/** The same, all of it unchangeable: several may be given it. */
function frozen(value) {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(frozen)
  return Object.freeze(value)
}

/** What is given to one who asked. */
function tell(heard) {
  return heard.decision.allowed ? { ...heard.decision, freshMs: left(heard) } : heard.decision
}

/** Now, by two clocks: one may stand still while the machine sleeps, and the other is set by people. */
function moment() {
  return { steady: performance.now(), wall: Date.now() }
}

/** For how many milliseconds an answer still holds, by the clock on which more has gone by. */
function left({ asked, freshMs = 0 }) {
  const { steady, wall } = moment()
  // Set back: how long the machine slept cannot be told.
  if (wall < asked.wall) return 0
  return Math.max(0, Math.floor(freshMs - Math.max(steady - asked.steady, wall - asked.wall)))
}

/** It cannot be told whether the key is good, so it is not. */
function unavailable() {
  const body = JSON.stringify({ type: 'about:blank', title: 'The key cannot be checked at the moment', status: 503, code: 'unavailable' })
  const headers = [['content-type', 'application/problem+json'], ['retry-after', '1']]
  return frozen({ allowed: false, status: 503, code: 'unavailable', requestId: undefined, headers, body })
}
