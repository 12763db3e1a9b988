#include "tls/tls_int.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"

#define RECORD_MAX 16384 /* RFC 8446 section 5.1: the most bytes of one record */

static const struct agw_filter_ops tls_ops;

static struct agw_tls *of(const struct agw_filter *f)
{
    return (struct agw_tls *)f; /* the filter is the first member */
}

/* --- OpenSSL reads and writes the filter below --- */

static int below(struct agw_tls *t, BIO *bio, ssize_t n)
{
    if (n > 0)
        return (int)n;
    if (n == 0 || n == AGW_EAGAIN) {
        BIO_set_flags(bio, BIO_get_flags(bio) | BIO_FLAGS_SHOULD_RETRY);
        return -1;
    }
    if (!t->io)
        t->io = (int)n;
    return n == AGW_EEOF ? 0 : -1;
}

static int bio_read(BIO *bio, char *buf, int n)
{
    struct agw_tls *t = BIO_get_data(bio);
    struct agw_filter *next = t->filter.next;

    BIO_clear_retry_flags(bio);
    int rc = below(t, bio, next->ops->read(next, buf, (size_t)n));
    if (BIO_should_retry(bio))
        BIO_set_retry_read(bio);
    return rc;
}

static int bio_write(BIO *bio, const char *buf, int n)
{
    struct agw_tls *t = BIO_get_data(bio);
    struct agw_filter *next = t->filter.next;
    struct iovec iov = {(char *)buf, (size_t)n};

    BIO_clear_retry_flags(bio);
    int rc = below(t, bio, next->ops->writev(next, &iov, 1));
    if (BIO_should_retry(bio))
        BIO_set_retry_write(bio);
    return rc;
}

static long bio_ctrl(BIO *bio, int command, long number, void *p)
{
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return ((struct agw_tls *)BIO_get_data(bio))->io == AGW_EEOF;
    default:
        return 0;
    }
}

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static void make_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "filter");

    if (!m)
        return;
    if (BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) && BIO_meth_set_ctrl(m, bio_ctrl))
        bio_method = m;
    else
        BIO_meth_free(m);
}

static BIO *bio_new(struct agw_tls *t)
{
    pthread_once(&bio_once, make_bio_method);
    BIO *bio = bio_method ? BIO_new(bio_method) : NULL;
    if (!bio)
        return NULL;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    return bio;
}

/* --- results --- */

/* OpenSSL judges a call by its error queue, which must not hold what others on this thread left there. */
static void clear_queue(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

static int io_code(const struct agw_tls *t)
{
    return t->io == AGW_EEOF ? AGW_ERESET : t->io; /* an end without close_notify may be a truncation */
}

/* Why a read or write gave |result| <= 0. */
static int failure(struct agw_tls *t, int result)
{
    struct agw_error err;

    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return AGW_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return AGW_EEOF;
    }
    if (t->io) {
        t->broken = io_code(t);
        clear_queue();
    } else {
        t->broken = agw_tls_error(&err, "TLS");
        agw_debug("tls", "%s", err.text);
    }
    return t->broken;
}

static int refused(const struct agw_tls *t, struct agw_error *err)
{
    if (t->name)
        return agw_error_set(err, AGW_ETLS, "TLS handshake: no certificate for \"%s\"", t->name);
    return agw_error_set(err, AGW_ETLS, "TLS handshake: the client names no server and there is no default");
}

static int unverified(const struct agw_tls *t, long result, struct agw_error *err)
{
    const char *why = X509_verify_cert_error_string(result);

    if (t->server)
        return agw_error_set(err, AGW_ETLS, "TLS handshake: client certificate refused: %s", why);
    if (t->name || t->peers)
        return agw_error_set(err, AGW_ETLS, "TLS handshake: certificate refused: %s (expected \"%s\")", why,
                             t->peers ? t->peers : t->name);
    return agw_error_set(err, AGW_ETLS, "TLS handshake: certificate refused: %s", why);
}

static int handshake_failure(struct agw_tls *t, int result, struct agw_error *err)
{
    int e = SSL_get_error(t->ssl, result);
    long verified = SSL_get_verify_result(t->ssl);

    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return AGW_EAGAIN;
    if (t->refused)
        t->broken = refused(t, err);
    else if (verified != X509_V_OK && SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE)
        t->broken = unverified(t, verified, err);
    else if (t->io == AGW_EEOF)
        t->broken = agw_error_set(err, AGW_ERESET, "TLS handshake: the peer closed the connection");
    else if (t->io)
        t->broken = agw_error_set(err, t->io, "TLS handshake: %s", agw_err_text(t->io));
    else
        t->broken = agw_tls_error(err, "TLS handshake");
    clear_queue();
    return t->broken;
}

/* --- the filter's operations --- */

static int tls_start(struct agw_filter *f, struct agw_error *err)
{
    struct agw_tls *t = of(f);
    int rc = f->next->ops->start(f->next, err);

    if (rc)
        return rc;
    if (t->broken)
        return t->broken;
    clear_queue();
    int result = SSL_do_handshake(t->ssl);
    return result == 1 ? 0 : handshake_failure(t, result, err);
}

static ssize_t tls_read(struct agw_filter *f, void *buf, size_t n)
{
    struct agw_tls *t = of(f);

    if (t->broken)
        return t->broken;
    clear_queue();
    int result = SSL_read(t->ssl, buf, n < INT_MAX ? (int)n : INT_MAX);
    t->drained = result <= 0;
    return result > 0 ? result : failure(t, result);
}

/* A place in an iovec array. */
struct cursor {
    const struct iovec *iov;
    int count;
    size_t offset; /* into the first */
};

static void advance(struct cursor *at, size_t n)
{
    while (at->count > 0 && n >= at->iov->iov_len - at->offset) {
        n -= at->iov->iov_len - at->offset;
        at->offset = 0;
        at->iov++;
        at->count--;
    }
    at->offset += n;
}

/* The bytes of the next record: in place if one piece fills it or is the last, else gathered in |scratch|. */
static size_t next_record(const struct cursor *from, unsigned char *scratch, const void **ret_p)
{
    struct cursor at = *from;
    size_t n = 0;

    if (at.count == 0)
        return 0;
    size_t first = at.iov->iov_len - at.offset;
    if (at.count == 1 || first >= RECORD_MAX) {
        *ret_p = (const char *)at.iov->iov_base + at.offset;
        return first < RECORD_MAX ? first : RECORD_MAX;
    }
    while (at.count > 0 && n < RECORD_MAX) {
        size_t piece = at.iov->iov_len - at.offset;
        if (piece > RECORD_MAX - n)
            piece = RECORD_MAX - n;
        memcpy(scratch + n, (const char *)at.iov->iov_base + at.offset, piece);
        n += piece;
        advance(&at, piece);
    }
    *ret_p = scratch;
    return n;
}

static ssize_t tls_writev(struct agw_filter *f, const struct iovec *iov, int count)
{
    struct agw_tls *t = of(f);
    struct cursor at = {iov, count, 0};
    unsigned char scratch[RECORD_MAX];
    const void *p;
    ssize_t taken = 0;

    if (t->broken)
        return t->broken;
    clear_queue();
    advance(&at, 0); /* past empty pieces */
    for (size_t n; (n = next_record(&at, scratch, &p)) > 0;) {
        int result = SSL_write(t->ssl, p, (int)n);
        if (result <= 0) {
            int rc = failure(t, result);
            return taken ? taken : rc;
        }
        taken += result;
        advance(&at, (size_t)result);
    }
    return taken;
}

static bool tls_buffered(const struct agw_filter *f)
{
    const struct agw_tls *t = of(f);

    return !t->drained && !t->broken && SSL_has_pending(t->ssl);
}

/* close_notify, then the end below. Reading goes on (RFC 8446 section 6.1). */
static void tls_shutdown(struct agw_filter *f)
{
    struct agw_tls *t = of(f);

    if (!t->broken && SSL_is_init_finished(t->ssl) && !(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN)) {
        clear_queue();
        SSL_shutdown(t->ssl);
        clear_queue();
    }
    f->next->ops->shutdown(f->next);
}

void agw_tls_filter_free(struct agw_filter *f)
{
    struct agw_tls *t = of(f);

    if (t->ssl && !t->broken) /* else OpenSSL takes an end without close_notify for a spoilt session */
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    agw_tls_server_unref(t->server);
    agw_tls_client_unref(t->client);
    free(t->name);
    free(t->peers);
    free(t);
}

static const struct agw_filter_ops tls_ops = {
    .name = "tls",
    .start = tls_start,
    .read = tls_read,
    .writev = tls_writev,
    .buffered = tls_buffered,
    .shutdown = tls_shutdown,
    .free = agw_tls_filter_free,
};

struct agw_tls *agw_tls_filter_new(SSL_CTX *ctx, bool server)
{
    struct agw_tls *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->filter.ops = &tls_ops;
    t->ssl = SSL_new(ctx);
    BIO *bio = t->ssl ? bio_new(t) : NULL;
    if (!bio || !SSL_set_app_data(t->ssl, t)) {
        BIO_free(bio);
        agw_tls_filter_free(&t->filter);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_bio(t->ssl, bio, bio);
    if (server)
        SSL_set_accept_state(t->ssl);
    else
        SSL_set_connect_state(t->ssl);
    return t;
}

char *agw_tls_copy_name(struct agw_str name)
{
    char *copy = malloc(name.n + 1);

    if (!copy)
        return NULL;
    memcpy(copy, name.p, name.n);
    copy[name.n] = 0;
    return copy;
}

/* --- after the handshake --- */

struct agw_filter *agw_tls_find(struct agw_conn *c)
{
    for (struct agw_filter *f = c->top; f; f = f->next)
        if (f->ops == &tls_ops)
            return f;
    return NULL;
}

struct agw_str agw_tls_alpn(const struct agw_filter *f)
{
    const unsigned char *p = NULL;
    unsigned n = 0;

    SSL_get0_alpn_selected(of(f)->ssl, &p, &n);
    return agw_str((const char *)p, n);
}

struct agw_str agw_tls_sni(const struct agw_filter *f)
{
    return agw_str_c(of(f)->name);
}

void *agw_tls_choice(const struct agw_filter *f)
{
    return of(f)->choice;
}

const char *agw_tls_version(const struct agw_filter *f)
{
    return SSL_get_version(of(f)->ssl);
}

bool agw_tls_resumed(const struct agw_filter *f)
{
    return SSL_session_reused(of(f)->ssl) == 1;
}
