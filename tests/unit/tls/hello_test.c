#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "failmalloc.h"
#include "tls/hello.h"

static unsigned char hello[4096], cut[40000];
static size_t hello_n, cut_n;

/* What OpenSSL's client sends first. */
static void make_hello(const char *name)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    if (name)
        SSL_set_tlsext_host_name(ssl, name);
    assert_int_equal(SSL_do_handshake(ssl), -1);
    int n = BIO_read(out, hello, sizeof(hello));
    assert_true(n > 100);
    hello_n = (size_t)n;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

/* The same over records of |size| bytes. */
static void make_cut(size_t size)
{
    cut_n = 0;
    for (size_t at = 5; at < hello_n; at += size) {
        size_t n = hello_n - at < size ? hello_n - at : size;
        memcpy(cut + cut_n, hello, 3);
        cut[cut_n + 3] = (unsigned char)(n >> 8);
        cut[cut_n + 4] = (unsigned char)n;
        memcpy(cut + cut_n + 5, hello + at, n);
        cut_n += 5 + n;
    }
}

static int scan(struct agw_tls_hello *h, const unsigned char *p, size_t n)
{
    *h = (struct agw_tls_hello){0};
    return agw_tls_hello_scan(h, p, n);
}

static void test_name_in_one_piece(void **state)
{
    struct agw_tls_hello h;

    make_hello("Some.Name.test");
    assert_int_equal(scan(&h, hello, hello_n), 0);
    assert_string_equal(h.sni, "some.name.test");
    assert_int_equal(h.sni_n, 14);
    make_hello(NULL);
    assert_int_equal(scan(&h, hello, hello_n), 0);
    assert_string_equal(h.sni, "");
}

static void test_any_cut_of_records_and_reads(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 5, 50, 255, 16384};
    struct agw_tls_hello h;

    make_hello("cut.test");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        make_cut(sizes[i]);
        h = (struct agw_tls_hello){0};
        for (size_t n = 0; n < cut_n; n++)
            assert_int_equal(agw_tls_hello_scan(&h, cut, n), AGW_EAGAIN);
        assert_int_equal(agw_tls_hello_scan(&h, cut, cut_n), 0);
        assert_string_equal(h.sni, "cut.test");
    }
}

/* Every byte that gives a length, one off, and every other value of the first bytes. */
static void test_malformed(void **state)
{
    struct agw_tls_hello h;
    unsigned wrong = 0;

    make_hello("bad.test");
    for (size_t i = 0; i < hello_n; i++) {
        for (int by = -1; by <= 1; by += 2) {
            hello[i] = (unsigned char)(hello[i] + by);
            int rc = scan(&h, hello, hello_n);
            assert_true(rc == 0 || rc == AGW_EPROTO || rc == AGW_EAGAIN || rc == AGW_ELIMIT);
            wrong += rc != 0;
            hello[i] = (unsigned char)(hello[i] - by);
        }
    }
    assert_true(wrong > 20);
    assert_int_equal(scan(&h, (const unsigned char *)"GET", 3), AGW_EPROTO);
    assert_int_equal(scan(&h, (const unsigned char *)"\x16\x02", 2), AGW_EPROTO);
    assert_int_equal(scan(&h, (const unsigned char *)"\x16\3\1\0\0", 5), AGW_EPROTO);   /* empty record */
    assert_int_equal(scan(&h, (const unsigned char *)"\x16\3\1\x40\1", 5), AGW_EPROTO); /* 16,385 bytes */
    assert_int_equal(scan(&h, (const unsigned char *)"\x16\3\1\0\4\2\0\0\0", 9),
                     AGW_EPROTO); /* ServerHello */
    assert_int_equal(scan(&h, (const unsigned char *)"\x16\3\1\0\4\1\1\0\0", 9), AGW_ELIMIT);
    /* the hello is cut in the middle and something else comes */
    make_hello("bad.test");
    make_cut(50);
    cut[55] = 23;
    assert_int_equal(scan(&h, cut, cut_n), AGW_EPROTO);
}

static void test_second_name_is_refused(void **state)
{
    struct agw_tls_hello h;
    /* one cipher, no compression, twice server_name "a" */
    unsigned char two[] = "\x16\3\1\0\x43\1\0\0\x3f\3\3rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\0\0\2\x13\1\1\0\0\x14"
                          "\0\0\0\6\0\4\0\0\1a\0\0\0\6\0\4\0\0\1a";

    assert_int_equal(scan(&h, two, sizeof(two) - 1), AGW_EPROTO);
    two[63] = 1; /* another extension instead */
    assert_int_equal(scan(&h, two, sizeof(two) - 1), 0);
    assert_string_equal(h.sni, "a");
}

static void test_limit(void **state)
{
    struct agw_tls_hello h = {0};
    static unsigned char zeros[AGW_TLS_HELLO_MAX];

    for (size_t i = 0; i + 6 <= sizeof(zeros); i += 6) /* one byte a record: 5,461 of a hello of 32,000 */
        memcpy(zeros + i, "\x16\3\1\0\1\0", 6);
    memcpy(zeros + sizeof(zeros) - 2, "\x16\3", 2);
    zeros[5] = 1;
    zeros[17] = 0x7d;
    for (size_t n = 1; n < sizeof(zeros); n++)
        assert_int_equal(agw_tls_hello_scan(&h, zeros, n), AGW_EAGAIN);
    assert_int_equal(agw_tls_hello_scan(&h, zeros, sizeof(zeros)), AGW_ELIMIT);
}

/* --- the filter --- */

static int ready, failed_code;

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

/* False: no filter. */
static bool peek(const unsigned char *p, size_t n, unsigned char *ret_read, struct agw_str *ret_sni)
{
    struct agw_loop loop;
    struct agw_conn conn;
    struct agw_addr none = {0};
    int fds[2];

    ready = failed_code = 0;
    assert_int_equal(agw_loop_init(&loop, 0), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(agw_conn_accept(&conn, &loop, fds[0], &none, &events), 0);
    assert_false(agw_tls_peeked(&conn, ret_sni));
    struct agw_filter *f = agw_tls_peek_filter();
    if (f) {
        agw_conn_push(&conn, f);
        agw_conn_start(&conn);
        assert_int_equal(send(fds[1], p, n, 0), (ssize_t)n);
        for (int i = 0; i < 3; i++)
            agw_loop_turn(&loop, 0);
    }
    if (ready) {
        static char name[256];
        struct agw_str sni;
        size_t got = 0;
        for (ssize_t more; (more = agw_conn_read(&conn, ret_read + got, 100)) > 0;)
            got += (size_t)more;
        assert_int_equal(got, n);
        assert_true(agw_conn_is_plain(&conn));
        assert_true(agw_tls_peeked(&conn, &sni));
        memcpy(name, sni.p, sni.n + 1);
        *ret_sni = agw_str(name, sni.n);
    }
    agw_conn_close(&conn, false);
    close(fds[1]);
    agw_loop_free(&loop);
    return f != NULL;
}

static void test_filter_gives_the_bytes_again(void **state)
{
    unsigned char again[sizeof(cut)];
    struct agw_str sni;

    make_hello("peek.test");
    make_cut(7);
    assert_true(peek(cut, cut_n, again, &sni));
    assert_int_equal(ready, 1);
    assert_memory_equal(again, cut, cut_n);
    assert_true(agw_str_eq(sni, AGW_STR("peek.test")));
    assert_true(peek((const unsigned char *)"GET / HTTP/1.1", 14, again, &sni));
    assert_int_equal(failed_code, AGW_EPROTO);
}

static void test_filter_without_memory(void **state)
{
    unsigned char again[sizeof(cut)];
    struct agw_str sni;

    make_hello("peek.test");
    make_cut(7);
    for (long at = 1;; at++) {
        failmalloc_at(at);
        bool made = peek(cut, cut_n, again, &sni);
        bool reached = failmalloc_count() >= at;
        failmalloc_at(0);
        assert_true(!made || ready || failed_code == AGW_ENOMEM);
        if (!reached)
            break;
    }
    assert_int_equal(ready, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_in_one_piece),
        cmocka_unit_test(test_any_cut_of_records_and_reads),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_second_name_is_refused),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_filter_gives_the_bytes_again),
        cmocka_unit_test(test_filter_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
