'use strict';
// Uses Redis by ioredis.
const Redis = require('ioredis');
const { host, port, password, value, start, want, run } = require('./told');

// Resolves with the code of the error that the promise must be rejected with.
const failure = (promise) => promise.then(() => 'none', (problem) => problem.message.split(' ')[0]);

async function keys(client) {
  await client.set('hush:js:k', value, 'EX', 60);
  want('get', await client.get('hush:js:k'), value);
  want('get nothing', await client.get('hush:js:nothing'), null);
  const big = value.repeat(Math.floor(300000 / value.length));
  await client.set('hush:js:big', big);
  want('get much', await client.get('hush:js:big'), big);
  want('delete', await client.del('hush:js:big', 'hush:js:k'), 2);
  want('count', await client.incrby('hush:js:n', 5), 5);
}

async function collections(client) {
  want('push', await client.rpush('hush:js:list', 'a', 'b', value), 3);
  want('range', (await client.lrange('hush:js:list', 0, -1)).length, 3);
  want('hash', await client.hset('hush:js:hash', { one: value, two: 2 }), 2);
  want('whole hash', (await client.hgetall('hush:js:hash')).one, value);
  const many = Array.from({ length: 50 }, (_, i) => `hush:js:many:${i}`);
  want('many', (await client.mget(many)).length, 50);
  want('script', await client.eval("return redis.call('incr', KEYS[1])", 1, 'hush:js:n'), 6);
  want('blocked', await client.blpop('hush:js:empty', 0.1), null);
}

async function batches(client) {
  const pipeline = client.pipeline();
  for (let i = 0; i < 30; i++) pipeline.set(`hush:js:p:${i}`, value).get(`hush:js:p:${i}`);
  want('pipeline', (await pipeline.exec()).length, 60);
  want('transaction', (await client.multi().incr('hush:js:n').incr('hush:js:n').exec()).length, 2);
  // Calls that nobody awaits are written together.
  want('at once', (await Promise.all([client.get('hush:js:n'), client.get('hush:js:n'), client.get('hush:js:n')]))[2], '8');
}

async function failures(client) {
  want('wrong type', await failure(client.incr('hush:js:list')), 'WRONGTYPE');
  want('unknown command', await failure(client.call('nosuch', value)), 'ERR');
  const answers = await client.pipeline().set('hush:js:k', 1).lpush('hush:js:k', 1).get('hush:js:k').exec();
  want('error in a pipeline', answers[1][0].message.split(' ')[0], 'WRONGTYPE');
}

async function channel(client) {
  const subscription = new Redis({ host, port, password });
  await subscription.subscribe('hush:js:channel');
  for (let i = 0; i < 3; i++) {
    const message = new Promise((resolve) => subscription.once('message', (_, text) => resolve(text)));
    want('publish', await client.publish('hush:js:channel', value), 1);
    want('message', await message, value);
  }
  await subscription.unsubscribe('hush:js:channel');
  subscription.disconnect();
}

run(async () => {
  const client = new Redis({ host, port, password });
  await client.ping();
  await start();
  await keys(client);
  await collections(client);
  await batches(client);
  await failures(client);
  await channel(client);
  const third = new Redis({ host, port, password, db: 3 });
  await third.set('hush:js:third', value);
  want('get in 3', await third.get('hush:js:third'), value);
});
