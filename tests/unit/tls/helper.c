#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/log.h"
#include "helper.h"

struct agw_loop loop;
struct agw_listen listener;
struct end client, server;
struct agw_tls_sessions *client_sessions;
const char *client_peers;
struct agw_tls_server *(*selector)(void *ctx, struct agw_str sni, void **ret_choice);
void *selector_ctx;

/* --- certificates --- */

static void add_extension(X509 *cert, const struct cert *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer ? issuer->x509 : cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

static char *pem_text(BIO *bio)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    char *copy = strndup(p, (size_t)n);
    assert_non_null(copy);
    BIO_free(bio);
    return copy;
}

static void write_pem(struct cert *c)
{
    BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(cert, c->x509), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(key, c->key, NULL, NULL, 0, NULL, NULL), 1);
    c->cert_pem = pem_text(cert);
    c->key_pem = pem_text(key);
}

struct cert *cert_new(const char *type, const struct cert *issuer, const char *san, int days)
{
    static int serial;
    struct cert *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    c->key = strcmp(type, "RSA") == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    c->x509 = X509_new();
    assert_non_null(c->key);
    assert_non_null(c->x509);
    X509_set_version(c->x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c->x509), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c->x509), -10 * 86400);
    X509_gmtime_adj(X509_getm_notAfter(c->x509), days * 86400L);
    X509_set_pubkey(c->x509, c->key);
    X509_NAME *name = X509_get_subject_name(c->x509);
    char subject[32];
    snprintf(subject, sizeof(subject), "test %d", serial);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(c->x509, issuer ? X509_get_subject_name(issuer->x509) : name);
    add_extension(c->x509, issuer, NID_basic_constraints, san ? "CA:FALSE" : "critical,CA:TRUE");
    if (san)
        add_extension(c->x509, issuer, NID_subject_alt_name, san);
    assert_true(X509_sign(c->x509, issuer ? issuer->key : c->key, EVP_sha256()) > 0);
    write_pem(c);
    return c;
}

void cert_free(struct cert *c)
{
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
    free(c->cert_pem);
    free(c->key_pem);
    free(c);
}

struct agw_tls_cert_pem cert_pem(const struct cert *c)
{
    return (struct agw_tls_cert_pem){agw_str_c(c->cert_pem), agw_str_c(c->key_pem)};
}

struct agw_tls_server *server_of(const struct cert *c)
{
    struct agw_error err = {0};
    struct agw_tls_cert_pem pem = cert_pem(c);
    struct agw_tls_server_conf conf = {.certs = &pem, .cert_count = 1};
    struct agw_tls_server *s = agw_tls_server_new(&conf, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

/* --- two ends --- */

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

void pump_out(struct end *e)
{
    static unsigned char bytes[4 * 20000];
    struct iovec iov[4];
    size_t piece = e->piece ? e->piece : 5000;

    while (e->sent < e->to_send) {
        size_t n = e->to_send - e->sent < 4 * piece ? e->to_send - e->sent : 4 * piece;
        for (size_t k = 0; k < n; k++)
            bytes[k] = pattern(e->sent + k);
        for (size_t i = 0; i < 4; i++) {
            size_t from = i * piece < n ? i * piece : n;
            iov[i] = (struct iovec){bytes + from, n - from < piece ? n - from : piece};
        }
        ssize_t taken = agw_conn_writev(&e->conn, iov, 4);
        if (taken < 0) {
            e->write_code = (int)taken;
            return;
        }
        assert_true(taken > 0 && (size_t)taken <= n);
        e->sent += (size_t)taken;
    }
    if (e->shutdown_when_sent)
        agw_conn_shutdown(&e->conn);
}

void pump_in(struct end *e)
{
    unsigned char buf[7000];

    while (!e->stop_reading) {
        ssize_t n = agw_conn_read(&e->conn, buf, sizeof(buf));
        if (n <= 0) {
            e->read_code = (int)n;
            return;
        }
        for (ssize_t i = 0; i < n && !e->no_check; i++)
            if (buf[i] != pattern(e->received + (size_t)i))
                fail_msg("byte %zu differs", e->received + (size_t)i);
        e->received += (size_t)n;
    }
}

static void on_ready(struct agw_conn *c)
{
    struct end *e = c->user;
    e->ready++;
    pump_out(e);
}

static void on_failed(struct agw_conn *c, int code, const char *reason)
{
    struct end *e = c->user;
    e->failed++;
    e->code = code;
    snprintf(e->reason, sizeof(e->reason), "%s", reason);
    agw_conn_close(c, false);
}

static void on_readable(struct agw_conn *c)
{
    struct end *e = c->user;
    e->readable++;
    pump_in(e);
}

static void on_writable(struct agw_conn *c)
{
    struct end *e = c->user;
    e->writable++;
    pump_out(e);
}

static const struct agw_conn_events events = {on_ready, on_failed, on_readable, on_writable};

static void on_accept(struct agw_listen *l, int fd, const struct agw_addr *peer)
{
    agw_conn_close(&server.conn, false);
    assert_int_equal(agw_conn_accept(&server.conn, &loop, fd, peer, &events), 0);
    server.conn.user = &server;
    if (selector) {
        struct agw_filter *f = agw_tls_server_filter(selector, selector_ctx);
        assert_non_null(f);
        agw_conn_push(&server.conn, f);
    }
    agw_conn_start(&server.conn);
}

int tls_setup(void **state)
{
    struct agw_addr a;

    agw_log_level(AGW_LOG_ERROR);
    memset(&client, 0, sizeof(client));
    memset(&server, 0, sizeof(server));
    client.conn.watch.fd = server.conn.watch.fd = -1;
    client.conn.user = &client;
    server.conn.user = &server;
    selector = NULL;
    selector_ctx = NULL;
    if (agw_loop_init(&loop, 0) || agw_addr_parse(AGW_STR("127.0.0.1:0"), &a, NULL))
        return -1;
    return agw_listen_start(&listener, &loop, agw_listen_socket(&a, NULL), on_accept);
}

int tls_teardown(void **state)
{
    agw_conn_close(&client.conn, false);
    agw_listen_stop(&listener);
    agw_conn_close(&server.conn, false);
    agw_loop_free(&loop);
    return 0;
}

static void connect_to(const struct agw_addr *to, struct agw_tls_client *tls, const char *host)
{
    struct agw_error err;

    agw_conn_close(&client.conn, false);
    assert_int_equal(agw_conn_connect(&client.conn, &loop, to, &events, &err), 0);
    if (tls) {
        struct agw_filter *f = agw_tls_client_filter(tls, agw_str_c(host), client_sessions);
        assert_non_null(f);
        if (client_peers)
            assert_int_equal(agw_tls_expect(f, agw_str_c(client_peers)), 0);
        agw_conn_push(&client.conn, f);
    }
    agw_conn_start(&client.conn);
}

void connect_client(struct agw_tls_client *tls, const char *host)
{
    connect_to(&listener.addr, tls, host);
}

static struct agw_tls_server *handshake_server;

static struct agw_tls_server *handshake_select(void *ctx, struct agw_str sni, void **ret_choice)
{
    return handshake_server;
}

void handshake_with(struct agw_tls_server *s, struct agw_tls_client *c, const char *host)
{
    handshake_server = s;
    selector = handshake_select;
    client.ready = client.failed = server.ready = server.failed = 0;
    client.reason[0] = server.reason[0] = 0;
    client.received = server.received = server.sent = client.sent = 0;
    connect_client(c, host);
    turn_until((client.ready || client.failed) && (server.ready || server.failed));
}

void handshake_between(const struct agw_tls_server_conf *of_server,
                       const struct agw_tls_client_conf *of_client, const char *host)
{
    struct agw_error err = {0};
    struct agw_tls_server *s = agw_tls_server_new(of_server, &err);
    struct agw_tls_client *c = s ? agw_tls_client_new(of_client, &err) : NULL;

    if (!c)
        fail_msg("%s", err.text);
    handshake_with(s, c, host);
    agw_tls_server_unref(s); /* the filters keep what they need */
    agw_tls_client_unref(c);
}

/* --- a peer on a thread --- */

static void on_done(struct agw_post *p, void *loop_ctx)
{
    free(p);
}

static void *peer_main(void *arg)
{
    struct peer *p = arg;
    struct agw_post *post = malloc(sizeof(*post));

    p->result = p->fn(p);
    close(p->fd);
    __atomic_store_n(&p->done, true, __ATOMIC_RELEASE);
    *post = (struct agw_post){.run = on_done};
    agw_loop_post(&loop, post);
    return NULL;
}

static int join_peer(struct peer *p, pthread_t thread)
{
    turn_until(__atomic_load_n(&p->done, __ATOMIC_ACQUIRE));
    pthread_join(thread, NULL);
    agw_loop_turn(&loop, 0);
    return p->result;
}

int run_peer(struct peer *p)
{
    pthread_t thread;

    p->done = false;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(p->fd, &listener.addr.u.sa, listener.addr.n), 0);
    assert_int_equal(pthread_create(&thread, NULL, peer_main, p), 0);
    return join_peer(p, thread);
}

static void *accepting_main(void *arg)
{
    struct peer *p = arg;
    int fd = accept(p->fd, NULL, NULL);

    close(p->fd);
    p->fd = fd;
    return peer_main(p);
}

int run_accepting_peer(struct peer *p, struct agw_tls_client *tls, const char *host)
{
    pthread_t thread;
    struct agw_addr a;
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);

    p->done = false;
    agw_addr_parse(AGW_STR("127.0.0.1:0"), &a, NULL);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->fd, &a.u.sa, a.n), 0);
    assert_int_equal(listen(p->fd, 4), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&sa, &n), 0);
    agw_addr_from(&sa, n, &a);
    assert_int_equal(pthread_create(&thread, NULL, accepting_main, p), 0);
    connect_to(&a, tls, host);
    return join_peer(p, thread);
}
