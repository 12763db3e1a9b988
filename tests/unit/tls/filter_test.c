#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "failmalloc.h"
#include "helper.h"

#define BULK (4u << 20)

static struct cert *ca, *leaf;
static struct agw_tls_server *tls_server;
static struct agw_tls_client *tls_client;

static struct agw_tls_server *choose(void *ctx, struct agw_str sni, void **ret_choice)
{
    return tls_server;
}

static int group_setup(void **state)
{
    struct agw_error err = {0};

    ca = cert_new("EC", NULL, NULL, 10);
    leaf = cert_new("EC", ca, "DNS:a.test", 10);
    tls_server = server_of(leaf);
    struct agw_tls_client_conf conf = {
        .ca_pem = agw_str_c(ca->cert_pem), .alpn_h2 = true, .alpn_http1 = true};
    tls_client = agw_tls_client_new(&conf, &err);
    return tls_client ? 0 : -1;
}

static int group_teardown(void **state)
{
    agw_tls_server_unref(tls_server);
    agw_tls_client_unref(tls_client);
    cert_free(leaf);
    cert_free(ca);
    return 0;
}

static void handshake(void)
{
    selector = choose;
    connect_client(tls_client, "a.test");
    turn_until((client.ready || client.failed) && (server.ready || server.failed));
    if (client.failed || server.failed)
        fail_msg("client: %s, server: %s", client.reason, server.reason);
}

static void turns(int n)
{
    while (n-- > 0)
        agw_loop_turn(&loop, 5);
}

static void test_exchange(void **state)
{
    client.to_send = 1000;
    server.to_send = 2000;
    handshake();
    turn_until(client.received == 2000 && server.received == 1000);
    const struct agw_filter *f = agw_tls_find(&server.conn);
    assert_non_null(f);
    assert_string_equal(agw_tls_version(f), "TLSv1.3");
    assert_true(agw_str_eq(agw_tls_alpn(f), AGW_STR("h2")));
    assert_true(agw_str_eq(agw_tls_sni(f), AGW_STR("a.test")));
    assert_true(agw_str_eq(agw_tls_alpn(agw_tls_find(&client.conn)), AGW_STR("h2")));
    assert_true(agw_str_eq(agw_tls_sni(agw_tls_find(&client.conn)), AGW_STR("a.test")));
}

static void test_find_on_plain(void **state)
{
    connect_client(NULL, NULL);
    turn_until(client.ready && server.ready);
    assert_null(agw_tls_find(&client.conn));
}

static void small_buffer(struct end *e)
{
    int n = 16384;
    setsockopt(e->conn.watch.fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
}

/* Writes that are cut in the middle of records, in both directions at once. */
static void bulk(size_t client_piece, size_t server_piece)
{
    handshake();
    small_buffer(&client);
    small_buffer(&server);
    client.piece = client_piece;
    server.piece = server_piece;
    client.to_send = server.to_send = BULK;
    pump_out(&client);
    pump_out(&server);
    assert_true(client.sent < BULK && client.write_code == AGW_EAGAIN);
    turn_until(client.received == BULK && server.received == BULK);
    assert_true(client.writable > 0 && server.writable > 0);
}

static void test_bulk(void **state)
{
    bulk(5000, 20000);
}

static void test_bulk_other_sizes(void **state)
{
    bulk(16384, 333);
}

/* Small pieces travel in one record: count the bytes on the wire. */
static void test_coalesces(void **state)
{
    handshake();
    turns(3);
    struct iovec iov[64];
    char bytes[64 * 100];
    char raw[16384];

    memset(bytes, 'x', sizeof(bytes));
    for (int i = 0; i < 64; i++)
        iov[i] = (struct iovec){bytes + i * 100, i % 3 ? 100 : 0};
    size_t total = 42 * 100;
    assert_int_equal(agw_conn_writev(&client.conn, iov, 64), (ssize_t)total);
    usleep(10000);
    ssize_t n = recv(server.conn.watch.fd, raw, sizeof(raw), MSG_PEEK);
    assert_true(n > (ssize_t)total && n < (ssize_t)total + 64);
    struct iovec none = {bytes, 0};
    assert_int_equal(agw_conn_writev(&client.conn, &none, 1), 0);
}

/* The record is off the socket, but was not read to its end: no event will come, "buffered" must say so. */
static void test_buffered(void **state)
{
    char small[100];
    handshake();
    turns(3);
    server.stop_reading = true;
    client.to_send = 10000;
    client.piece = 10000;
    pump_out(&client);
    turn_until(server.readable > 0);
    assert_int_equal(agw_conn_read(&server.conn, small, sizeof(small)), 100);
    server.received = 100;
    assert_true(agw_conn_may_read(&server.conn));
    assert_true(server.conn.top->ops->buffered(server.conn.top));
    turns(3);
    server.stop_reading = false;
    agw_conn_want_read(&server.conn);
    turn_until(server.received == 10000);
    assert_int_equal(server.read_code, AGW_EAGAIN);
    assert_false(agw_conn_may_read(&server.conn));
}

/* A part of a record is nothing to read: whoever asked again and again would spin. */
static void test_part_of_record(void **state)
{
    handshake();
    turns(3);
    assert_int_equal(send(client.conn.watch.fd, "\x17\x03\x03\x00\x64 and so on", 15, 0), 15);
    int seen = server.readable;
    turn_until(server.readable > seen);
    assert_int_equal(server.read_code, AGW_EAGAIN);
    assert_false(agw_conn_may_read(&server.conn));
}

/* Bytes that came in one segment with the end of the handshake are announced, though the socket is empty by
 * then. */
static void test_bytes_behind_handshake(void **state)
{
    client.to_send = 300;
    handshake();
    turn_until(server.received == 300);
}

static void test_half_close(void **state)
{
    client.to_send = 3000;
    client.shutdown_when_sent = true;
    handshake();
    turn_until(server.read_code == AGW_EEOF);
    assert_int_equal(server.received, 3000);
    server.to_send = 50000;
    server.shutdown_when_sent = true;
    pump_out(&server);
    turn_until(client.read_code == AGW_EEOF);
    assert_int_equal(client.received, 50000);
}

/* FIN without close_notify could be an attacker's cut. */
static void test_truncation(void **state)
{
    client.to_send = 3000;
    handshake();
    turn_until(server.received == 3000);
    shutdown(client.conn.watch.fd, SHUT_WR);
    turn_until(server.read_code == AGW_ERESET);
    char c;
    struct iovec iov = {&c, 1};
    c = 'x';
    assert_int_equal(agw_conn_writev(&server.conn, &iov, 1), AGW_ERESET);
    agw_conn_shutdown(&server.conn);
}

static void test_reset(void **state)
{
    handshake();
    agw_conn_close(&client.conn, true);
    turn_until(server.read_code == AGW_ERESET);
}

static void test_garbage_after_handshake(void **state)
{
    handshake();
    turns(3);
    assert_int_equal(send(client.conn.watch.fd, "this is not a record", 20, 0), 20);
    turn_until(server.read_code == AGW_ETLS);
}

/* --- handshakes that fail --- */

static void test_server_gets_http(void **state)
{
    selector = choose;
    connect_client(NULL, NULL);
    turn_until(client.ready);
    assert_int_equal(send(client.conn.watch.fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    turn_until(server.failed);
    assert_int_equal(server.code, AGW_ETLS);
    assert_string_equal(server.reason, "TLS handshake: http request");
}

static void test_client_gets_http(void **state)
{
    server.no_check = true;
    connect_client(tls_client, "a.test");
    turn_until(server.ready);
    assert_int_equal(send(server.conn.watch.fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0), 28);
    turn_until(client.failed);
    assert_int_equal(client.code, AGW_ETLS);
    assert_non_null(strstr(client.reason, "wrong version number"));
}

static void test_peer_leaves(void **state)
{
    server.no_check = true;
    connect_client(tls_client, "a.test");
    turn_until(server.received > 0);
    agw_conn_close(&server.conn, false);
    turn_until(client.failed);
    assert_int_equal(client.code, AGW_ERESET);
    assert_string_equal(client.reason, "TLS handshake: the peer closed the connection");
}

static void test_peer_resets(void **state)
{
    server.no_check = true;
    connect_client(tls_client, "a.test");
    turn_until(server.received > 0);
    agw_conn_close(&server.conn, true);
    turn_until(client.failed);
    assert_int_equal(client.code, AGW_ERESET);
}

static void test_nobody_listens(void **state)
{
    struct agw_error err;
    struct agw_addr gone = listener.addr;
    static const struct agw_conn_events none;

    agw_listen_stop(&listener);
    int rc = agw_conn_connect(&client.conn, &loop, &gone, &none, &err);
    assert_true(rc == 0 || rc == AGW_EREFUSED);
    agw_conn_close(&client.conn, false);
    client.conn.user = &client;
    listener.addr = gone;
    connect_client(tls_client, "a.test");
    turn_until(client.failed);
    assert_int_equal(client.code, AGW_EREFUSED);
}

/* Closing while the handshake is under way frees everything. */
static void test_close_in_handshake(void **state)
{
    selector = choose;
    for (int i = 0; i < 6; i++) {
        connect_client(tls_client, "a.test");
        for (int k = 0; k < i; k++)
            agw_loop_turn(&loop, 5);
        agw_conn_shutdown(&client.conn);
        agw_conn_close(&client.conn, i % 2);
        agw_conn_close(&server.conn, false);
    }
}

/* Every allocation of ours fails once: the connection fails with it, or works. */
static void test_out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        client.ready = client.failed = 0;
        server.ready = server.failed = 0;
        failmalloc_at(n);
        struct agw_filter *f = agw_tls_client_filter(tls_client, AGW_STR("a.test"), NULL);
        struct agw_filter *g = agw_tls_server_filter(choose, NULL);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        if (f)
            f->ops->free(f);
        if (g)
            g->ops->free(g);
        if (!reached) {
            assert_non_null(f);
            assert_non_null(g);
            break;
        }
        assert_true(!f || !g);
    }
    /* The name of the ClientHello is copied during the handshake. */
    selector = choose;
    connect_client(tls_client, "a.test");
    turn_until(agw_tls_find(&server.conn) != NULL);
    for (int i = 0; i < 1000 && !server.failed && !server.ready; i++) {
        failmalloc_at(1);
        agw_loop_turn(&loop, 5);
    }
    failmalloc_at(0);
    assert_true(server.failed || server.ready);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tls_setup, tls_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exchange),
        TEST(test_find_on_plain),
        TEST(test_bulk),
        TEST(test_bulk_other_sizes),
        TEST(test_coalesces),
        TEST(test_buffered),
        TEST(test_part_of_record),
        TEST(test_bytes_behind_handshake),
        TEST(test_half_close),
        TEST(test_truncation),
        TEST(test_reset),
        TEST(test_garbage_after_handshake),
        TEST(test_server_gets_http),
        TEST(test_client_gets_http),
        TEST(test_peer_leaves),
        TEST(test_peer_resets),
        TEST(test_nobody_listens),
        TEST(test_close_in_handshake),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
