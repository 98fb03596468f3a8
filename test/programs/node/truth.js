'use strict';
// Ground truth: what this program knows about its own requests, as JSON lines.
// See ../python/truth.py for the form.
const fs = require('node:fs');
const { randomUUID } = require('node:crypto');

const file = process.env.GROUND_TRUTH;

function record(fields) {
  if (file) fs.appendFileSync(file, JSON.stringify(fields) + '\n');
}

// Names an outgoing request made for `request`, and says where it goes.
function call(request, url) {
  const name = randomUUID();
  record({ request, call: name });
  return url + (url.includes('?') ? '&' : '?') + 'id=' + name;
}

module.exports = { record, call };
