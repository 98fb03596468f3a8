'use strict';
// Uses NATS by nats.js.
const { connect, headers, StringCodec, ErrorCode } = require('nats');
const { host, port, username, password, value, traceparent, start, want, run } = require('./told');

const text = StringCodec();

// Waits until the server has taken the message.
async function publish(connection, subject, body, context) {
  const options = {};
  if (context) {
    options.headers = headers();
    options.headers.set('traceparent', context);
  }
  connection.publish(subject, body, options);
  await connection.flush();
}

async function orders(connection) {
  const subscription = connection.subscribe('js.orders.*', { max: 3 });
  await publish(connection, 'js.orders.new', text.encode(value), traceparent);
  await publish(connection, 'js.orders.paid', text.encode(value));
  await publish(connection, 'js.orders.big', new Uint8Array(300000));
  await publish(connection, 'js.unheard', text.encode(value));
  let seen = 0;
  for await (const _ of subscription) seen++;
  want('received', seen, 3);
}

// ask asks a group, of which one answers, and nobody.
async function ask(connection) {
  const answers = connection.subscribe('js.ask', { queue: 'js.workers', callback: (_, message) => message.respond(text.encode(value)) });
  for (let i = 0; i < 3; i++) {
    const answer = await connection.request('js.ask', text.encode(value), { timeout: 10000 });
    want('answer', text.decode(answer.data), value);
  }
  answers.unsubscribe();
  await connection.request('js.nobody', undefined, { timeout: 10000 }).then(() => { throw new Error('no error'); },
    (problem) => want('nobody answers', problem.code, ErrorCode.NoResponders));
}

async function refused(connection) {
  const told = (async () => {
    for await (const status of connection.status()) if (status.type === 'error') return status.data;
  })();
  await publish(connection, 'forbidden.js', text.encode(value));
  want('refused', await told, ErrorCode.PermissionsViolation);
}

run(async () => {
  const connection = await connect({ servers: `${host}:${port}`, user: username, pass: password });
  await start();
  await orders(connection);
  await ask(connection);
  await refused(connection);
  await connection.close();
});
