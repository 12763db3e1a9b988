#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "failmalloc.h"
#include "net/dns.h"

/* A name server on the same loop. It knows "two.test" (an IPv4 and an IPv6 address), "many.test" (40 IPv4
 * addresses), "big.test" (does not fit a datagram: comes by TCP); "silent.test" gets no answer, others do not
 * exist. */
static struct agw_loop loop;
static struct agw_dns *dns;
static int udp, tcp;
static uint16_t dns_port;
static int questions;
static bool answers_held, servers_fail, two_is_gone;

struct answer {
    int calls, code;
    size_t count;
    struct agw_addr addrs[AGW_DNS_ADDRS];
};

static void on_answer(void *ctx, int code, const struct agw_addr *addrs, size_t count)
{
    struct answer *a = ctx;
    a->calls++;
    a->code = code;
    a->count = count;
    assert_true(count <= AGW_DNS_ADDRS);
    if (count)
        memcpy(a->addrs, addrs, count * sizeof(*addrs));
}

/* --- the server --- */

static size_t name_text(const unsigned char *p, char *out)
{
    size_t at = 0, n = 0;
    while (p[at]) {
        if (n)
            out[n++] = '.';
        memcpy(out + n, p + at + 1, p[at]);
        n += p[at];
        at += p[at] + 1u;
    }
    out[n] = 0;
    return at + 1;
}

static size_t put_record(unsigned char *out, int type, int last, unsigned ttl)
{
    unsigned char head[12] = {0xc0, 12, 0, (unsigned char)type, 0, 1,
                              0,    0,  0, (unsigned char)ttl,  0, type == 1 ? 4 : 16};
    memcpy(out, head, 12);
    memset(out + 12, 0, head[11]);
    out[12] = type == 1 ? 127 : 0xfd;
    out[12 + head[11] - 1] = (unsigned char)last;
    return 12u + head[11];
}

/* The reply to the |n| bytes at |q|, in place; 0 for silence. */
static int records_of(const char *name, int type)
{
    if (strcmp(name, "two.test") == 0)
        return 1;
    if (type == 1 && strcmp(name, "many.test") == 0)
        return 20;
    return type == 1 && strcmp(name, "big.test") == 0 ? 40 : 0;
}

/* SERVFAIL, NXDOMAIN or no error. */
static int code_of(const char *name)
{
    if (servers_fail)
        return 2;
    return strncmp(name, "no", 2) == 0 || (two_is_gone && strcmp(name, "two.test") == 0) ? 3 : 0;
}

static size_t reply(unsigned char *q, size_t n, bool datagram)
{
    char name[256];
    size_t at = 12 + name_text(q + 12, name);
    int type = q[at + 1], code = code_of(name), records = code ? 0 : records_of(name, type);

    questions++;
    if (strcmp(name, "silent.test") == 0)
        return 0;
    bool cut = datagram && records == 40;
    q[2] = (unsigned char)(0x84 | (cut ? 2 : 0));
    q[3] = (unsigned char)code;
    q[7] = (unsigned char)(cut ? 0 : records);
    q[6] = q[8] = q[9] = q[10] = q[11] = 0;
    at += 4;
    for (int i = 0; i < records && !cut; i++)
        at += put_record(q + at, type, i + 1, strcmp(name, "two.test") == 0 ? 30 : 0);
    return at;
}

static void on_udp(struct agw_watch *w, unsigned events)
{
    unsigned char buf[4096] = {0};
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    ssize_t n;

    if (answers_held)
        return;
    while ((n = recvfrom(w->fd, buf, 512, 0, (struct sockaddr *)&sa, &len)) > 12) {
        size_t out = reply(buf, (size_t)n, true);
        if (out)
            sendto(w->fd, buf, out, 0, (struct sockaddr *)&sa, len);
        len = sizeof(sa);
    }
}

/* One TCP question; the answer goes out in two parts, as a slow network would bring it. */
static unsigned char tcp_answer[4096];
static size_t tcp_answer_n;

static void send_rest(struct agw_timer *t);
static void on_question(struct agw_watch *w, unsigned events);

static struct agw_timer rest_timer = {{&rest_timer.node, &rest_timer.node}, 0, send_rest};
static struct agw_watch question_watch = {-1, on_question};

static void on_question(struct agw_watch *w, unsigned events)
{
    ssize_t n = recv(w->fd, tcp_answer, 512, 0);
    if (n == 0) { /* the client is done */
        int fd = w->fd;
        agw_watch_remove(&loop, w);
        close(fd);
    }
    if (n < 15)
        return;
    tcp_answer_n = reply(tcp_answer + 2, (size_t)n - 2, false) + 2;
    tcp_answer[0] = (unsigned char)((tcp_answer_n - 2) >> 8);
    tcp_answer[1] = (unsigned char)(tcp_answer_n - 2);
    assert_int_equal(send(w->fd, tcp_answer, 100, 0), 100);
    agw_timer_set(&loop.timers, &rest_timer, loop.now_ms + 20);
}

static void send_rest(struct agw_timer *t)
{
    send(question_watch.fd, tcp_answer + 100, tcp_answer_n - 100, 0);
}

static void on_tcp(struct agw_watch *w, unsigned events)
{
    int fd = accept(w->fd, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(question_watch.fd, -1);
    assert_int_equal(agw_watch_add_level(&loop, &question_watch, fd), 0);
}

static struct agw_watch udp_watch = {-1, on_udp}, tcp_watch = {-1, on_tcp};

/* Takes a port that is free for both UDP and TCP. */
static bool bind_both(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(sa);

    udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(udp, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(getsockname(udp, (struct sockaddr *)&sa, &n), 0);
    dns_port = ntohs(sa.sin_port);
    if (bind(tcp, (struct sockaddr *)&sa, sizeof(sa)) == 0)
        return true;
    close(udp);
    close(tcp);
    return false;
}

static void open_server(void)
{
    int tries = 50;

    while (!bind_both())
        assert_true(tries-- > 0);
    assert_int_equal(listen(tcp, 8), 0);
    assert_int_equal(agw_watch_add_level(&loop, &udp_watch, udp), 0);
    assert_int_equal(agw_watch_add_level(&loop, &tcp_watch, tcp), 0);
}

static int setup(void **state)
{
    char servers[32];

    questions = 0;
    answers_held = servers_fail = two_is_gone = false;
    agw_log_level(AGW_LOG_ERROR);
    if (agw_loop_init(&loop, 0))
        return -1;
    open_server();
    dns = agw_dns_new(&loop, NULL);
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", dns_port);
    return agw_dns_set_servers(dns, agw_str_c(servers));
}

static int teardown(void **state)
{
    agw_dns_free(dns);
    agw_watch_remove(&loop, &udp_watch);
    agw_watch_remove(&loop, &tcp_watch);
    if (question_watch.fd >= 0) {
        int fd = question_watch.fd;
        agw_watch_remove(&loop, &question_watch);
        close(fd);
    }
    close(udp);
    close(tcp);
    agw_loop_free(&loop);
    return 0;
}

static void turn_until_answered(struct answer *a)
{
    uint64_t end = agw_clock_ns() + 10 * AGW_NS_PER_S;
    while (!a->calls && agw_clock_ns() < end)
        agw_loop_turn(&loop, 20);
    assert_int_equal(a->calls, 1);
}

static void turn_until_asked(int before)
{
    uint64_t end = agw_clock_ns() + 10 * AGW_NS_PER_S;
    while (questions <= before && agw_clock_ns() < end)
        agw_loop_turn(&loop, 20);
    assert_true(questions > before);
}

static const char *text_of(const struct agw_addr *a)
{
    static char out[AGW_ADDR_TEXT];
    agw_addr_format(a, out);
    return out;
}

/* --- tests --- */

static void test_literals(void **state)
{
    static const char *const cases[][2] = {
        {"10.1.2.3", "10.1.2.3:80"}, {"::1", "[::1]:80"}, {"[2001:db8::1]", "[2001:db8::1]:80"}};
    for (int i = 0; i < 3; i++) {
        struct answer a = {0};
        assert_null(agw_dns_resolve(dns, agw_str_c(cases[i][0]), 80, on_answer, &a));
        assert_int_equal(a.calls, 1);
        assert_int_equal(a.code, 0);
        assert_int_equal(a.count, 1);
        assert_string_equal(text_of(&a.addrs[0]), cases[i][1]);
    }
    assert_int_equal(questions, 0);
}

static void test_localhost(void **state)
{
    static const char *const names[] = {"localhost", "LOCALHOST", "localhost.", "a.b.localhost"};
    for (int i = 0; i < 4; i++) {
        struct answer a = {0};
        assert_null(agw_dns_resolve(dns, agw_str_c(names[i]), 81, on_answer, &a));
        assert_int_equal(a.code, 0);
        assert_int_equal(a.count, 2);
        assert_string_equal(text_of(&a.addrs[0]), "127.0.0.1:81");
        assert_string_equal(text_of(&a.addrs[1]), "[::1]:81");
    }
    assert_int_equal(questions, 0);
}

static void test_not_names(void **state)
{
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    const struct agw_str bad[] = {AGW_STR(""),          AGW_STR("a b"),  agw_str("a\0b", 3),
                                  AGW_STR("a/b"),       AGW_STR("a:80"), AGW_STR("\xc3\xa4.test"),
                                  agw_str(longest, 300)};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct answer a = {0};
        assert_null(agw_dns_resolve(dns, bad[i], 80, on_answer, &a));
        assert_int_equal(a.calls, 1);
        assert_int_equal(a.code, AGW_EDNS);
    }
    assert_int_equal(questions, 0);
}

static void test_resolves_and_caches(void **state)
{
    struct answer a = {0}, b = {0};

    assert_non_null(agw_dns_resolve(dns, AGW_STR("two.test"), 8080, on_answer, &a));
    assert_int_equal(a.calls, 0);
    turn_until_answered(&a);
    assert_int_equal(a.code, 0);
    assert_int_equal(a.count, 2);
    assert_true(a.addrs[0].u.sa.sa_family != a.addrs[1].u.sa.sa_family);
    assert_int_equal(agw_addr_port(&a.addrs[0]), 8080);
    int asked = questions;
    assert_int_equal(asked, 2); /* A and AAAA */
    assert_null(agw_dns_resolve(dns, AGW_STR("TWO.test"), 9090, on_answer, &b));
    assert_int_equal(b.calls, 1);
    assert_int_equal(agw_addr_port(&b.addrs[1]), 9090);
    assert_int_equal(questions, asked);
    loop.now_ms += 31 * 1000;
    struct answer c = {0};
    /* Nobody waits for the refresh. */
    assert_null(agw_dns_resolve(dns, AGW_STR("two.test"), 1, on_answer, &c));
    assert_int_equal(c.count, 2);
    turn_until_asked(asked);
}

static void test_an_old_answer_is_waited_for(void **state)
{
    struct answer a = {0}, b = {0};
    assert_non_null(agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &a));
    turn_until_answered(&a);
    int asked = questions;
    loop.now_ms += 91 * 1000;
    assert_non_null(agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &b));
    turn_until_answered(&b);
    assert_int_equal(b.count, 2);
    assert_true(questions > asked);
}

static void test_the_last_answer_stays_while_servers_fail(void **state)
{
    struct answer a = {0}, b = {0}, c = {0}, d = {0};
    assert_non_null(agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &a));
    turn_until_answered(&a);
    servers_fail = true;
    int asked = questions;
    loop.now_ms += 31 * 1000;
    assert_null(agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &b));
    turn_until_asked(asked);
    for (int i = 0; i < 20; i++)
        agw_loop_turn(&loop, 5);
    loop.now_ms += 3600 * 1000; /* waits for the servers, and then for nobody */
    assert_non_null(agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &c));
    turn_until_answered(&c);
    assert_int_equal(c.code, 0);
    assert_int_equal(c.count, 2);
    servers_fail = false;
    asked = questions;
    loop.now_ms += 2000;
    assert_null(agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &d));
    assert_int_equal(d.count, 2);
    turn_until_asked(asked);
}

static void test_a_name_that_is_gone_is_gone(void **state)
{
    struct answer a = {0}, b = {0}, c = {0};
    assert_non_null(agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &a));
    turn_until_answered(&a);
    two_is_gone = true;
    int asked = questions;
    loop.now_ms += 31 * 1000;
    assert_null(agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &b));
    assert_int_equal(b.count, 2);
    turn_until_asked(asked + 1);
    for (int i = 0; i < 20; i++)
        agw_loop_turn(&loop, 5);
    if (agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &c))
        turn_until_answered(&c);
    assert_int_equal(c.code, AGW_EDNS);
    assert_int_equal(c.count, 0);
}

static void test_limits_addresses(void **state)
{
    struct answer a = {0};
    assert_non_null(agw_dns_resolve(dns, AGW_STR("many.test"), 80, on_answer, &a));
    turn_until_answered(&a);
    assert_int_equal(a.code, 0);
    assert_true(a.count > 0 && a.count <= AGW_DNS_ADDRS);
}

static void test_tcp(void **state)
{
    struct answer a = {0};
    assert_non_null(agw_dns_resolve(dns, AGW_STR("big.test"), 80, on_answer, &a));
    turn_until_answered(&a);
    assert_int_equal(a.code, 0);
    assert_true(a.count > 0);
}

static void test_failure_is_cached_briefly(void **state)
{
    struct answer a = {0}, b = {0}, c = {0};

    assert_non_null(agw_dns_resolve(dns, AGW_STR("no.test"), 80, on_answer, &a));
    turn_until_answered(&a);
    assert_int_equal(a.code, AGW_EDNS);
    assert_int_equal(a.count, 0);
    int asked = questions;
    assert_null(agw_dns_resolve(dns, AGW_STR("no.test"), 80, on_answer, &b));
    assert_int_equal(b.code, AGW_EDNS);
    assert_int_equal(questions, asked);
    loop.now_ms += 1001;
    assert_non_null(agw_dns_resolve(dns, AGW_STR("no.test"), 80, on_answer, &c));
    turn_until_answered(&c);
    assert_true(questions > asked);
}

static void test_concurrent_share_one_lookup(void **state)
{
    struct answer a[5] = {0};
    for (int i = 0; i < 5; i++)
        assert_non_null(agw_dns_resolve(dns, AGW_STR("two.test"), (uint16_t)(100 + i), on_answer, &a[i]));
    for (int i = 0; i < 5; i++) {
        turn_until_answered(&a[i]);
        assert_int_equal(agw_addr_port(&a[i].addrs[0]), 100 + i);
    }
    assert_int_equal(questions, 2);
}

static void test_cancel(void **state)
{
    struct answer a = {0}, b = {0}, c = {0};
    struct agw_dns_query *qa = agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &a);
    struct agw_dns_query *qc = agw_dns_resolve(dns, AGW_STR("silent.test"), 80, on_answer, &c);

    assert_non_null(qa);
    assert_non_null(qc);
    assert_non_null(agw_dns_resolve(dns, AGW_STR("two.test"), 81, on_answer, &b));
    agw_dns_cancel(qa);
    turn_until_answered(&b);
    agw_dns_cancel(qc);
    assert_int_equal(a.calls, 0);
    assert_int_equal(c.calls, 0);
}

static void test_free_with_queries_under_way(void **state)
{
    struct answer a = {0};
    answers_held = true;
    assert_non_null(agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &a));
    assert_non_null(agw_dns_resolve(dns, AGW_STR("silent.test"), 80, on_answer, &a));
    agw_loop_turn(&loop, 5);
    agw_dns_free(dns);
    dns = NULL;
    agw_loop_turn(&loop, 5);
    assert_int_equal(a.calls, 0);
}

/* Callbacks may resolve and cancel. */
struct nested {
    struct answer answer;
    struct agw_dns_query *other;
    struct answer again;
};

static void on_nested(void *ctx, int code, const struct agw_addr *addrs, size_t count)
{
    struct nested *n = ctx;
    on_answer(&n->answer, code, addrs, count);
    agw_dns_cancel(n->other);
    assert_null(agw_dns_resolve(dns, AGW_STR("two.test"), 1, on_answer, &n->again));
}

static void test_callback_cancels_and_resolves(void **state)
{
    struct nested n = {0};
    struct answer never = {0};

    assert_non_null(agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_nested, &n));
    n.other = agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &never);
    turn_until_answered(&n.answer);
    agw_loop_turn(&loop, 5);
    assert_int_equal(n.again.calls, 1);
    assert_int_equal(n.again.code, 0);
    assert_int_equal(never.calls, 0);
}

static void test_bounded_cache(void **state)
{
    for (int i = 0; i < 1500; i++) {
        char name[32];
        struct answer a = {0};
        snprintf(name, sizeof(name), "no%d.test", i);
        if (agw_dns_resolve(dns, agw_str_c(name), 80, on_answer, &a))
            turn_until_answered(&a);
        assert_int_equal(a.code, AGW_EDNS);
    }
    int asked = questions;
    struct answer a = {0};
    assert_non_null(agw_dns_resolve(dns, AGW_STR("no0.test"), 80, on_answer, &a)); /* was evicted */
    turn_until_answered(&a);
    assert_true(questions > asked);
}

static void test_bad_servers(void **state)
{
    struct answer a = {0};
    assert_int_equal(agw_dns_set_servers(dns, AGW_STR("not an address")), 0);
    struct agw_dns_query *q = agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &a);
    if (q)
        turn_until_answered(&a);
    assert_int_equal(a.code, AGW_EDNS);
    assert_int_equal(questions, 0);
}

static void test_out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct answer a = {0};
        agw_dns_free(dns);
        failmalloc_at(n);
        dns = agw_dns_new(&loop, NULL);
        if (dns) {
            char servers[32];
            snprintf(servers, sizeof(servers), "127.0.0.1:%u", dns_port);
            if (agw_dns_set_servers(dns, agw_str_c(servers)) == 0) {
                struct agw_dns_query *q = agw_dns_resolve(dns, AGW_STR("two.test"), 80, on_answer, &a);
                for (int i = 0; i < 100 && !a.calls; i++)
                    agw_loop_turn(&loop, 5);
                if (!a.calls && q) /* the socket could not be watched; c-ares would time out later */
                    agw_dns_cancel(q);
                assert_true(a.calls == 1 ? a.code == 0 || a.code == AGW_EDNS : q != NULL);
            }
        }
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        if (!reached) {
            assert_int_equal(a.code, 0);
            assert_int_equal(a.calls, 1);
            break;
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_literals),
        TEST(test_localhost),
        TEST(test_not_names),
        TEST(test_resolves_and_caches),
        TEST(test_an_old_answer_is_waited_for),
        TEST(test_the_last_answer_stays_while_servers_fail),
        TEST(test_a_name_that_is_gone_is_gone),
        TEST(test_limits_addresses),
        TEST(test_tcp),
        TEST(test_failure_is_cached_briefly),
        TEST(test_concurrent_share_one_lookup),
        TEST(test_cancel),
        TEST(test_free_with_queries_under_way),
        TEST(test_callback_cancels_and_resolves),
        TEST(test_bounded_cache),
        TEST(test_bad_servers),
        TEST(test_out_of_memory),
    };
    setenv("RES_OPTIONS", "ndots:1",
           1); /* whatever search list this machine has, names are first asked for as they are */
    if (agw_dns_global_init())
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    agw_dns_global_free();
    return rc;
}
