#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "failmalloc.h"
#include "net/proxy.h"

#define BOTH (AGW_PROXY_V1 | AGW_PROXY_V2)
#define MARK "\r\n\r\n\0\r\nQUIT\n"
#define V4 MARK "\x21\x11\0\x0c\x7f\0\0\1\xc0\0\2\1\x10\x92\1\xbb"
#define N(text) (text), sizeof(text) - 1

static struct agw_proxy_header header;
static const char *why;

static int parse(const char *p, size_t n, unsigned versions)
{
    why = "";
    return agw_proxy_parse((const unsigned char *)p, n, versions, &header, &why);
}

static void expect(const char *p, size_t n, const char *src, const char *dst)
{
    char text[AGW_ADDR_TEXT];
    char more[512];

    assert_true(n + 5 < sizeof(more));
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(parse(p, cut, BOTH), AGW_EAGAIN);
    memcpy(more, p, n);
    memcpy(more + n, "later", 5);
    for (size_t extra = 0; extra < 6; extra += 5) {
        assert_int_equal(parse(more, n + extra, BOTH), 0);
        assert_int_equal(header.size, n);
        agw_addr_format(&header.src, text);
        assert_string_equal(header.src.n ? text : "", src);
        agw_addr_format(&header.dst, text);
        assert_string_equal(header.dst.n ? text : "", dst);
    }
}

static void test_version_1(void **state)
{
    expect(N("PROXY TCP4 1.2.3.4 5.6.7.8 65535 0\r\n"), "1.2.3.4:65535", "5.6.7.8:0");
    expect(N("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "[2001:db8::1]:1", "[::1]:2");
    expect(N("PROXY UNKNOWN\r\n"), "", "");
    expect(N("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), "", "");
}

static void test_version_2(void **state)
{
    expect(N(V4), "127.0.0.1:4242", "192.0.2.1:443");
    expect(N(MARK "\x21\x21\0\x24\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2"),
           "[2001:db8::1]:1", "[::1]:2");
    expect(N(MARK "\x20\x11\0\x0c\x7f\0\0\1\xc0\0\2\1\x10\x92\1\xbb"), "", ""); /* LOCAL */
    expect(N(MARK "\x20\0\0\0"), "", "");
    expect(N(MARK "\x21\0\0\2ab"), "", "");   /* a family that nobody knows */
    expect(N(MARK "\x21\x12\0\2ab"), "", ""); /* datagrams */
    expect(N(MARK "\x21\x11\0\x10\x7f\0\0\1\xc0\0\2\1\x10\x92\1\xbb\4\0\1x"), "127.0.0.1:4242",
           "192.0.2.1:443");
}

static void test_malformed(void **state)
{
    static const struct {
        const char *p;
        size_t n;
    } bad[] = {
        {N("PROXY \r\n")},
        {N("PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n")},
        {N("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n")},
        {N("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n3\r\n")},
        {N("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n")},
        {N("PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n")},
        {N("PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n")},
        {N("PROXY TCP4 ::1 ::1 1 2\r\n")},
        {N("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n")},
        {N("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n")},
        {N("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n")},
        {N("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n")},
        {N("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx")},
        {N(MARK "\x31\x11\0\0")},
        {N(MARK "\x22\x11\0\0")},
        {N(MARK "\x21\x11\0\x0b"
                "12345678901")},
        {N(MARK "\x21\x21\0\x0c"
                "123456789012")},
    };
    header.size = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(parse(bad[i].p, bad[i].n, BOTH), AGW_EPROTO);
        assert_string_not_equal(why, "");
    }
    assert_int_equal(header.size, 77);
}

static void test_limits(void **state)
{
    char line[200] = "PROXY UNKNOWN ";

    memset(line + 14, 'x', sizeof(line) - 14);
    memcpy(line + 105, "\r\n", 2);
    assert_int_equal(parse(line, 107, BOTH), 0);
    assert_int_equal(header.size, AGW_PROXY_V1_MAX);
    memset(line + 105, 'x', 2);
    assert_int_equal(parse(line, 106, BOTH), AGW_EAGAIN);
    assert_int_equal(parse(line, 107, BOTH), AGW_ELIMIT);
    memcpy(line + 106, "\r\n", 2);
    assert_int_equal(parse(line, 108, BOTH), AGW_ELIMIT);
    assert_int_equal(parse(N(MARK "\x21\0\x20\0"), BOTH), AGW_EAGAIN); /* 8192 */
    assert_int_equal(parse(N(MARK "\x21\0\x20\1"), BOTH), AGW_ELIMIT);
}

static void test_no_header(void **state)
{
    assert_int_equal(parse("GET", 3, BOTH), AGW_ENOTFOUND);
    assert_int_equal(parse("PRI", 3, BOTH), AGW_ENOTFOUND);
    assert_int_equal(parse(N(MARK), AGW_PROXY_V1), AGW_ENOTFOUND);
    assert_int_equal(parse(N("PROXY UNKNOWN\r\n"), AGW_PROXY_V2), AGW_ENOTFOUND);
    assert_int_equal(parse("\r\n\r\nx", 5, BOTH), AGW_ENOTFOUND);
}

/* --- the filter --- */

static struct agw_loop loop;
static struct agw_conn conn;
static int peer, ready, failed_code;

static void on_ready(struct agw_conn *c)
{
    ready++;
}

static void on_failed(struct agw_conn *c, int code, const char *reason)
{
    failed_code = code;
}

static void nothing(struct agw_conn *c) {}

static const struct agw_conn_events events = {on_ready, on_failed, nothing, nothing};

static bool begin(unsigned versions, bool optional)
{
    int fds[2];
    struct agw_addr none = {0};

    assert_int_equal(agw_loop_init(&loop, 0), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    peer = fds[1];
    ready = failed_code = 0;
    assert_int_equal(agw_conn_accept(&conn, &loop, fds[0], &none, &events), 0);
    struct agw_filter *f = agw_proxy_filter(versions, optional);
    if (!f)
        return false;
    agw_conn_push(&conn, f);
    agw_conn_start(&conn);
    return true;
}

static void end(void)
{
    agw_conn_close(&conn, false);
    close(peer);
    agw_loop_free(&loop);
}

static void say(const char *p, size_t n)
{
    assert_int_equal(send(peer, p, n, MSG_NOSIGNAL), (ssize_t)n);
    for (int i = 0; i < 3; i++)
        agw_loop_turn(&loop, 0);
}

static void test_filter_takes_the_header_off(void **state)
{
    char buf[10];

    assert_true(begin(BOTH, false));
    for (size_t i = 0; i < sizeof(V4) - 1; i++) {
        assert_int_equal(ready, 0);
        say(&(V4 "hello")[i], i == sizeof(V4) - 2 ? 6 : 1);
    }
    assert_int_equal(ready, 1);
    assert_int_equal(agw_addr_port(&conn.peer), 4242);
    assert_int_equal(agw_addr_port(agw_conn_local(&conn)), 443);
    assert_false(agw_conn_is_plain(&conn));
    assert_true(agw_conn_may_read(&conn));
    assert_int_equal(agw_conn_read(&conn, buf, 2), 2);
    assert_int_equal(agw_conn_read(&conn, buf + 2, 8), 3);
    assert_memory_equal(buf, "hello", 5);
    assert_true(agw_conn_is_plain(&conn));
    say("more", 4);
    assert_int_equal(agw_conn_read(&conn, buf, 10), 4);
    end();
}

static void test_filter_modes(void **state)
{
    char buf[30];

    assert_true(begin(AGW_PROXY_V2, false));
    say(N("GET / HTTP/1.1\r\n"));
    assert_int_equal(failed_code, AGW_EPROTO);
    end();
    assert_true(begin(AGW_PROXY_V2, true));
    say("\r\n", 2);
    assert_int_equal(ready, 0);
    say("\r\nx", 3);
    assert_int_equal(ready, 1);
    assert_int_equal(agw_conn_read(&conn, buf, sizeof(buf)), 5);
    end();
    assert_true(begin(BOTH, true));
    shutdown(peer, SHUT_WR);
    agw_loop_turn(&loop, 0);
    agw_loop_turn(&loop, 0);
    assert_int_equal(ready, 1);
    end();
    assert_true(begin(BOTH, false));
    shutdown(peer, SHUT_WR);
    agw_loop_turn(&loop, 0);
    agw_loop_turn(&loop, 0);
    assert_int_equal(failed_code, AGW_ERESET);
    end();
}

static void test_filter_without_memory(void **state)
{
    char tlv[2000] = V4;

    tlv[14] = 7; /* the header goes on: the buffer has to grow */
    for (long at = 1;; at++) {
        failmalloc_at(at);
        bool made = begin(BOTH, false);
        if (made)
            say(tlv, sizeof(tlv));
        bool reached = failmalloc_count() >= at;
        failmalloc_at(0);
        assert_true(!reached || !made || ready || failed_code == AGW_ENOMEM);
        end();
        if (!reached)
            break;
    }
    assert_int_equal(ready, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1),    cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_malformed),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_header),    cmocka_unit_test(test_filter_takes_the_header_off),
        cmocka_unit_test(test_filter_modes), cmocka_unit_test(test_filter_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
