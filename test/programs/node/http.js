'use strict';
// The http module as server and, with its keep-alive agent, as client.
const http = require('node:http');
const truth = require('./truth');

const agent = new http.Agent({ keepAlive: true });

function fetchInto(url, reply) {
  http.get(url, { agent }, (response) => {
    const parts = [];
    response.on('data', (part) => parts.push(part));
    response.on('end', () => reply(200, Buffer.concat(parts)));
  }).on('error', (problem) => reply(502, problem.message + '\n'));
}

const ignore = () => {};

if (process.env.HEARTBEAT) {
  setInterval(() => fetchInto(truth.call('', process.env.HEARTBEAT), ignore), 25);
}

http.createServer((message, response) => {
  const url = new URL(message.url, 'http://localhost');
  const request = message.headers['x-request-id'] || url.searchParams.get('id') || '';
  truth.record({ request });
  const reply = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(body) });
    response.end(body);
  };
  message.resume();
  switch (url.pathname) {
    case '/': return reply(200, 'hello\n');
    case '/slow': return setTimeout(reply, Number(url.searchParams.get('ms') || 200), 200, 'slow\n');
    case '/error': return reply(500, 'error\n');
    case '/call': return fetchInto(truth.call(request, url.searchParams.get('url')), reply);
    case '/later':
      setTimeout(fetchInto, Number(url.searchParams.get('ms') || 50), truth.call(request, url.searchParams.get('url')), ignore);
      return reply(200, 'later\n');
    default: return reply(404, 'not found\n');
  }
}).listen(Number(process.env.PORT), '127.0.0.1', 1024);
