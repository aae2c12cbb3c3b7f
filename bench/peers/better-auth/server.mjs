// Verifies keys with better-auth's plugin: node server.mjs PORT DATABASE.
import { createServer } from 'node:http'
import { open } from './auth.mjs'

const [port, file] = process.argv.slice(2)
const { auth } = open(file, `http://127.0.0.1:${port}`)
const server = createServer(async (request, response) => {
  const answer = await auth.api.verifyApiKey({ body: { key: request.headers['x-api-key'] ?? '' } })
  const body = JSON.stringify(
    answer.valid
      ? { user_id: answer.key.referenceId, key_id: answer.key.id, permissions: answer.key.permissions, metadata: answer.key.metadata }
      : { error: answer.error?.code },
  )
  response.writeHead(answer.valid ? 200 : 401, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  response.end(body)
})
server.keepAliveTimeout = 60_000
server.listen(Number(port), '127.0.0.1')
