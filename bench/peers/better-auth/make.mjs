// Makes a database with so many keys and writes them down, one a line: node make.mjs DATABASE COUNT LIST.
// The plugin makes the first; the others are copies of its row with values of their own, which is quicker by far.
import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { open } from './auth.mjs'

const [file, count, list] = process.argv.slice(2)
const { auth, database } = open(file, 'http://127.0.0.1')
await (await auth.$context).runMigrations()
const password = randomBytes(16).toString('hex')
const { user } = await auth.api.signUpEmail({ body: { email: 'bench@example.com', name: 'Bench', password } })
const first = await auth.api.createApiKey({ body: { userId: user.id, name: 'Bench' } })

const digest = (value) => createHash('sha256').update(value).digest('base64url')
const row = database.prepare('SELECT * FROM apikey').get()
if (row.key !== digest(first.key)) throw new Error('the plugin digests keys in another way than this file does')

const columns = Object.keys(row)
const insert = database.prepare(
  `INSERT INTO apikey (${columns.map((name) => `"${name}"`).join(', ')}) VALUES (${columns.map((name) => `@${name}`).join(', ')})`,
)
const values = [first.key]
database.transaction(() => {
  while (values.length < Number(count)) {
    // As long as the plugin's own: 64 letters and digits.
    const value = randomBytes(32).toString('hex')
    insert.run({ ...row, id: randomBytes(16).toString('hex'), key: digest(value), start: value.slice(0, 6) })
    values.push(value)
  }
})()
database.close()
writeFileSync(list, `${values.join('\n')}\n`)
