// The package against stand-ins for Trousseau, which answer what a running server hardly ever does.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import express from 'express'
import fastify from 'fastify'

import { Trousseau } from './index.js'

const WHO = { 'x-trousseau-business': 'b', 'x-trousseau-environment': 'test', 'x-trousseau-kind': 'secret', 'x-trousseau-key': 'k' }
const GOOD = {
  ...WHO,
  'x-trousseau-scopes': 'a:b c:d',
  'x-trousseau-metadata': '{"note":"one"}',
  'x-trousseau-business-metadata': '{}',
  'x-request-id': 'r',
}
const SIGNED = { ...GOOD, 'x-trousseau-assertion': 'a.b.c' }
const PROBLEM = { 'content-type': 'application/problem+json', 'x-trousseau-code': 'unauthorized', 'x-request-id': 'r' }
const ASKED = { headers: { apikey: 'a' }, ip: '127.0.0.1' }

const listening = async (t, server) => {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections?.()
  })
  return `http://127.0.0.1:${server.address().port}`
}

/** A client of a stand-in that answers so; each question is noted. */
const standIn = async (t, answer = (_, response) => response.writeHead(200, GOOD).end(), options = {}) => {
  const questions = []
  const server = http.createServer((request, response) => {
    questions.push(request)
    answer(request, response, questions.length)
  })
  const client = new Trousseau({ url: await listening(t, server), ...options })
  t.after(() => client.close())
  return { client, questions }
}

/** Waits for what comes soon. */
const until = async (claim) => {
  for (let turn = 0; !claim(); turn += 1) {
    assert.ok(turn < 400, `still not: ${claim}`)
    await pause(5)
  }
}

test('a demand that is misspelt or says nothing is no demand', async (t) => {
  const { client, questions } = await standIn(t)
  const odd = [
    [{ scopes: ['a:b'] }, /scopes.*scope, environment/],
    [{ env: 'live' }, /env;/],
    [{ toString: 'x' }, /toString/],
    [{ scope: '' }, /^scope /],
    [{ scope: ' ' }, /^scope /],
    [{ scope: ' , ' }, /^scope /],
    [{ scope: [] }, /^scope .*array/],
    [{ scope: [undefined] }, /^scope /],
    [{ scope: new Array(2) }, /^scope /],
    [{ scope: ['a:b', ''] }, /^scope /],
    [{ scope: [['a:b']] }, /^scope /],
    [{ scope: null }, /^scope /],
    [{ business: '' }, /^business /],
    [{ business: ',' }, /^business /],
    [{ business: ['b'] }, /^business /],
    [{ environment: '' }, /^environment .*'test' or 'live'/],
    [{ environment: 'prod' }, /^environment /],
    [{ environment: null }, /^environment /],
    [{ environment: ['live'] }, /^environment /],
    [{ kind: '' }, /^kind .*'secret' or 'checkout'/],
    [{ kind: 'admin' }, /^kind /],
    [{ audience: '' }, /^audience /],
    [{ audience: 'two words' }, /^audience /],
    [Object.create({ scope: '' }), /^scope /],
    [null, /object/],
    ['payments:read', /object/],
    [['payments:read'], /object/],
    [new Map([['scope', 'a:b']]), /object/],
  ]
  for (const [demand, message] of odd) {
    const error = { name: 'TypeError', message }
    assert.throws(() => client.express(demand), error)
    assert.throws(() => client.fastify(demand), error)
    assert.throws(() => client.guard(() => new Response('in'), demand), error)
    await assert.rejects(client.authorize(ASKED, demand), error)
  }
  assert.equal(questions.length, 0)
  const all = { scope: ['a:b', 'c:d e:f'], environment: 'live', business: 'b', kind: 'checkout', audience: 'x' }
  for (const [demand, query] of [
    [undefined, ''],
    [{ scope: undefined, environment: undefined, business: undefined, kind: undefined, audience: undefined }, ''],
    [{ scope: 'a:b' }, '&scope=a%3Ab'],
    [all, '&scope=a%3Ab&scope=c%3Ad+e%3Af&environment=live&business=b&kind=checkout&audience=x'],
  ]) {
    await client.authorize(ASKED, demand)
    assert.equal(questions.at(-1).url, `/v1/authorize?statuses=all${query}`)
  }
})

test('an answer that is not as Trousseau writes it lets nobody through', async (t) => {
  let answer
  const { client } = await standIn(t, (_, response) => response.writeHead(...answer).end('<p>Sign in</p>'))
  const odd = []
  for (const name of Object.keys(WHO)) {
    const { [name]: value, ...others } = GOOD
    odd.push([200, others])
    for (const other of ['', [value, value], `${value}, ${value}`]) odd.push([200, { ...GOOD, [name]: other }])
  }
  for (const [name, value] of [
    ['x-trousseau-environment', 'LIVE'],
    ['x-trousseau-kind', 'admin'],
    ['x-trousseau-scopes', ['a:b', 'c:d']],
    ['x-trousseau-assertion', ['a.b.c', 'a.b.c']],
    ...['null', '[]', '"text"', '{"note":1}', '{', '', ['{}', '{}']].flatMap((value) => [
      ['x-trousseau-metadata', value],
      ['x-trousseau-business-metadata', value],
    ]),
  ]) {
    odd.push([200, { ...GOOD, [name]: value }])
  }
  for (const type of ['text/html', 'application/json', 'application/problem+jsonp', undefined]) {
    const { 'content-type': _, ...others } = PROBLEM
    odd.push([401, type ? { ...others, 'content-type': type } : others])
  }
  odd.push([401, { ...PROBLEM, 'x-trousseau-code': ['unauthorized', 'unauthorized'] }])
  for (answer of odd) {
    const { allowed, status, code } = await client.authorize(ASKED)
    assert.deepEqual([allowed, status, code], [false, 503, 'unavailable'], JSON.stringify(answer))
  }
  answer = [401, { ...PROBLEM, 'content-type': 'Application/Problem+JSON; charset=utf-8' }]
  assert.equal((await client.authorize(ASKED)).code, 'unauthorized')
  answer = [200, WHO]
  assert.deepEqual((await client.authorize(ASKED)).caller, {
    businessId: 'b', environment: 'test', kind: 'secret', keyId: 'k', scopes: [], metadata: {}, businessMetadata: {}, requestId: undefined,
  })
})

test('nobody passes without the assertion that is asked for', async (t) => {
  let answer = SIGNED
  const { client } = await standIn(t, (_, response) => response.writeHead(200, answer).end())
  assert.equal((await client.authorize(ASKED, { audience: 'x' })).caller.assertion, 'a.b.c')
  for (answer of [GOOD, { ...GOOD, 'x-trousseau-assertion': '' }]) {
    assert.equal((await client.authorize(ASKED)).allowed, true)
    const { allowed, status } = await client.authorize(ASKED, { audience: 'x' })
    assert.deepEqual([allowed, status], [false, 503], JSON.stringify(answer))
  }
})

test('an answer in another protocol is none', { timeout: 5_000 }, async (t) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n')
  })
  const client = new Trousseau({ url: await listening(t, server), timeoutMs: 60_000 })
  t.after(() => client.close())
  for (const demand of [{}, { audience: 'x' }]) assert.equal((await client.authorize(ASKED, demand)).status, 503)
})

test('a kept connection that was closed in the moment in which it is used is replaced', async (t) => {
  let sockets = 0
  let closes = true
  const server = net.createServer((socket) => {
    sockets += 1
    let questions = 0
    socket.on('error', () => {})
    socket.on('data', () => {
      questions += 1
      // As a server that has just let a connection go which was idle.
      if (closes && (questions > 1 || sockets > 4)) return socket.resetAndDestroy()
      const lines = Object.entries(SIGNED).map(([name, value]) => `${name}: ${value}\r\n`)
      socket.write(`HTTP/1.1 200 OK\r\n${lines.join('')}content-length: 0\r\n\r\n`)
    })
  })
  const client = new Trousseau({ url: await listening(t, server) })
  t.after(() => client.close())
  for (const demand of [{}, {}, { audience: 'x' }]) {
    const { allowed, code } = await client.authorize(ASKED, demand)
    assert.deepEqual([allowed, code], [true, undefined])
  }
  // A new one that is closed is no such thing: nobody asks for ever.
  sockets = 4
  assert.equal((await client.authorize(ASKED)).status, 503)
  const before = sockets
  assert.equal((await client.authorize(ASKED)).status, 503)
  assert.equal(sockets, before + 1)
  closes = false
  assert.ok((await client.authorize(ASKED)).allowed)
})

test('a connection that nobody uses is let go before Trousseau does', async (t) => {
  let open = 0
  const server = http.createServer((_, response) => response.writeHead(200, GOOD).end())
  server.keepAliveTimeout = 0
  server.on('connection', (socket) => {
    open += 1
    socket.once('close', () => (open -= 1))
  })
  const client = new Trousseau({ url: await listening(t, server) })
  t.after(() => client.close())
  assert.ok((await client.authorize(ASKED)).allowed)
  assert.equal(open, 1)
  const since = performance.now()
  while (open > 0) {
    // Trousseau ends one after ten seconds.
    assert.ok(performance.now() - since < 10_000, 'it is still there')
    await pause(100)
  }
})

test('times and room that make no sense are none', () => {
  const url = 'http://127.0.0.1:1'
  for (const timeoutMs of [0, -1, 1.5, NaN, Infinity, 2 ** 31, '2000', null]) {
    assert.throws(() => new Trousseau({ url, timeoutMs }), { name: 'TypeError', message: /^timeoutMs / })
  }
  for (const cacheEntries of [-1, 1.5, NaN, Infinity, '10', null]) {
    assert.throws(() => new Trousseau({ url, cacheEntries }), { name: 'TypeError', message: /^cacheEntries / })
  }
  new Trousseau({ url, timeoutMs: 2 ** 31 - 1, cacheEntries: 0 }).close()
})

test('express: a refusal replaces what the application has set', async (t) => {
  const { client } = await standIn(t, (_, response) => response.writeHead(401, PROBLEM).end('{}'))
  const app = express()
  app.use((_, response, next) => {
    response.set({ 'content-type': 'text/html', 'x-request-id': 'of the application' })
    next()
  })
  app.use(client.express())
  const answer = await fetch(await listening(t, http.createServer(app)))
  assert.equal(answer.status, 401)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  assert.equal(answer.headers.get('x-request-id'), 'r')
})

test('express: what is unexpected is given to the application', async (t) => {
  const { client } = await standIn(t, (_, response) => response.writeHead(401, PROBLEM).end('{}'))
  const error = new Error('the headers are sent')
  const response = {
    setHeader() {
      throw error
    },
  }
  const given = []
  await client.express()({ rawHeaders: [], headers: {} }, response, (error) => given.push(error))
  assert.deepEqual(given, [error])
})

test('a caller is told of the limits', async (t) => {
  const limits = { ratelimit: '"key-1s";r=0;t=1', 'ratelimit-policy': '"key-1s";q=10;w=1', 'retry-after': '1' }
  const { client } = await standIn(t, (_, response) => response.writeHead(429, { ...PROBLEM, ...limits }).end('{}'))
  const told = Object.fromEntries((await client.authorize(ASKED)).headers)
  assert.deepEqual(told, { ...PROBLEM, ...limits })
})

test('what is kept ends by the clock on which more has gone by', async (t) => {
  const kept = { ...GOOD, 'x-trousseau-fresh-ms': '60000' }
  const { client, questions } = await standIn(t, (_, response) => response.writeHead(200, kept).end())
  let [steady, wall] = [0, 0]
  const [now, date] = [performance.now.bind(performance), Date.now]
  t.mock.method(performance, 'now', () => now() + steady)
  t.mock.method(Date, 'now', () => date() + wall)
  const ask = async (most, count) => {
    const decision = await client.authorize(ASKED)
    assert.ok(decision.allowed)
    assert.ok(decision.freshMs <= most && decision.freshMs > most - 10_000, `${decision.freshMs} of ${most}`)
    assert.equal(questions.length, count)
  }
  await ask(60_000, 1)
  // Asleep, where the steady clock stands still.
  wall += 20_000
  await ask(40_000, 1)
  wall += 41_000
  await ask(60_000, 2)
  steady += 20_000
  await ask(40_000, 2)
  steady += 41_000
  await ask(60_000, 3)
  wall -= 3_600_000
  await ask(60_000, 4)
})

test('a time that makes no sense is none', async (t) => {
  for (const odd of ['-1', '1e3', 'Infinity', '0x100', '', '9'.repeat(20)]) {
    const { client, questions } = await standIn(t, (_, response) => response.writeHead(200, { ...GOOD, 'x-trousseau-fresh-ms': odd }).end())
    assert.equal((await client.authorize(ASKED)).freshMs, 0)
    await client.authorize(ASKED)
    assert.equal(questions.length, 2, odd)
  }
})

test('nobody can change what others are given', async (t) => {
  let answer = [200, { ...GOOD, 'x-trousseau-fresh-ms': '60000' }]
  const { client } = await standIn(t, (_, response) => response.writeHead(...answer).end('{}'))
  const { caller } = await client.authorize(ASKED)
  for (const change of [
    () => (caller.keyId = 'other'),
    () => caller.scopes.push('e:f'),
    () => (caller.metadata.note = 'other'),
    () => (caller.businessMetadata.note = 'other'),
  ]) {
    assert.throws(change, TypeError)
  }
  const again = await client.authorize(ASKED)
  again.allowed = false
  assert.ok((await client.authorize(ASKED)).allowed)
  answer = [401, PROBLEM]
  const refused = await client.authorize({ ...ASKED, ip: '127.0.0.2' })
  assert.throws(() => refused.headers[0].push('x'), TypeError)
  assert.throws(() => (refused.status = 200), TypeError)
})

/** A stand-in that answers when it is let, each time with the number of the question as the business. */
const slow = async (t, headers = {}, options = {}) => {
  const held = []
  const answer = (_, response, number) => {
    held.push(() => response.writeHead(200, { ...GOOD, ...headers, 'x-trousseau-business': String(number) }).end())
  }
  const { client, questions } = await standIn(t, answer, options)
  const ask = async (demand) => {
    const decision = await client.authorize(ASKED, demand)
    return decision.allowed ? Number(decision.caller.businessId) : decision.code
  }
  return { ask, questions, held, many: (count, demand) => Array.from({ length: count }, () => ask(demand)) }
}

test('who comes later shares the next answer, and never one that was on its way', async (t) => {
  const { ask, questions, held, many } = await slow(t)
  const first = ask()
  await until(() => held.length === 1)
  const later = many(500)
  await pause(30)
  assert.equal(questions.length, 1, 'they wait')
  held[0]()
  assert.equal(await first, 1)
  await until(() => held.length === 2)
  const latest = ask()
  await pause(30)
  held[1]()
  assert.deepEqual(new Set(await Promise.all(later)), new Set([2]))
  await until(() => held.length === 3)
  held[2]()
  assert.equal(await latest, 3)
  const alone = ask()
  await until(() => held.length === 4)
  held[3]()
  assert.equal(await alone, 4)
  assert.equal(questions.length, 4)
})

test('nothing of an answer that may not be kept stays', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  const { client } = await standIn(t)
  const callers = await Promise.all(Array.from({ length: 3 }, async () => new WeakRef((await client.authorize(ASKED)).caller)))
  await until(() => {
    collect()
    return callers.every((caller) => caller.deref() === undefined)
  })
})

test('other questions do not wait', async (t) => {
  const { ask, held } = await slow(t)
  const both = [ask(), ask({ scope: 'a:b' })]
  await until(() => held.length === 2)
  for (const answer of held) answer()
  assert.deepEqual((await Promise.all(both)).sort(), [1, 2])
})

test('who waits takes an answer that was kept meanwhile', async (t) => {
  const { questions, held, many } = await slow(t, { 'x-trousseau-fresh-ms': '60000' })
  const all = many(20)
  await until(() => held.length === 1)
  held[0]()
  assert.deepEqual(new Set(await Promise.all(all)), new Set([1]))
  assert.equal(questions.length, 1)
})

test('what counts against a limit is asked for each', async (t) => {
  const { held, many } = await slow(t, { ratelimit: '"key-1s";r=9;t=1', 'x-trousseau-fresh-ms': '60000' })
  const all = many(20)
  for (let number = 1; number <= 20; number += 1) {
    await until(() => held.length >= number)
    held[number - 1]()
  }
  const answers = (await Promise.all(all)).sort((one, other) => one - other)
  assert.deepEqual(answers, Array.from({ length: 20 }, (_, at) => at + 1))
})

test('an assertion is asked for each', async (t) => {
  const { held, many } = await slow(t, { 'x-trousseau-assertion': 'a.b.c' })
  const all = many(5, { audience: 'x' })
  await until(() => held.length === 5)
  for (const answer of held) answer()
  assert.deepEqual((await Promise.all(all)).sort(), [1, 2, 3, 4, 5])
})

test('waiting for others counts', async (t) => {
  const { ask } = await slow(t, {}, { timeoutMs: 1_000 })
  const first = ask()
  await pause(500)
  const came = performance.now()
  assert.equal(await ask(), 'unavailable')
  const waited = performance.now() - came
  assert.ok(waited > 900 && waited < 1_400, `${waited}`)
  assert.equal(await first, 'unavailable')
})

test('keys go in the clear to this machine only', () => {
  for (const good of [
    'https://keys.example', 'https://keys.example:8443/', 'http://localhost:8080', 'http://LOCALHOST', 'http://127.0.0.1:8080',
    'http://127.9.9.9', 'http://[::1]:8080', 'http://[::ffff:127.0.0.1]', new URL('https://keys.example'),
  ]) {
    new Trousseau({ url: good }).close()
  }
  for (const plain of [
    'http://keys.example', 'http://10.0.0.1', 'http://localhost.example', 'http://127.0.0.1.example', 'http://[2001:db8::1]',
    'http://[::ffff:10.0.0.1]',
  ]) {
    assert.throws(() => new Trousseau({ url: plain }), { name: 'TypeError', message: /https/ }, plain)
    new Trousseau({ url: plain, allowPlainHttp: true }).close()
  }
  for (const odd of [
    undefined, '', 'keys.example', 'ftp://keys.example', 'https://user:canary@keys.example', 'https://canary@keys.example',
    'https://keys.example/api', 'https://keys.example/?x=1', 'https://keys.example/?', 'https://keys.example/#x',
  ]) {
    const says = (error) => error instanceof TypeError && !error.message.includes('canary')
    assert.throws(() => new Trousseau({ url: odd, allowPlainHttp: true }), says, odd)
  }
})

const FORGED = { 'X-Trousseau-Business': 'forged', x_trousseau_key: 'forged', 'x-trousseau_kind': 'forged', 'x-trousseaux': 'stays' }

for (const kind of ['express', 'fastify']) {
  test(`${kind}: nobody says of themselves what only Trousseau may say`, async (t) => {
    const { client } = await standIn(t)
    const seen = ({ headers, rawHeaders, headersDistinct }) => ({ headers, rawHeaders, headersDistinct })
    let url
    if (kind === 'express') {
      const app = express()
      app.use(client.express(), (request, response) => response.json(seen(request)))
      url = await listening(t, http.createServer(app))
    } else {
      const app = fastify()
      app.addHook('onRequest', client.fastify())
      app.get('/', async (request) => ({ ...seen(request.raw), headers: request.headers }))
      url = await app.listen({ port: 0, host: '127.0.0.1' })
      t.after(() => app.close())
    }
    const { headers, rawHeaders, headersDistinct } = await (await fetch(url, { headers: FORGED })).json()
    const names = [Object.keys(headers), rawHeaders.filter((_, at) => at % 2 === 0), Object.keys(headersDistinct)]
    for (const all of names) {
      assert.deepEqual(all.map((name) => name.toLowerCase()).filter((name) => name.includes('trousseau')), ['x-trousseaux'])
    }
    assert.ok(!JSON.stringify([headers, rawHeaders, headersDistinct]).includes('forged'))
    assert.equal(headers['x-trousseaux'], 'stays')
  })
}

test('both of two credentials are seen where Node tells of them', async (t) => {
  const { client, questions } = await standIn(t)
  const lines = ['Authorization', 'Bearer a', 'authorization', 'Bearer b']
  for (const headers of [lines, { authorization: ['Bearer a', 'Bearer b'] }]) {
    await client.authorize({ ...ASKED, headers })
    assert.deepEqual(questions.at(-1).headersDistinct.authorization, ['Bearer a', 'Bearer b'])
  }
})

test('what the README points at is in the package', () => {
  const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8')
  const { files } = JSON.parse(read('./package.json'))
  const links = [...read('./README.md').matchAll(/\]\(([^)]+)\)/g)].map(([, to]) => to).filter((to) => !/^(\.\.|https?:)/.test(to))
  assert.ok(links.length > 0)
  for (const to of links) assert.ok(files.includes(to), to)
})
