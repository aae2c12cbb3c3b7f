// The golden table in JavaScript: its keys made through the API, its cases as header lines, its answers.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'

export const table = JSON.parse(readFileSync(new URL('./cases.json', import.meta.url), 'utf8'))
/** Where the server is that all of it runs against. */
export const trousseau = new URL(process.env.TROUSSEAU_TEST_URL)
const platform = process.env.TROUSSEAU_TEST_PLATFORM_KEY

// What is generic on the wire; every other reason is its own code.
const GENERIC = new Set([
  'key_unknown', 'business_mismatch', 'environment_mismatch', 'key_revoked', 'key_rotated', 'key_inactive',
  'key_not_yet_valid', 'key_expired', 'business_suspended',
])
const FORBIDDEN = new Set([
  'https_required', 'browser_not_allowed', 'kind_not_allowed', 'ip_not_allowed', 'origin_not_allowed', 'scope_missing',
])

const LIMITED = new Set(['rate_limited', 'quota_exhausted'])

/** The answer on the wire to a reason. */
export const answerOf = (reason) => {
  if (reason === 'ok') return { status: 200 }
  const code = GENERIC.has(reason) ? 'unauthorized' : reason
  if (FORBIDDEN.has(reason)) return { status: 403, code }
  if (LIMITED.has(reason)) return { status: 429, code }
  return { status: reason === 'ambiguous_credentials' ? 400 : 401, code }
}

export const freePort = () =>
  new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

/** Sends raw header lines, which may repeat a name. */
export const send = (port, target, lines, { method = 'GET', body } = {}) =>
  new Promise((resolve, reject) => {
    const headers = ['host', 'api.example', ...lines.flat()]
    if (body !== undefined) headers.push('content-length', String(Buffer.byteLength(body)))
    const request = http.request({
      host: '127.0.0.1', port, path: target, method, headers, agent: false, setHost: false, maxHeaderSize: 256 * 1024,
    })
    request.once('error', reject)
    request.once('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode, headers: response.headers, text: '' })
    })
    request.once('response', (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode, headers: response.headers, text })
      })
    })
    request.end(body)
  })

/** A call of the operator. */
const ask = async (method, target, body) => {
  const answer = await fetch(new URL(target, trousseau), {
    method,
    headers: { authorization: `Bearer ${platform}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  const text = await answer.text()
  assert.ok(answer.ok, `${method} ${target}: ${answer.status} ${text}`)
  return JSON.parse(text)
}

/** Takes a key of another system over, by the command. What is added to its text makes it another one in each run. */
const importKey = (business, text) => {
  const value = `${text} ${randomUUID()}`
  const [program, data] = [process.env.TROUSSEAU_TEST_PROGRAM, process.env.TROUSSEAU_TEST_DATA]
  const args = ['key', 'import', '--business', business, '--environment', 'test', '--json', '--data-dir', data]
  const told = execFileSync(program, args, { input: JSON.stringify({ value }) + '\n', encoding: 'utf8' })
  return { ...JSON.parse(told.split('\n')[0]), value, environment: 'test' }
}

/** Makes the keys of the table, through the API and, for those of other systems, the command. */
export const makeKeys = async () => {
  const businesses = new Map()
  const business = async (profile, suspended) => {
    const place = `${profile} ${suspended}`
    if (!businesses.has(place)) {
      const made = await ask('POST', '/v1/businesses', { name: `Gateways ${place}`, profile })
      await ask('PATCH', `/v1/businesses/${made.business.id}`, { metadata: { customer: 'Été 17' } })
      businesses.set(place, made)
    }
    return businesses.get(place)
  }
  const keys = {}
  for (const [name, wanted] of Object.entries(table.keys)) {
    const made = await business(wanted.profile, Boolean(wanted.suspended))
    const below = (rest) => `/v1/businesses/${made.business.id}/keys${rest}?environment=test`
    const key = wanted.first
      ? made.keys.find((key) => key.environment === wanted.first[0] && key.kind === wanted.first[1])
      : wanted.import
        ? importKey(made.business.id, wanted.import)
        : await ask('POST', below(''), wanted.draft)
    // A question about it is a use of it.
    if (wanted.then === 'verify') await ask('POST', '/v1/keys/verify', { key: key.value, business_id: made.business.id })
    else if (wanted.then) await ask('POST', below(`/${key.id}/${wanted.then}`), undefined)
    keys[name] = { id: key.id, value: key.value, business: made.business.id, environment: key.environment }
  }
  const suspended = businesses.get('mileston true')
  await ask('POST', `/v1/businesses/${suspended.business.id}/suspend`, undefined)
  keys.invoices = await ask('POST', `/v1/businesses/${keys.secret.business}/keys?environment=test`, { scopes: ['invoices:read'] })
  keys.invoices.business = keys.secret.business
  // As much as may be kept beside a key and its business, in letters that take the most room in a header.
  const noted = await ask('POST', '/v1/businesses', { name: 'Gateways noted', profile: 'mileston' })
  const metadata = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`note${10 + at}`, 'é'.repeat(253)]))
  await ask('PATCH', `/v1/businesses/${noted.business.id}`, { metadata })
  keys.noted = await ask('POST', `/v1/businesses/${noted.business.id}/keys?environment=test`, { scopes: ['payments:read'], metadata })
  Object.assign(keys.noted, { business: noted.business.id, metadata })
  return keys
}

/** The header lines of a case. */
export const present = (one, keys) => {
  const key = keys[one.key]
  const text = one.text ? one.text.repeat(one.times ?? 1) : one.replace ? key.value.replace(...one.replace) : key.value
  // Header values are bytes: what is not ASCII goes out as UTF-8.
  const bytes = Buffer.from(text).toString('latin1')
  const basic = (plain) => ['authorization', `Basic ${Buffer.from(plain).toString('base64')}`]
  const forms = {
    bearer: [['authorization', `Bearer ${bytes}`]],
    apikey: [['apikey', bytes]],
    'x-api-key': [['x-api-key', bytes]],
    basic: [basic(text)],
    'basic:': [basic(`${text}:`)],
    pair: [basic(`${key.business}:${text}`)],
    twice: [['apikey', bytes], ['apikey', bytes]],
    both: [['apikey', bytes], ['authorization', `Bearer ${bytes}`]],
    none: [],
    digest: [['authorization', `Digest ${bytes}`]],
    broken: [['authorization', 'Basic %%%']],
  }
  const ids = { none: [], empty: [''], other: [keys.suspended.business], capitals: [key.business.toUpperCase()] }
  const lines = [...forms[one.form ?? 'bearer']]
  for (const id of one.business ? ids[one.business] : [key.business]) lines.push(['businessid', id])
  if (one.origin) lines.push(['origin', one.origin])
  return lines
}
