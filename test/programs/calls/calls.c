// SPDX-License-Identifier: Apache-2.0
/*
 * A small HTTP server or client that moves its bytes by the system calls it is
 * told, for the tests of what each family of hooks sees.
 *
 *   calls server SEND RECEIVE PORT        answers one request a connection
 *   calls client SEND RECEIVE PORT PATH   sends one request, prints the answer
 *
 * SEND is write, writev, sendmmsg, splice, sendfile or uring; RECEIVE is read,
 * readv, recvmmsg, splice or uring. Everything is sent and received in pieces
 * where the call can: the first of writev, readv and the like holds few bytes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FIRST 9 /* bytes of the first piece: in the midst of a request line */

typedef ssize_t mover(int sock, char *text, size_t n);

static struct io_uring ring;

static ssize_t send_write(int sock, char *text, size_t n)
{
	return write(sock, text, n);
}

static ssize_t send_writev(int sock, char *text, size_t n)
{
	struct iovec v[] = { { text, FIRST }, { text + FIRST, n - FIRST } };

	return writev(sock, v, 2);
}

static ssize_t send_mmsg(int sock, char *text, size_t n)
{
	struct iovec v[] = { { text, FIRST }, { text + FIRST, n - FIRST } };
	struct mmsghdr m[2] = { { .msg_hdr = { .msg_iov = v, .msg_iovlen = 1 } },
				{ .msg_hdr = { .msg_iov = v + 1, .msg_iovlen = 1 } } };

	if (sendmmsg(sock, m, 2, 0) != 2)
		return -1;
	return m[0].msg_len + m[1].msg_len;
}

static ssize_t send_splice(int sock, char *text, size_t n)
{
	ssize_t sent;
	int p[2];

	if (pipe(p) || write(p[1], text, n) != (ssize_t)n)
		return -1;
	sent = splice(p[0], NULL, sock, NULL, n, 0);
	close(p[0]);
	close(p[1]);
	return sent;
}

static ssize_t send_file(int sock, char *text, size_t n)
{
	int file = memfd_create("text", 0);
	off_t from = 0;
	ssize_t sent;

	if (file < 0 || write(file, text, n) != (ssize_t)n)
		return -1;
	sent = sendfile(sock, file, &from, n);
	close(file);
	return sent;
}

/* Submits what has been prepared and returns its result. */
static ssize_t uring_wait(void)
{
	struct io_uring_cqe *done;
	ssize_t result;

	if (io_uring_submit(&ring) != 1 || io_uring_wait_cqe(&ring, &done))
		return -1;
	result = done->res;
	io_uring_cqe_seen(&ring, done);
	return result;
}

static ssize_t send_uring(int sock, char *text, size_t n)
{
	io_uring_prep_send(io_uring_get_sqe(&ring), sock, text, n, 0);
	return uring_wait();
}

static ssize_t receive_read(int sock, char *text, size_t n)
{
	return read(sock, text, n);
}

static ssize_t receive_readv(int sock, char *text, size_t n)
{
	struct iovec v[] = { { text, FIRST }, { text + FIRST, n - FIRST } };

	return readv(sock, v, 2);
}

static ssize_t receive_mmsg(int sock, char *text, size_t n)
{
	struct iovec v[] = { { text, FIRST }, { text + FIRST, n - FIRST } };
	struct mmsghdr m[2] = { { .msg_hdr = { .msg_iov = v, .msg_iovlen = 1 } },
				{ .msg_hdr = { .msg_iov = v + 1, .msg_iovlen = 1 } } };
	int messages = recvmmsg(sock, m, 2, MSG_WAITFORONE, NULL);

	if (messages <= 0)
		return messages;
	return m[0].msg_len + (messages > 1 ? m[1].msg_len : 0);
}

static ssize_t receive_splice(int sock, char *text, size_t n)
{
	ssize_t got;
	int p[2];

	if (pipe(p))
		return -1;
	got = splice(sock, NULL, p[1], NULL, n, 0);
	if (got > 0)
		got = read(p[0], text, got);
	close(p[0]);
	close(p[1]);
	return got;
}

static ssize_t receive_uring(int sock, char *text, size_t n)
{
	io_uring_prep_recv(io_uring_get_sqe(&ring), sock, text, n, 0);
	return uring_wait();
}

static const struct {
	const char *name;
	mover *move;
} senders[] = { { "write", send_write },   { "writev", send_writev }, { "sendmmsg", send_mmsg },
		{ "splice", send_splice }, { "sendfile", send_file }, { "uring", send_uring } },
  receivers[] = { { "read", receive_read },
		  { "readv", receive_readv },
		  { "recvmmsg", receive_mmsg },
		  { "splice", receive_splice },
		  { "uring", receive_uring } };

static void send_all(mover *move, int sock, char *text)
{
	size_t n = strlen(text);

	if (move(sock, text, n) != (ssize_t)n) /* it fits any socket buffer */
		err(1, "send");
}

/* Reads up to an empty line, or with `all` up to the end; returns the bytes read. */
static size_t receive_all(mover *move, int sock, char *text, size_t size, int all)
{
	size_t n = 0;
	ssize_t got;

	text[0] = 0;
	while (n < size - FIRST - 2 && (all || !strstr(text, "\r\n\r\n"))) {
		got = move(sock, text + n, size - 1 - n);
		if (got < 0)
			err(1, "receive");
		if (got == 0)
			break;
		text[n += got] = 0;
	}
	return n;
}

static void serve(mover *send, mover *receive, int listener)
{
	static char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
	char text[4096];

	for (;;) {
		int sock = accept(listener, NULL, NULL);

		if (sock < 0)
			err(1, "accept");
		if (receive_all(receive, sock, text, sizeof(text), 0))
			send_all(send, sock, answer);
		close(sock);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	mover *send = NULL, *receive = NULL;
	int sock = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	char text[4096];
	size_t i;

	for (i = 0; argc > 4 && i < sizeof(senders) / sizeof(senders[0]); i++)
		if (!strcmp(argv[2], senders[i].name))
			send = senders[i].move;
	for (i = 0; argc > 4 && i < sizeof(receivers) / sizeof(receivers[0]); i++)
		if (!strcmp(argv[3], receivers[i].name))
			receive = receivers[i].move;
	if (!send || !receive)
		errx(2, "usage: calls server|client SEND RECEIVE PORT [PATH]");
	if ((send == send_uring || receive == receive_uring) && io_uring_queue_init(4, &ring, 0))
		err(1, "set up io_uring");
	to.sin_port = htons(atoi(argv[4]));
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (argc == 5) {
		if (bind(sock, (struct sockaddr *)&to, sizeof(to)) || listen(sock, 16))
			err(1, "listen");
		serve(send, receive, sock);
	}
	usleep(200000); /* as others do that have to load a runtime first */
	if (connect(sock, (struct sockaddr *)&to, sizeof(to)))
		err(1, "connect");
	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		 argv[5]);
	send_all(send, sock, text);
	fwrite(text, 1, receive_all(receive, sock, text, sizeof(text), 1), stdout);
	return 0;
}
