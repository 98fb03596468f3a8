// mysql2: text for plain queries, the binary protocol for execute.
'use strict';
const mysql = require('mysql2/promise');
const sql = require('./sql');

const connect = (host) => mysql.createConnection({
  user: 'root', database: process.env.DATABASE,
  ...(host.startsWith('/') ? { socketPath: host } : { host, port: Number(process.env.PORT) }),
});

async function work(client) {
  for (const { verb, statement, parameters } of sql.workload) {
    switch (verb) {
      case 'run': await client.query(statement); break;
      case 'prepared': await client.execute(statement, parameters); break;
      case 'refused': await sql.refused(client.query(statement), statement); break;
      case 'begin': await client.beginTransaction(); break;
      case 'commit': await client.commit(); break;
    }
  }
  await client.end();
}

(async () => {
  const clients = [];
  for (const host of sql.hosts) clients.push(await connect(host));
  for (const client of clients) await client.execute(sql.early.statement, sql.early.parameters);
  sql.wait();
  for (const client of clients) await client.execute(sql.early.statement, sql.early.parameters);
  for (const host of sql.hosts) clients.push(await connect(host));
  for (const client of clients) await work(client);
})();
