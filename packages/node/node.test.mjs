// The package against a running server: every case of the golden table, through each of its hooks.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import http from 'node:http'
import { after, before, test } from 'node:test'
import express from 'express'
import fastify from 'fastify'

import { answerOf, freePort, makeKeys, present, send, table, trousseau as url } from '../../e2e/gateways/table.mjs'
import { Trousseau } from './index.js'

let keys
const trousseau = new Trousseau({ url })

before(async () => {
  keys = await makeKeys()
})
after(() => trousseau.close())

/** A listener for each hook, with these demands. */
const listen = async (kind, demand) => {
  if (kind === 'express') {
    const app = express()
    app.use(trousseau.express(demand), (request, response) => response.json(request.trousseau))
    return listening(http.createServer(app))
  }
  if (kind === 'fastify') {
    const app = fastify()
    app.addHook('onRequest', trousseau.fastify(demand))
    app.get('/*', async (request) => request.trousseau)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: app.server.address().port, stop: () => app.close() }
  }
  return listening(
    http.createServer(async (request, response) => {
      const guarded = trousseau.guard((_, caller) => Response.json(caller), demand, { ip: () => '127.0.0.1', protocol: () => 'http' })
      const headers = new Headers()
      for (let at = 0; at < request.rawHeaders.length; at += 2) headers.append(request.rawHeaders[at], request.rawHeaders[at + 1])
      const answer = await guarded(new Request(`http://127.0.0.1${request.url}`, { headers }))
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      response.end(await answer.text())
    }),
  )
}

const listening = (server) =>
  new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve({ port: server.address().port, stop: () => new Promise((done) => server.close(done)) })
    })
  })

for (const kind of ['express', 'fastify', 'fetch']) {
  test(`${kind}: gives the decision of the table`, async () => {
    const listeners = new Map()
    try {
      for (const one of table.cases) {
        const demand = one.demand ?? {}
        const name = JSON.stringify(demand)
        if (!listeners.has(name)) listeners.set(name, await listen(kind, demand))
        const answer = await send(listeners.get(name).port, '/orders', present(one, keys))
        let { reason } = one
        // Said to be plain HTTP, where a LIVE key that is otherwise good does not pass.
        if (reason === 'ok' && keys[one.key].environment === 'live') reason = 'https_required'
        // `Headers` have joined a repeated header by then, into a text that begins like a key of ours.
        if (kind === 'fetch' && one.form === 'twice') reason = 'key_malformed'
        const { status, code } = answerOf(reason)
        assert.equal(answer.status, status, `${one.name}: ${answer.text}`)
        if (code) {
          assert.equal(answer.headers['x-trousseau-code'], code, one.name)
          assert.match(answer.headers['x-request-id'], /^[0-9a-f]{32}$/)
          assert.equal(answer.headers['content-type'], 'application/problem+json')
        } else {
          const caller = JSON.parse(answer.text)
          assert.equal(caller.keyId, keys[one.key].id, one.name)
          assert.deepEqual(caller.businessMetadata, { customer: 'Été 17' })
        }
        assert.ok(!answer.text.includes(keys[one.key].value))
      }
    } finally {
      for (const listener of listeners.values()) await listener.stop()
    }
  })
}

const good = () => ({ authorization: `Bearer ${keys.secret.value}`, businessid: keys.secret.business })

test('what is demanded adds up, and an assertion is asked for by its audience', async () => {
  const decision = await trousseau.authorize({ headers: good() }, { scope: ['payments:read', 'invoices:read'], audience: 'orders' })
  assert.ok(decision.allowed)
  assert.equal(decision.caller.assertion.split('.').length, 3)
  const refused = await trousseau.authorize({ headers: good() }, { scope: ['payments:read', 'made:up'] })
  assert.deepEqual([refused.allowed, refused.status, refused.code], [false, 403, 'scope_missing'])
  const url = await trousseau.authorize({ headers: good(), url: '/orders?api_key=1' })
  assert.deepEqual([url.status, url.code], [400, 'key_in_url'])
})

test('refuses where Trousseau is away, slow or makes no sense', async () => {
  const dead = new Trousseau({ url: `http://127.0.0.1:${await freePort()}` })
  const silent = await listening(http.createServer(() => {}))
  const slow = new Trousseau({ url: `http://127.0.0.1:${silent.port}`, timeoutMs: 100 })
  let answer = (response) => response.end('fine')
  const odd = await listening(http.createServer((_, response) => answer(response)))
  const confused = new Trousseau({ url: `http://127.0.0.1:${odd.port}` })
  const asked = async (client) => {
    const { allowed, status, code } = await client.authorize({ headers: good() })
    return [allowed, status, code]
  }
  assert.deepEqual(await asked(dead), [false, 503, 'unavailable'])
  assert.deepEqual(await asked(slow), [false, 503, 'unavailable'])
  assert.deepEqual(await asked(confused), [false, 503, 'unavailable'], 'a 200 that says nothing')
  for (const status of [204, 302, 404, 500]) {
    answer = (response) => response.writeHead(status, { location: '/' }).end()
    assert.deepEqual(await asked(confused), [false, 503, 'unavailable'], `${status}`)
  }
  slow.close()
  dead.close()
  confused.close()
  await silent.stop()
  await odd.stop()
})

test('keeps a good decision exactly as long as it is told to', async (t) => {
  let asked = 0
  let fresh
  const server = await listening(
    http.createServer((request, response) => {
      asked += 1
      const signed = request.url.includes('audience=') ? { 'x-trousseau-assertion': 'a.b.c' } : {}
      const who = { 'x-trousseau-business': 'b', 'x-trousseau-environment': 'test', 'x-trousseau-kind': 'secret', 'x-trousseau-key': 'k' }
      response.writeHead(200, { ...who, ...signed, ...(fresh ? { 'x-trousseau-fresh-ms': fresh } : {}) })
      response.end()
    }),
  )
  const client = new Trousseau({ url: `http://127.0.0.1:${server.port}`, cacheEntries: 2 })
  t.after(() => (client.close(), server.stop()))
  const ask = async (key, demand) => assert.ok((await client.authorize({ headers: { apikey: key } }, demand)).allowed)
  await ask('a')
  await ask('a')
  assert.equal(asked, 2, 'nothing is kept unless that is allowed')
  fresh = '200'
  await ask('a')
  await ask('a')
  assert.equal(asked, 3)
  await ask('a', { scope: 'x:y' })
  assert.equal(asked, 4, 'another demand is another question')
  await new Promise((resolve) => setTimeout(resolve, 250))
  await ask('a')
  assert.equal(asked, 5, 'its time is over')
  for (const key of ['b', 'c', 'a']) await ask(key)
  assert.equal(asked, 8, 'room is bounded')
  await ask('x', { audience: 'y' })
  await ask('x', { audience: 'y' })
  assert.equal(asked, 10, 'an assertion is for one request')
})

test('an address that is not told is unknown, and not this service\'s own', async () => {
  const bound = { headers: { authorization: `Bearer ${keys.near.value}`, businessid: keys.near.business } }
  assert.ok((await trousseau.authorize({ ...bound, ip: '127.0.0.1' })).allowed)
  assert.equal((await trousseau.authorize(bound)).code, 'ip_not_allowed')
  const guarded = trousseau.guard(() => new Response('in'), {}, { protocol: () => 'http' })
  assert.equal((await guarded(new Request('http://127.0.0.1/', bound))).status, 403)
})

test('the longest notes arrive', async () => {
  const { value, business, metadata } = keys.noted
  const decision = await trousseau.authorize({ headers: { authorization: `Bearer ${value}`, businessid: business } }, { audience: 'orders' })
  assert.ok(decision.allowed, decision.code)
  assert.deepEqual([decision.caller.metadata, decision.caller.businessMetadata], [metadata, metadata])
})

test('the example runs', async () => {
  const example = spawn(process.execPath, [new URL('./example.mjs', import.meta.url).pathname, url.href, '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [line] = await new Promise((resolve) => example.stdout.once('data', (chunk) => resolve(String(chunk).split('\n'))))
    const answer = await fetch(line, { headers: good() })
    assert.equal(answer.status, 200)
    assert.deepEqual(await answer.json(), { hello: keys.secret.business, key: keys.secret.id })
    assert.equal((await fetch(line)).status, 401)
  } finally {
    example.kill()
  }
})
