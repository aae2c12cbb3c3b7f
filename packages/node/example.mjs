// A service whose callers need a key that may read payments: node example.mjs [address of Trousseau] [port]
import http from 'node:http'
import { Trousseau } from './index.js'

const [url = 'http://127.0.0.1:8080', port = '9000'] = process.argv.slice(2)
const trousseau = new Trousseau({ url })

const server = http.createServer(async (request, response) => {
  const asked = { headers: request.rawHeaders, ip: request.socket.remoteAddress, protocol: 'http', url: request.url }
  const decision = await trousseau.authorize(asked, { scope: 'payments:read' })
  if (!decision.allowed) {
    response.writeHead(decision.status, Object.fromEntries(decision.headers))
    response.end(decision.body)
    return
  }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ hello: decision.caller.businessId, key: decision.caller.keyId }))
})
server.listen(Number(port), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
