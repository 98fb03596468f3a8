'use strict';
// Uses RabbitMQ by amqplib.
const amqp = require('amqplib');
const { once } = require('node:events');
const { host, port, username, password, value, traceparent, start, want, run } = require('./told');

async function publish(channel, exchange, key, body, headers) {
  channel.publish(exchange, key, body, { headers });
  await channel.waitForConfirms();
}

// consume has what is left delivered, on a channel of its own.
async function consume(connection, channel) {
  const consumer = await connection.createChannel();
  await consumer.prefetch(1);
  await new Promise((resolve, reject) => {
    let seen = 0;
    consumer.consume('js.orders', (message) => {
      seen++;
      if (seen === 3) {
        consumer.reject(message, false);
        resolve();
        return;
      }
      consumer.ack(message);
      if (seen === 2) publish(channel, 'js.shop', 'order.more', Buffer.from(value), { traceparent }).catch(reject);
    }, { consumerTag: 'js.consumer' }).catch(reject);
  });
  await consumer.close();
}

// refused asks for what the server denies, which costs the channel each time.
async function refused(connection) {
  let publisher = await connection.createConfirmChannel();
  const returned = once(publisher, 'return');
  publisher.publish('js.shop', 'nobody', Buffer.from(value), { mandatory: true });
  want('returned', (await returned)[0].fields.replyCode, 312);
  publisher.on('error', () => {});
  await publisher.checkQueue('js.nothing').then(() => { throw new Error('no error'); },
    (problem) => want('refused', problem.code, 404));
  publisher = await connection.createConfirmChannel();
  const closed = once(publisher, 'error').catch((problem) => [problem]);
  publisher.publish('js.nothing', 'key', Buffer.from(value));
  want('closed', (await closed)[0].code, 404);
}

run(async () => {
  const connection = await amqp.connect({ protocol: 'amqp', hostname: host, port, username, password });
  const channel = await connection.createConfirmChannel();
  await start();
  await channel.assertExchange('js.shop', 'topic', { durable: false });
  await channel.assertQueue('js.orders', { durable: false });
  await channel.bindQueue('js.orders', 'js.shop', 'order.#');
  await publish(channel, 'js.shop', 'order.new', Buffer.from(value), { traceparent });
  await publish(channel, 'js.shop', 'order.paid', Buffer.from(value));
  await publish(channel, '', 'js.orders', Buffer.alloc(300000)); // several frames
  const message = await channel.get('js.orders');
  want('got', message.content.toString(), value);
  channel.ack(message);
  await channel.assertQueue('js.empty', { durable: false });
  want('got nothing', await channel.get('js.empty', { noAck: true }), false);
  await consume(connection, channel);
  await refused(connection);
  await connection.close();
});
