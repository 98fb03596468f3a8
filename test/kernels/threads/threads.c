// SPDX-License-Identifier: Apache-2.0
//
// An HTTP/1.1 server and client on nothing but read(2) and write(2), with one
// thread per connection: the classic program for which "the thread that sends
// is the thread that serves" holds. Linked statically, it runs in an initramfs.
//
//   threads serve PORT [NEXT]   answers every request; with NEXT it first asks
//                               the server on that port for the same target
//   threads get PORT TARGET     one request; exits 0 when the answer is a 200
//
// One request a connection: both ends close after it.
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 4096 }; // more than any head of this test

static int next_port; // of the server behind this one; 0: none

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((unsigned short)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int write_all(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n <= 0)
			return -1;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

// Reads up to and including the empty line that ends a head, and terminates it
// as a string. Returns -1 when the peer hangs up before, or the head is too long.
static int read_head(int fd, char *buf)
{
	size_t len = 0;

	while (len < HEAD_MAX - 1) {
		ssize_t n = read(fd, buf + len, HEAD_MAX - 1 - len);

		if (n <= 0)
			return -1;
		len += (size_t)n;
		buf[len] = '\0';
		if (strstr(buf, "\r\n\r\n"))
			return 0;
	}
	return -1;
}

// Sends one request and waits for the end of the answer. Returns its status,
// or -1.
static int get(int port, const char *target)
{
	struct sockaddr_in addr = loopback(port);
	char buf[HEAD_MAX], rest[HEAD_MAX];
	int status = -1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
		int len = snprintf(buf, sizeof(buf),
				   "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
				   "Connection: close\r\n\r\n",
				   target, port);

		if (write_all(fd, buf, (size_t)len) == 0 && read_head(fd, buf) == 0) {
			if (sscanf(buf, "HTTP/1.1 %d", &status) != 1)
				status = -1;
			while (read(fd, rest, sizeof(rest)) > 0)
				;
		}
	}
	close(fd);
	return status;
}

static void *serve_one(void *arg)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
				 "Connection: close\r\n\r\nok\n";
	static const char bad[] = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n"
				  "Connection: close\r\n\r\n";
	char head[HEAD_MAX], target[HEAD_MAX];
	int fd = (int)(long)arg;

	if (read_head(fd, head) == 0 && sscanf(head, "GET %4095s", target) == 1) {
		if (next_port == 0 || get(next_port, target) == 200)
			write_all(fd, ok, sizeof(ok) - 1);
		else
			write_all(fd, bad, sizeof(bad) - 1);
	}
	close(fd);
	return NULL;
}

static void serve(int port)
{
	struct sockaddr_in addr = loopback(port);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		fail("bind");
	if (listen(fd, 16) < 0)
		fail("listen");
	for (;;) {
		pthread_t thread;
		int conn = accept(fd, NULL, NULL);

		if (conn < 0)
			fail("accept");
		if (pthread_create(&thread, NULL, serve_one, (void *)(long)conn) != 0)
			fail("pthread_create");
		pthread_detach(thread);
	}
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && strcmp(argv[1], "get") == 0)
		return get(atoi(argv[2]), argv[3]) == 200 ? 0 : 1;
	if (argc < 3 || argc > 4 || strcmp(argv[1], "serve") != 0) {
		fprintf(stderr, "usage: threads serve PORT [NEXT] | threads get PORT TARGET\n");
		return 2;
	}
	if (argc == 4)
		next_port = atoi(argv[3]);
	serve(atoi(argv[2]));
}
