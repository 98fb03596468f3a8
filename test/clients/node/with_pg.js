// node-postgres, which talks the extended protocol when there are parameters.
'use strict';
const { Client } = require('pg');
const sql = require('./sql');

async function connect(host) {
  const client = new Client({
    host, port: Number(process.env.PORT), user: 'postgres', database: 'postgres',
    application_name: process.env.PGAPPNAME,
  });
  await client.connect();
  return client;
}

const numbered = (statement) => {
  let n = 0;
  return statement.replace(/\?/g, () => `$${++n}`);
};

const early = (client) => client.query({
  name: 'early', text: numbered(sql.early.statement), values: sql.early.parameters,
});

async function work(client) {
  for (const { verb, statement, parameters } of sql.workload) {
    switch (verb) {
      case 'run': case 'several': await client.query(statement); break;
      case 'prepared': await client.query({ name: statement, text: numbered(statement), values: parameters }); break;
      case 'refused': await sql.refused(client.query(statement), statement); break;
      case 'begin': case 'commit': await client.query(verb); break;
    }
  }
  await client.end();
}

(async () => {
  const clients = [];
  for (const host of sql.hosts) clients.push(await connect(host));
  for (const client of clients) await early(client);
  sql.wait();
  for (const client of clients) await early(client);
  for (const host of sql.hosts) clients.push(await connect(host));
  for (const client of clients) await work(client);
})();
