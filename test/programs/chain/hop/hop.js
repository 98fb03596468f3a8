'use strict';
// A link of a chain in JavaScript: the http module as server and, with its
// keep-alive agent, as client. See package chain for what it is told.
const fs = require('node:fs');
const http = require('node:http');
const { randomUUID } = require('node:crypto');

const { LISTEN, NEXT, GROUND_TRUTH } = process.env;
const agent = new http.Agent({ keepAlive: true });

function record(fields) {
  if (GROUND_TRUTH) fs.appendFileSync(GROUND_TRUTH, JSON.stringify(fields) + '\n');
}

function call(request, reply) {
  const name = randomUUID();
  record({ request, call: name });
  http.get(`${NEXT}?id=${name}`, { agent }, (response) => {
    const parts = [];
    response.on('data', (part) => parts.push(part));
    response.on('end', () => reply(response.statusCode, Buffer.concat(parts)));
  }).on('error', (problem) => reply(502, problem.message + '\n'));
}

http.createServer((message, response) => {
  const request = new URL(message.url, 'http://localhost').searchParams.get('id') || '';
  record({ request });
  message.resume();
  const reply = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'text/plain' });
    response.end(`node\n${body}`);
  };
  if (NEXT) call(request, reply);
  else reply(200, '');
}).listen(Number(LISTEN.split(':')[1]), LISTEN.split(':')[0], 1024);
