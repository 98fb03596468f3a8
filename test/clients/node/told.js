'use strict';
// What a client is told, and when it starts; see ../clients.go.
const fs = require('node:fs');

const [host, port] = process.env.ADDRESS.split(':');

// Says that it is ready by opening the FIFO $GATE, and waits for its end.
async function start() {
  if (process.env.GATE) await fs.promises.readFile(process.env.GATE);
}

function want(what, got, expected) {
  if (got !== expected) throw new Error(`${what}: got ${got}, want ${expected}`);
}

// Runs a program to its end, whatever its library leaves open.
function run(main) {
  main().then(() => process.exit(0), (problem) => {
    console.error(problem);
    process.exit(1);
  });
}

module.exports = {
  host, port: Number(port), start, want, run,
  username: process.env.USERNAME, password: process.env.PASSWORD,
  value: process.env.VALUE, traceparent: process.env.TRACEPARENT,
};
