#include "net/peer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"

#define PATIENCE_MS 5000

static uint64_t now_ms(void)
{
    return agw_clock_ns() / AGW_NS_PER_MS;
}

void peer_turns(struct agw_loop *loop, int n)
{
    for (int i = 0; i < n; i++)
        agw_loop_turn(loop, 1);
}

void peer_sleep(struct agw_loop *loop, unsigned ms)
{
    uint64_t until = now_ms() + ms;
    while (now_ms() < until)
        agw_loop_turn(loop, 1);
}

int peer_listen(struct agw_addr *ret_addr)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    agw_addr_ip(AGW_STR("127.0.0.1"), 0, ret_addr);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &ret_addr->u.sa, ret_addr->n), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    agw_addr_from(&sa, n, ret_addr);
    return fd;
}

static void start(struct peer *p, struct agw_loop *loop, int fd)
{
    *p = (struct peer){.loop = loop, .fd = fd};
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

void peer_accept(struct peer *p, struct agw_loop *loop, int listener)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    int fd;
    while ((fd = accept(listener, NULL, NULL)) < 0) {
        if (now_ms() > until)
            fail_msg("nobody connects");
        agw_loop_turn(loop, 1);
    }
    start(p, loop, fd);
}

bool peer_waits(struct agw_loop *loop, int listener)
{
    peer_turns(loop, 20);
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

void peer_connect(struct peer *p, struct agw_loop *loop, const struct agw_addr *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &to->u.sa, to->n), 0);
    start(p, loop, fd);
}

void peer_close(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    free(p->heard);
    p->heard = NULL;
    p->n = p->cap = 0;
}

void peer_reset(struct peer *p)
{
    struct linger now = {.l_onoff = 1};
    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    peer_close(p);
}

void peer_shut(struct peer *p)
{
    shutdown(p->fd, SHUT_WR);
}

void peer_say(struct peer *p, const char *text)
{
    peer_say_n(p, text, strlen(text));
}

void peer_say_n(struct peer *p, const char *bytes, size_t n)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (n > 0) {
        ssize_t k = send(p->fd, bytes, n, MSG_NOSIGNAL);
        if (k < 0 && errno != EAGAIN)
            return; /* the test sees it by what it hears */
        if (k > 0) {
            bytes += k;
            n -= (size_t)k;
        } else {
            agw_loop_turn(p->loop, 1);
            if (now_ms() > until)
                fail_msg("%zu bytes are not taken", n);
        }
    }
}

void peer_hear(struct peer *p)
{
    for (;;) {
        if (p->cap - p->n < 65536) {
            p->cap = p->cap * 2 + 65536 + 1;
            p->heard = realloc(p->heard, p->cap);
            assert_non_null(p->heard);
        }
        ssize_t k = p->end ? -1 : recv(p->fd, p->heard + p->n, p->cap - p->n - 1, 0);
        if (k == 0)
            p->end = 1;
        else if (k < 0 && !p->end && errno != EAGAIN)
            p->end = errno;
        if (k > 0)
            p->n += (size_t)k;
        p->heard[p->n] = 0;
        if (k <= 0)
            return;
    }
}

static const char *find(const struct peer *p, const char *text)
{
    return p->heard ? memmem(p->heard, p->n, text, strlen(text)) : NULL;
}

bool peer_heard(const struct peer *p, const char *text)
{
    return find(p, text) != NULL;
}

void peer_expect(struct peer *p, const char *text)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    const char *at;
    while (peer_hear(p), !(at = find(p, text))) {
        if (p->end || now_ms() > until)
            fail_msg("heard no \"%s\" but%s \"%s\"", text, p->end ? " an end after" : "", p->heard);
        agw_loop_turn(p->loop, 1);
    }
    size_t used = (size_t)(at - p->heard) + strlen(text);
    memmove(p->heard, p->heard + used, p->n - used + 1);
    p->n -= used;
}

void peer_expect_n(struct peer *p, size_t n)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (peer_hear(p), p->n < n) {
        if (p->end || now_ms() > until)
            fail_msg("heard %zu bytes of %zu%s", p->n, n, p->end ? ", then an end" : "");
        agw_loop_turn(p->loop, 1);
    }
}

int peer_expect_end(struct peer *p)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (peer_hear(p), !p->end) {
        if (now_ms() > until)
            fail_msg("no end but \"%.200s\"", p->heard);
        agw_loop_turn(p->loop, 1);
    }
    return p->end;
}

void peer_expect_nothing(struct peer *p)
{
    peer_turns(p->loop, 20);
    peer_hear(p);
    if (p->n > 0 || p->end)
        fail_msg("heard \"%s\"%s", p->heard, p->end ? " and an end" : "");
}

void peer_forget(struct peer *p)
{
    p->n = 0;
    if (p->heard)
        p->heard[0] = 0;
}
