/*
 * Runs the workload in libpq's pipeline mode: all that stands between two
 * refused statements goes out before the first answer is read. See
 * ../python/sql.py for $WORKLOAD and $GATE.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { most_parameters = 8, most_text = 1 << 20 };

static void die(const char *what, const char *why)
{
	fprintf(stderr, "pipeline: %s: %s\n", what, why);
	exit(1);
}

static PGconn *connect_to(const char *host)
{
	const char *keys[] = { "host", "port", "user", "dbname", "sslmode", NULL };
	const char *values[] = { host, getenv("PORT"), "postgres", "postgres", "disable", NULL };
	PGconn *conn = PQconnectdbParams(keys, values, 0);
	if (PQstatus(conn) != CONNECTION_OK)
		die("connect", PQerrorMessage(conn));
	return conn;
}

/* numbered writes PostgreSQL's parameters. */
static void numbered(const char *statement, char *text)
{
	int n = 0;
	for (; *statement; statement++) {
		if (*statement == '?')
			text += sprintf(text, "$%d", ++n);
		else
			*text++ = *statement;
	}
	*text = 0;
}

/* finish reads all answers up to the sync, and says how many were refused. */
static int finish(PGconn *conn)
{
	int refused = 0;
	if (!PQpipelineSync(conn))
		die("sync", PQerrorMessage(conn));
	for (;;) {
		PGresult *result = PQgetResult(conn);
		ExecStatusType status = result ? PQresultStatus(result) : PGRES_TUPLES_OK;
		if (status == PGRES_FATAL_ERROR)
			refused++;
		PQclear(result);
		if (status == PGRES_PIPELINE_SYNC)
			return refused;
	}
}

static void send_one(PGconn *conn, char *fields)
{
	static char text[most_text];
	const char *parameters[most_parameters];
	int count = 0;
	char *statement = strsep(&fields, "\t");
	while (fields && count < most_parameters)
		parameters[count++] = strsep(&fields, "\t");
	numbered(statement, text);
	if (!PQsendQueryParams(conn, text, count, NULL, parameters, NULL, NULL, 0))
		die("send", PQerrorMessage(conn));
}

/* work runs the workload, and returns how many statements were refused. */
static int work(PGconn *conn)
{
	int refused = 0;
	char *line = malloc(most_text);
	FILE *file = fopen(getenv("WORKLOAD"), "r");
	if (!file || !line)
		die("read the workload", strerror(errno));
	PQenterPipelineMode(conn);
	while (fgets(line, most_text, file)) {
		char *rest = line;
		line[strcspn(line, "\n")] = 0;
		char *verb = strsep(&rest, "\t");
		if (!strcmp(verb, "early") || !strcmp(verb, "copyin") || !strcmp(verb, "copyout"))
			continue; /* COPY is not allowed in a pipeline */
		send_one(conn, rest);
		if (!strcmp(verb, "refused") || !strcmp(verb, "commit"))
			refused += finish(conn);
	}
	refused += finish(conn);
	/* What follows an error up to the sync is not executed. */
	char good[] = "SELECT 1", bad[] = "SELECT 1 / 0", never[] = "SELECT 2";
	send_one(conn, good);
	send_one(conn, bad);
	send_one(conn, never);
	refused += finish(conn);
	fclose(file);
	free(line);
	return refused;
}

int main(void)
{
	const char *hosts[] = { "127.0.0.1", getenv("SOCKET") };
	PGconn *conns[4];
	const char *value = "hush-early";
	for (int i = 0; i < 2; i++) {
		conns[i] = connect_to(hosts[i]);
		PQclear(PQprepare(conns[i], "early", "SELECT CAST($1 AS text)", 1, NULL));
	}
	FILE *gate = fopen(getenv("GATE"), "r");
	if (!gate)
		die("gate", strerror(errno));
	while (fgetc(gate) != EOF)
		;
	for (int i = 0; i < 2; i++)
		PQclear(PQexecPrepared(conns[i], "early", 1, &value, NULL, NULL, 0));
	for (int i = 0; i < 2; i++)
		conns[2 + i] = connect_to(hosts[i]);
	for (int i = 0; i < 4; i++) {
		if (work(conns[i]) == 0)
			die("work", "nothing was refused");
		PQfinish(conns[i]);
	}
	return 0;
}
