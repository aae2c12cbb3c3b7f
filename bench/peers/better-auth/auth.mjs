// better-auth with its plugin for API keys, over SQLite, as its documentation sets it up. Its limit of requests is on, as
// it is by default, and too wide to refuse one.
import { apiKey } from '@better-auth/api-key'
import { betterAuth } from 'better-auth'
import Database from 'better-sqlite3'

export function open(file, address) {
  const database = new Database(file)
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = NORMAL')
  const rateLimit = { enabled: true, timeWindow: 24 * 60 * 60 * 1000, maxRequests: 1_000_000_000 }
  const auth = betterAuth({
    database,
    secret: 'for the bench only: nothing is protected by it',
    baseURL: address,
    telemetry: { enabled: false },
    emailAndPassword: { enabled: true },
    plugins: [apiKey({ rateLimit })],
  })
  return { auth, database }
}
