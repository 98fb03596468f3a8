// An HTTP server whose pages ask PostgreSQL by node-postgres. Its queries are
// named as those of ../python/web.py.
'use strict';
const http = require('http');
const { Pool } = require('pg');

const pool = new Pool({ host: '127.0.0.1', port: Number(process.env.PGPORT), user: 'postgres', database: 'postgres', max: 16, min: 8 });

async function page(url) {
  const name = `q_${url.searchParams.get('id').replaceAll('-', '_')}`;
  await pool.query(`SELECT pg_sleep(random() * 0.004) AS ${name}`);
  await pool.query(`SELECT abalance AS ${name} FROM pgbench_accounts WHERE aid = 7`);
  await pool.query(`SELECT tbalance AS ${name} FROM pgbench_tellers WHERE tid = $1`, [3]);
}

const server = http.createServer((request, response) => {
  page(new URL(request.url, 'http://localhost')).then(
    () => response.end('done\n'),
    (problem) => { response.statusCode = 500; response.end(`${problem}\n`); },
  );
});
server.listen(Number(process.env.PORT), '127.0.0.1');
