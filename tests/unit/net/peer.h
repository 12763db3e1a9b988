/* The other end of a connection, played by a test: what it says and what it heard, while the loop under test
 * turns. Every wait gives up after five seconds and fails the test with what has come so far. */
#ifndef TESTS_NET_PEER_H
#define TESTS_NET_PEER_H

#include "event/loop.h"
#include "net/addr.h"

struct peer {
    struct agw_loop *loop;
    int fd;      /* -1: closed */
    char *heard; /* NUL after it */
    size_t n, cap;
    int end; /* 0: open; 1: the other side ended in order; else errno */
};

/* Turns the loop |n| times; each waits a millisecond at most. */
void peer_turns(struct agw_loop *loop, int n);
/* Turns until |ms| have passed. */
void peer_sleep(struct agw_loop *loop, unsigned ms);

/* A listening socket on a free port of 127.0.0.1. */
int peer_listen(struct agw_addr *ret_addr);
void peer_accept(struct peer *p, struct agw_loop *loop, int listener);
/* True if a connection is there to be accepted, after a few turns. */
bool peer_waits(struct agw_loop *loop, int listener);
void peer_connect(struct peer *p, struct agw_loop *loop, const struct agw_addr *to);
void peer_close(struct peer *p); /* FIN, or RST if bytes are unread in the socket */
void peer_reset(struct peer *p); /* RST */
void peer_shut(struct peer *p);  /* FIN, reading goes on */

void peer_say(struct peer *p, const char *text);
/* Says |n| bytes while the loop turns. */
void peer_say_n(struct peer *p, const char *bytes, size_t n);
/* Takes what has come without waiting. */
void peer_hear(struct peer *p);
/* Waits for |text|; drops all through it. */
void peer_expect(struct peer *p, const char *text);
/* Waits until |n| bytes are there. */
void peer_expect_n(struct peer *p, size_t n);
/* Waits for the end of the connection; returns p->end. */
int peer_expect_end(struct peer *p);
/* Fails if anything comes within a few turns. */
void peer_expect_nothing(struct peer *p);
bool peer_heard(const struct peer *p, const char *text);
void peer_forget(struct peer *p); /* what it heard */

#endif
