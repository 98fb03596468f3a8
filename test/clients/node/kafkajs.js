'use strict';
// Uses Kafka by kafkajs.
const { Kafka, Partitioners, logLevel } = require('kafkajs');
const { host, port, value, traceparent, start, want, run } = require('./told');

const topic = 'js.orders';

async function produce(producer) {
  const send = (...messages) => producer.send({ topic, messages });
  await send({ key: value, value, headers: { traceparent } });
  await send({ value });
  await producer.send({ topic: 'js.big', messages: [{ value: Buffer.alloc(300000) }] });
  await send(...Array.from({ length: 20 }, (_, i) => ({ value: `${value}-${i}` })));
  await producer.send({ topic: 'js.refused', messages: [{ value }] }).then(() => { throw new Error('no error'); },
    (problem) => want('refused', problem.type, 'TOPIC_AUTHORIZATION_FAILED'));
}

async function consume(kafka) {
  const consumer = kafka.consumer({ groupId: 'js.workers' });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let seen = 0;
  await new Promise((resolve, reject) => {
    consumer.run({ eachMessage: async () => { if (++seen === 22) resolve(); } }).catch(reject);
  });
  want('received', seen, 22);
  await consumer.disconnect();
}

run(async () => {
  const kafka = new Kafka({ clientId: 'js', brokers: [`${host}:${port}`], logLevel: logLevel.ERROR });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  await start();
  await produce(producer);
  await consume(kafka);
  await producer.disconnect();
});
