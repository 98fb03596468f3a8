// What the SQL clients in JavaScript share: the workload and the gate. See
// ../python/sql.py for their form.
'use strict';
const fs = require('fs');

const parameter = (text) => (/^\d+$/.test(text) ? Number(text) : text);

exports.workload = fs.readFileSync(process.env.WORKLOAD, 'utf8').trimEnd().split('\n').map((line) => {
  const [verb, statement, ...rest] = line.split('\t');
  return { verb, statement, parameters: rest.map(parameter) };
});

// early is the statement that is prepared before the gate.
exports.early = exports.workload.find((entry) => entry.verb === 'early');

exports.wait = () => fs.readFileSync(process.env.GATE);

// hosts say where the server is: by TCP, and by unix socket.
exports.hosts = ['127.0.0.1', process.env.SOCKET];

// refused expects that a promise fails.
exports.refused = async (work, statement) => {
  try {
    await work;
  } catch {
    return;
  }
  throw new Error(`${statement} was not refused`);
};
