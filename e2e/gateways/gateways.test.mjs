// The real gateways, with the configurations of docs/gateways as they stand there, before an upstream that says what
// reached it. Only the addresses are replaced, by free ports.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createPublicKey, verify } from 'node:crypto'

import { answerOf, freePort, makeKeys, present, send, table, trousseau } from './table.mjs'

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..')

const IDENTITY = ['business', 'environment', 'kind', 'key', 'scopes', 'metadata', 'business-metadata', 'assertion']

/** The files in one language that a page shows. */
const files = (page, language) => {
  const text = readFileSync(path.join(root, 'docs/gateways', page), 'utf8')
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter((block) => block[1] === language).map((block) => block[2])
}

const gateways = {
  nginx: {
    program: 'nginx',
    // Debian's places for these are root's.
    files: () => ({
      'nginx.conf': files('nginx.md', 'nginx')[0].replace(
        'http {',
        ['http {', 'access_log off;', ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`)].join('\n'),
      ),
    }),
    args: (folder) => ['-p', folder, '-c', path.join(folder, 'nginx.conf'), '-e', 'stderr', '-g', 'daemon off; pid nginx.pid;'],
  },
  haproxy: {
    program: 'haproxy',
    passesAllStatuses: true,
    files: () => ({ 'haproxy.cfg': files('haproxy.md', 'haproxy')[0], 'trousseau.lua': files('haproxy.md', 'lua')[0] }),
    args: () => ['-f', 'haproxy.cfg'],
  },
  caddy: {
    program: 'caddy',
    passesAllStatuses: true,
    files: () => ({ Caddyfile: files('caddy.md', 'caddyfile')[0] }),
    args: () => ['run', '--config', 'Caddyfile', '--adapter', 'caddyfile'],
  },
  envoy: {
    program: 'envoy',
    passesAllStatuses: true,
    asks: process.env.TROUSSEAU_TEST_EXT_AUTHZ,
    files: () => ({ 'envoy.yaml': files('envoy.md', 'yaml')[0] }),
    args: () => ['-c', 'envoy.yaml', '--disable-hot-restart', '--concurrency', '1', '-l', 'warn'],
  },
  traefik: {
    program: 'traefik',
    passesAllStatuses: true,
    files: () => {
      const [settings, routes] = files('traefik.md', 'yaml')
      // It listens before it has read what leads where, and answers 404 until then.
      const ready = '  routers:\n    ready: { rule: "Path(`/ready`)", priority: 99, service: api }\n'
      return { 'traefik.yaml': settings, 'routes.yaml': routes.replace('  routers:\n', ready) }
    },
    args: () => ['--configFile=traefik.yaml'],
    isReady: async (port) => (await connects(port)) && (await send(port, '/ready', [])).status === 200,
  },
}

/** Where a gateway asks. */
const asksAt = (gateway) => gateway.asks ?? trousseau.port

const connects = (port) =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

/** The path of the configurations that demands what a case does, if there is one. */
const pathOf = (demand = {}) =>
  ({ '{}': '/any/', '{"scope":"payments:read"}': '/reports/', '{"environment":"live"}': '/live/' })[JSON.stringify(demand)]

const expected = (one, keys, gateway) => {
  let { reason } = one
  // These listeners speak plain HTTP and say so; a LIVE key that is otherwise good does not pass there.
  if (reason === 'ok' && keys[one.key].environment === 'live') reason = 'https_required'
  const { status, code } = answerOf(reason)
  const fewer = { 400: 401, 429: 403 }
  return { status: gateway.passesAllStatuses ? status : (fewer[status] ?? status), code }
}

let keys
let upstream
const reached = []

before(async () => {
  keys = await makeKeys()
  upstream = http.createServer({ maxHeaderSize: 256 * 1024 }, (request, response) => {
    reached.push(request.url)
    request.resume()
    request.once('end', () => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }))
    })
  })
  upstream.on('upgrade', (request, socket) => {
    const answer = request.headers.upgrade === 'h2c' ? '101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c' : '400 Bad Request'
    socket.end(`HTTP/1.1 ${answer}\r\n\r\n`)
  })
  await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve))
})

after(() => upstream?.close())

/** A gateway with its configuration, in a folder of its own. */
const start = async (name, trousseauPort) => {
  const gateway = gateways[name]
  const folder = mkdtempSync(path.join(tmpdir(), `trousseau-${name}.`))
  const port = await freePort()
  for (const [file, text] of Object.entries(gateway.files())) {
    const placed = text
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${trousseauPort}`)
      .replaceAll('127.0.0.1:9000', `127.0.0.1:${upstream.address().port}`)
      .replaceAll(':8000', `:${port}`)
      .replaceAll('port_value: 8000', `port_value: ${port}`)
      .replaceAll('port_value: 8081', `port_value: ${trousseauPort}`)
      .replaceAll('port_value: 9000', `port_value: ${upstream.address().port}`)
    writeFileSync(path.join(folder, file), placed)
  }
  let log = ''
  const child = spawn(gateway.program, gateway.args(folder), {
    cwd: folder,
    env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.on('data', (chunk) => (log += chunk))
  child.stderr.on('data', (chunk) => (log += chunk))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.once('error', (error) => (log += error))
  const stop = async () => {
    child.kill('SIGTERM')
    const kill = setTimeout(() => child.kill('SIGKILL'), 3_000)
    await ended
    clearTimeout(kill)
    rmSync(folder, { recursive: true, force: true })
  }
  const isReady = gateway.isReady ?? connects
  for (let turn = 0; turn < 100; turn += 1) {
    if (await isReady(port)) return { port, stop, log: () => log }
    if (child.exitCode !== null) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await stop().catch(() => {})
  throw new Error(`${name} does not start: ${log}`)
}

const there = (program) => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

for (const [name, gateway] of Object.entries(gateways)) {
  const missing = !there(gateway.program)
  if (missing) console.error(`\n!! ${name} IS NOT TESTED: ${gateway.program} is not there and could not be installed\n`)
  describe(name, { skip: missing && `${gateway.program} is not there` }, () => {
    let running
    before(async () => {
      running = await start(name, asksAt(gateway))
    })
    after(() => running?.stop())

    const good = () => [['authorization', `Bearer ${keys.secret.value}`], ['businessid', keys.secret.business]]

    test('gives the decision of the table', async () => {
      let asked = 0
      for (const one of table.cases) {
        const target = pathOf(one.demand)
        if (!target) continue
        asked += 1
        const before = reached.length
        const answer = await send(running.port, target, present(one, keys))
        const { status, code } = expected(one, keys, gateway)
        assert.equal(answer.status, status, `${one.name}: ${answer.text} ${running.log().slice(-500)}`)
        assert.equal(reached.length - before, status === 200 ? 1 : 0, `${one.name}: the upstream was reached or not`)
        if (code) assert.equal(answer.headers['x-trousseau-code'], code, one.name)
        else assert.equal(JSON.parse(answer.text).headers['x-trousseau-key'], keys[one.key].id, one.name)
        if (['rate_limited', 'quota_exhausted'].includes(code)) {
          assert.match(answer.headers['retry-after'], /^\d+$/, one.name)
          assert.match(answer.headers.ratelimit, /r=0/, one.name)
          assert.match(answer.headers['ratelimit-policy'], /q=/, one.name)
        }
        assert.ok(!answer.text.includes(keys[one.key].value), `${one.name}: the key is nowhere in the answer`)
      }
      assert.ok(asked > 40, `${asked} cases`)
    })

    test('says to the caller what Trousseau says', async () => {
      const answer = await send(running.port, '/any/', [])
      assert.equal(answer.status, 401, answer.text)
      assert.match(answer.headers['www-authenticate'], /^Basic realm="trousseau", charset="UTF-8"/)
      // nginx makes an answer of its own, with the first of these headers.
      if (!gateway.passesAllStatuses) return
      assert.match(answer.headers['www-authenticate'], /, Bearer realm="trousseau"$/)
      assert.match(answer.headers['content-type'], /^application\/problem\+json/)
      const { code, request_id: reference } = JSON.parse(answer.text)
      assert.equal(code, 'credential_missing')
      assert.equal(answer.headers['x-request-id'], reference)
    })

    test('tells the upstream who calls, and keeps the key', async () => {
      const answer = await send(running.port, '/any/thing?a=1', good(), { method: 'POST', body: 'x'.repeat(10_000) })
      assert.equal(answer.status, 200, answer.text)
      const { method, url, headers } = JSON.parse(answer.text)
      assert.deepEqual([method, url], ['POST', '/any/thing?a=1'])
      assert.equal(headers['x-trousseau-business'], keys.secret.business)
      assert.equal(headers['x-trousseau-environment'], 'test')
      assert.equal(headers['x-trousseau-kind'], 'secret')
      assert.ok(headers['x-trousseau-scopes'].split(' ').includes('payments:read'))
      assert.deepEqual(JSON.parse(headers['x-trousseau-business-metadata']), { customer: 'Été 17' })
      assert.equal(headers.authorization ?? '', '')
      assert.ok(['', '{}'].includes(headers['x-trousseau-metadata'] ?? ''), headers['x-trousseau-metadata'])
    })

    test('lets nothing through that a caller sent under our names', async () => {
      const forged = IDENTITY.map((header) => [`X-Trousseau-${header}`, 'forged'])
      const underscores = IDENTITY.map((header) => [`X_Trousseau_${header.replace('-', '_')}`, 'forged'])
      const mixed = IDENTITY.flatMap((header) => [
        [`X-Trousseau_${header.replace('-', '_')}`, 'forged'],
        [`X_Trousseau-${header}`, 'forged'],
      ])
      for (const extra of [forged, underscores, mixed, [...forged, ...forged]]) {
        const answer = await send(running.port, '/any/', [...good(), ...extra])
        // To refuse is as good.
        if (answer.status !== 200) continue
        assert.ok(!answer.text.includes('forged'), answer.text)
      }
      const refused = await send(running.port, '/any/', forged)
      assert.equal(refused.status, 401, refused.text)
    })

    test('lets nobody take away what it tells the upstream', async () => {
      const names = IDENTITY.map((header) => `X-Trousseau-${header}`)
      const whole = (answer) => {
        // To refuse is as good.
        if (answer.status !== 200) return assert.ok(answer.status >= 400, `${answer.status} ${answer.text}`)
        const { headers } = JSON.parse(answer.text)
        for (const name of names) assert.ok(headers[name.toLowerCase()], `${name} is there`)
      }
      for (const hop of [[['Connection', `close, ${names}`]], [['Connection', 'close'], ['Connection', names.join(' , ')]]]) {
        whole(await send(running.port, '/signed/', [...good(), ...hop]))
      }
      const noted = [['authorization', `Bearer ${keys.noted.value}`], ['businessid', keys.noted.business]]
      for (const size of [20_000, 40_000, 60_000, 126_000, 128_000, 129_500]) {
        const filled = [...noted, ...Array.from({ length: 10 }, (_, at) => [`x-filler-${at}`, 'x'.repeat(size / 10)])]
        whole(await send(running.port, '/signed/', filled))
      }
    })

    test('opens no way that it does not watch', async () => {
      const lines = [...good(), ['Connection', 'Upgrade, HTTP2-Settings'], ['Upgrade', 'h2c'], ['HTTP2-Settings', 'AAMAAABkAAQAAP__']]
      const answer = await send(running.port, '/any/', lines)
      assert.notEqual(answer.status, 101)
    })

    test('stays there whatever is sent', async () => {
      for (const count of [2, 90, 99, 200]) {
        await send(running.port, '/any/', Array.from({ length: count }, () => ['apikey', 'x'])).catch(() => {})
      }
      assert.equal((await send(running.port, '/any/', good())).status, 200, running.log().slice(-500))
    })

    test('cannot be talked into demanding less', async () => {
      const lines = [['authorization', `Bearer ${keys.invoices.value}`], ['businessid', keys.invoices.business]]
      assert.equal((await send(running.port, '/any/', lines)).status, 200)
      for (const [target, ...more] of [
        ['/reports/'],
        ['/reports/?scope=invoices:read'],
        ['/reports/?statuses=all&scope='],
        ['/reports/', ['X-Trousseau-Require-Scope', 'invoices:read']],
        ['/reports/', ['X-Trousseau-Require-Scope', '']],
        ['/reports/', ['X-Forwarded-Uri', '/any/'], ['X-Original-URI', '/any/']],
      ]) {
        const answer = await send(running.port, target, [...lines, ...more])
        assert.equal(answer.status, 403, `${target} ${more}: ${answer.text}`)
        assert.equal(answer.headers['x-trousseau-code'], 'scope_missing')
      }
      // Another spelling of the path is refused one way or the other, and so is the path that the others are below.
      for (const target of [
        '/%72eports/x', '/reports%2fx', '//reports/x', '/x/../reports/x', '/./reports/x', '/x/..%2freports/x', '/reports', '/Reports/x',
        '/REPORTS', '/reports?a=1', '/reports/x%zz', '/reports/%', '/reports/%2', '//any/../reports/list/%zz/..',
      ]) {
        const answer = await send(running.port, target, lines)
        assert.ok([400, 403].includes(answer.status), `${target}: ${answer.status} ${answer.text}`)
      }
      const far = [['authorization', `Bearer ${keys.far.value}`], ['businessid', keys.far.business]]
      const claims = await send(running.port, '/any/', [...far, ['X-Forwarded-For', '203.0.113.7']])
      assert.equal(claims.status, 403, 'an address that the caller claims is not believed')
      const live = [['authorization', `Bearer ${keys.live.value}`], ['businessid', keys.live.business]]
      const secure = await send(running.port, '/live/', [...live, ['X-Forwarded-Proto', 'https']])
      assert.equal(secure.status, 403, 'nor is a protection that it claims')
    })

    test('tells the longest notes that there can be', async () => {
      const lines = [['authorization', `Bearer ${keys.noted.value}`], ['businessid', keys.noted.business]]
      const answer = await send(running.port, '/signed/', lines)
      assert.equal(answer.status, 200, `${answer.status} ${answer.text}`)
      const { headers } = JSON.parse(answer.text)
      assert.deepEqual(JSON.parse(headers['x-trousseau-metadata']), keys.noted.metadata)
      assert.deepEqual(JSON.parse(headers['x-trousseau-business-metadata']), keys.noted.metadata)
    })

    test('refuses a key in the URL', async () => {
      const answer = await send(running.port, `/any/?api_key=${keys.secret.value}`, good())
      assert.equal(answer.status, gateway.passesAllStatuses ? 400 : 401, answer.text)
      assert.equal(answer.headers['x-trousseau-code'], 'key_in_url')
    })

    test('hands on a signed assertion where it asks for one', async () => {
      const answer = await send(running.port, '/signed/', good())
      assert.equal(answer.status, 200, answer.text)
      const [head, claims, signature] = JSON.parse(answer.text).headers['x-trousseau-assertion'].split('.')
      const read = (part) => JSON.parse(Buffer.from(part, 'base64url'))
      const set = await (await fetch(new URL('/.well-known/jwks.json', trousseau))).json()
      const jwk = set.keys.find(({ kid }) => kid === read(head).kid)
      const key = createPublicKey({ key: jwk, format: 'jwk' })
      assert.ok(verify(null, Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url')))
      assert.equal(read(claims).aud, 'reports')
      assert.equal(read(claims).business_id, keys.secret.business)
    })

    test('lets nothing through where Trousseau is silent or fails', { timeout: 60_000 }, async () => {
      const plain = (status) => `HTTP/1.1 ${status}\r\nX-Trousseau-Key: forged\r\nLocation: /any/\r\nContent-Length: 0\r\n\r\n`
      let says
      const odd = net.createServer((socket) => {
        socket.on('error', () => {})
        if (says !== undefined) socket.once('data', () => socket.end(says))
      })
      await new Promise((resolve) => odd.listen(0, '127.0.0.1', resolve))
      const behind = await start(name, odd.address().port)
      try {
        for (says of [undefined, '', 'nonsense\r\n\r\n', plain('500 X'), plain('503 X'), plain('302 X'), plain('404 X')]) {
          const before = reached.length
          // Whatever it answers, it does so in the end.
          const answer = await send(behind.port, '/any/', good())
          assert.ok(answer.status >= 300, `${says}: ${answer.status}`)
          assert.equal(reached.length, before, `${says}`)
        }
      } finally {
        await behind.stop()
        odd.close()
      }
    })

    test('lets nothing through where Trousseau is away', async () => {
      const lonely = await start(name, await freePort())
      try {
        const before = reached.length
        const answer = await send(lonely.port, '/any/', good())
        assert.ok(answer.status >= 500 || answer.status === 403, `${answer.status}`)
        assert.equal(reached.length, before)
      } finally {
        await lonely.stop()
      }
    })
  })
}
