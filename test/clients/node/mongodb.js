'use strict';
// Uses MongoDB by its driver.
const { MongoClient } = require('mongodb');
const { host, port, value, start, want, run } = require('./told');

async function write(orders) {
  await orders.insertOne({ _id: 1, customer: value, total: 12.5 });
  await orders.insertMany(Array.from({ length: 30 }, (_, i) => ({ _id: 10 + i, customer: value, total: i })));
  await orders.insertOne({ _id: 100, text: 'x'.repeat(300000) });
  want('update', (await orders.updateMany({ customer: value }, { $set: { seen: true } })).modifiedCount, 31);
  want('delete', (await orders.deleteOne({ _id: 39 })).deletedCount, 1);
}

async function read(orders) {
  want('find one', (await orders.findOne({ customer: value })).customer, value);
  want('find much', (await orders.findOne({ _id: 100 })).text.length, 300000);
  want('all', (await orders.find({ customer: value }).batchSize(10).toArray()).length, 30);
  want('count', await orders.countDocuments({ customer: value }), 30);
  const cursor = orders.find({}).batchSize(2);
  await cursor.next();
  await cursor.close();
}

async function refused(shop) {
  const code = (promise) => promise.then(() => 0, (problem) => problem.code);
  want('duplicate', await code(shop.collection('orders').insertOne({ _id: 1, customer: value })), 11000);
  want('unknown command', await code(shop.command({ nosuchcommand: 1 })), 59);
  want('bad value', await code(shop.collection('orders').findOne({ $nosuch: value })), 2);
}

run(async () => {
  const client = new MongoClient(`mongodb://${host}:${port}/`, { maxPoolSize: 1, retryWrites: false });
  const shop = client.db('js_shop');
  await shop.command({ ping: 1 });
  await start();
  await write(shop.collection('orders'));
  await read(shop.collection('orders'));
  await refused(shop);
  await client.close();
});
