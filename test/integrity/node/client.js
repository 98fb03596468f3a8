// Makes the requests of a plan: client.js LIBRARY URL PLAN POOL CONNECTIONS.
//
// LIBRARY is http or undici. Plan and output: see ../plan.go and ../outcome.go.
'use strict'
const crypto = require('crypto')
const fs = require('fs')
const http = require('http')
const { Readable } = require('stream')

const [library, url, planName, poolName, connections] = process.argv.slice(2)
const pool = fs.readFileSync(poolName)
const deadline = 60_000

function parse (line) {
  const [id, method, target, framing, offset, size, piece, expect, close, headers] = line.split('\t')
  const r = { id, method, target, framing, piece: +piece, expect: expect === 'expect', close: close === 'close', headers: {} }
  r.body = pool.subarray(+offset, +offset + +size)
  for (const header of headers ? headers.split('\x1f') : []) {
    const at = header.indexOf(':')
    r.headers[header.slice(0, at)] = header.slice(at + 1)
  }
  return r
}

const digest = bytes => crypto.createHash('sha256').update(bytes).digest('hex')

function say (r, status, got, error = '') {
  process.stdout.write([r.id, status, digest(r.body), digest(got), error.replace(/\s+/g, ' ')].join('\t') + '\n')
}

function * pieces (r) {
  for (let at = 0; at < r.body.length; at += r.piece) yield r.body.subarray(at, at + r.piece)
}

function withHttp () {
  const agent = new http.Agent({ keepAlive: true, maxSockets: +connections })
  return r => new Promise((resolve, reject) => {
    const headers = { ...r.headers }
    if (r.close) headers.Connection = 'close'
    if (r.framing === 'length') headers['Content-Length'] = r.body.length
    if (r.framing === 'chunked') headers['Transfer-Encoding'] = 'chunked'
    if (r.expect) headers.Expect = '100-continue'
    const request = http.request(url + r.target, { method: r.method, headers, agent, timeout: deadline })
    request.on('response', answer => {
      const parts = []
      answer.on('data', part => parts.push(part))
      answer.on('error', reject)
      answer.on('end', () => resolve([answer.statusCode, Buffer.concat(parts)]))
    })
    request.on('timeout', () => request.destroy(new Error('timeout')))
    request.on('error', reject)
    const send = () => {
      if (r.framing === 'chunked') Readable.from(pieces(r)).pipe(request)
      else request.end(r.framing === 'length' ? r.body : undefined)
    }
    if (r.expect) request.on('continue', send)
    else send()
  })
}

function withUndici () {
  const { Pool } = require('undici')
  const client = new Pool(url, { connections: +connections, headersTimeout: deadline, bodyTimeout: deadline })
  return async r => {
    const options = { path: r.target, method: r.method, headers: r.headers, reset: r.close }
    if (r.framing === 'length') options.body = r.body
    if (r.framing === 'chunked') options.body = Readable.from(pieces(r), { objectMode: false })
    const answer = await client.request(options)
    return [answer.statusCode, Buffer.from(await answer.body.arrayBuffer())]
  }
}

async function main () {
  const plan = fs.readFileSync(planName, 'utf8').trimEnd().split('\n').map(parse)
  const make = library === 'http' ? withHttp() : withUndici()
  let next = 0
  await Promise.all(Array.from({ length: +connections }, async () => {
    while (next < plan.length) {
      const r = plan[next++]
      try {
        say(r, ...await make(r))
      } catch (e) {
        say(r, 0, '', String(e.stack || e) + String(e.code))
      }
    }
  }))
  process.exitCode = 0
  setImmediate(() => process.exit())
}

main()
