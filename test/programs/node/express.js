'use strict';
// An express application which calls out by fetch.
const express = require('express');
const truth = require('./truth');

const app = express();
app.use((message, response, next) => {
  response.locals.request = message.get('X-Request-Id') || message.query.id || '';
  truth.record({ request: response.locals.request });
  next();
});
app.all('/', (message, response) => response.type('text').send('hello\n'));
app.get('/slow', (message, response) => {
  setTimeout(() => response.type('text').send('slow\n'), Number(message.query.ms || 200));
});
app.get('/error', (message, response) => response.status(500).type('text').send('error\n'));
app.get('/call', async (message, response) => {
  try {
    const answer = await fetch(truth.call(response.locals.request, message.query.url));
    response.type('text').send(await answer.text());
  } catch (problem) {
    response.status(502).type('text').send(problem.message + '\n');
  }
});
app.listen(Number(process.env.PORT), '127.0.0.1', 1024);
