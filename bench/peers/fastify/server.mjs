// A Fastify service with keys in SQLite: node server.mjs PORT DATABASE. One prepared statement, asked in the process itself.
import { createHash } from 'node:crypto'
import Database from 'better-sqlite3'
import Fastify from 'fastify'

const [port, file] = process.argv.slice(2)
const database = new Database(file, { readonly: true })
database.pragma('mmap_size = 1073741824')
const find = database.prepare(
  'SELECT business_id, environment, kind, key_id, scopes, valid_until, revoked_at FROM bench_keys WHERE digest = ?',
)

// A schema for the answer, as Fastify advises: it is written without JSON.stringify then.
const text = { type: 'string' }
const properties = { business_id: text, environment: text, kind: text, key_id: text, scopes: { type: 'array', items: text } }
const schema = { response: { 200: { type: 'object', properties } } }

const app = Fastify({ keepAliveTimeout: 60_000 })
app.get('/v1/whoami', { schema }, (request, reply) => {
  const { apikey, businessid } = request.headers
  const row = apikey && find.get(createHash('sha256').update(apikey).digest())
  const now = Date.now() * 1000
  if (!row || row.business_id !== businessid || row.revoked_at !== null || (row.valid_until ?? Infinity) <= now) {
    return reply.code(401).send({ error: 'not a good key' })
  }
  return {
    business_id: row.business_id,
    environment: row.environment,
    kind: row.kind,
    key_id: row.key_id,
    scopes: row.scopes.split(' '),
  }
})
await app.listen({ host: '127.0.0.1', port: Number(port) })
