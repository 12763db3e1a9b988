#include "xds/server.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "xds/grpc_life.h"

#define SERVICE "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
#define DELTA SERVICE "DeltaAggregatedResources"
#define MAX_PEM (1u << 20)   /* a certificate chain or a key; a few KB in practice */
#define MAX_SEND (200 << 20) /* what clients take, see AGW_DELTA_RESPONSE_BYTES */

enum op_kind { OP_NEW, OP_OPEN, OP_READ, OP_SEND, OP_STATUS, OP_CLOSED, OP_KINDS };

struct call;

struct op { /* gRPC's tag of one operation */
    enum op_kind kind;
    struct call *call; /* NULL: the server's shutdown */
};

struct call {
    struct agw_list node; /* in the server's |calls| */
    struct agw_xds_server *server;
    grpc_call *grpc;
    grpc_call_details details;
    grpc_metadata_array metadata;
    struct op ops[OP_KINDS];
    unsigned running; /* operations that gRPC has not given back */
    bool sending, ended, closed;
    int cancelled; /* written by gRPC */
    grpc_byte_buffer *in;
    struct agw_delta_stream *stream; /* NULL: ended, or never begun */
    grpc_status_code refusal;        /* by the owner's callback */
};

struct agw_xds_server {
    struct agw_xds_server_options options;
    struct agw_delta_server *delta;
    grpc_completion_queue *queue;
    grpc_server *grpc;
    int port;
    pthread_t thread;
    bool has_thread;
    struct op shutdown;
    pthread_mutex_t mutex; /* all below, |delta| and the calls */
    pthread_cond_t changed;
    bool stopping, down;
    bool accepting; /* gRPC has a call to fill in */
    struct agw_list calls;
};

/* --- calls --- */

static void run(struct call *c, enum op_kind kind, const grpc_op *op)
{
    c->running++;
    agw_check(grpc_call_start_batch(c->grpc, op, 1, &c->ops[kind], NULL) == GRPC_CALL_OK);
}

static void read_next(struct call *c)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->in};
    run(c, OP_READ, &op);
}

static void end_stream(struct call *c)
{
    agw_delta_stream_close(c->stream);
    c->stream = NULL;
}

/* Ends the call from our side. A message that is still on its way to a slow client is given up. */
static void end(struct call *c, grpc_status_code status, const char *text)
{
    end_stream(c);
    if (c->ended || c->closed)
        return;
    c->ended = true;
    if (c->sending) {
        grpc_call_cancel_with_status(c->grpc, status, text, NULL);
        return;
    }
    grpc_slice details = grpc_slice_from_copied_string(text);
    grpc_op op = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
                  .data.send_status_from_server = {.status = status, .status_details = &details}};
    run(c, OP_STATUS, &op);
    grpc_slice_unref(details);
}

static grpc_status_code status_of(int code)
{
    switch (code) {
    case AGW_EPROTO:
    case AGW_EINVAL:
        return GRPC_STATUS_INVALID_ARGUMENT;
    case AGW_EUNSUPPORTED:
        return GRPC_STATUS_UNIMPLEMENTED;
    case AGW_ELIMIT:
    case AGW_ENOMEM:
        return GRPC_STATUS_RESOURCE_EXHAUSTED;
    default:
        return GRPC_STATUS_INTERNAL;
    }
}

static void end_failed(struct call *c, const struct agw_error *err)
{
    char *peer = grpc_call_get_peer(c->grpc);
    grpc_status_code status = c->refusal ? c->refusal : status_of(err->code);
    agw_warn("xds", "%s: stream ended: %s", peer ? peer : "client", err->text);
    gpr_free(peer);
    end(c, status, err->text);
}

static void entry_done(void *entry)
{
    agw_delta_entry_unref(entry);
}

/* Takes the response's entries. */
static grpc_byte_buffer *to_buffer(struct agw_delta_response *r)
{
    size_t count = (size_t)r->count + 1;
    grpc_slice *slices = reallocarray(NULL, count, sizeof(*slices));
    if (!slices)
        return NULL;
    slices[0] = grpc_slice_from_copied_buffer(r->head.p, r->head.n);
    for (size_t i = 1; i < count; i++) {
        struct agw_str wire = agw_delta_entry_wire(r->entries[i - 1]);
        slices[i] = grpc_slice_new_with_user_data((void *)wire.p, wire.n, entry_done, r->entries[i - 1]);
    }
    r->count = 0;
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, count);
    for (size_t i = 0; i < count; i++)
        grpc_slice_unref(slices[i]);
    free(slices);
    return buffer;
}

static int send_response(struct call *c, struct agw_delta_response *r)
{
    grpc_byte_buffer *buffer = to_buffer(r);
    agw_delta_response_free(r);
    if (!buffer)
        return AGW_ENOMEM;
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer};
    c->sending = true;
    run(c, OP_SEND, &op);
    grpc_byte_buffer_destroy(buffer);
    return 0;
}

/* Sends what the client needs, if the last message is out. */
static void advance(struct call *c)
{
    struct agw_delta_response *r;
    if (!c->stream || c->sending || c->ended || c->closed)
        return;
    int rc = agw_delta_stream_next(c->stream, &r);
    if (rc == 0)
        rc = send_response(c, r);
    if (rc == 0 || rc == AGW_EAGAIN)
        return;
    struct agw_error err = {0};
    agw_error_set(&err, rc, rc == AGW_ELIMIT ? "answers come too slowly" : "out of memory");
    end_failed(c, &err);
}

static void call_free(struct call *c)
{
    end_stream(c);
    agw_list_remove(&c->node);
    if (c->in)
        grpc_byte_buffer_destroy(c->in);
    grpc_metadata_array_destroy(&c->metadata);
    grpc_call_details_destroy(&c->details);
    if (c->grpc)
        grpc_call_unref(c->grpc);
    free(c);
}

/* Asks gRPC for the next call. Without memory none is taken until a call ends. */
static void accept_next(struct agw_xds_server *s)
{
    struct call *c = s->stopping || s->accepting ? NULL : calloc(1, sizeof(*c));
    if (!c)
        return;
    s->accepting = true;
    c->server = s;
    agw_list_push(&s->calls, &c->node);
    for (unsigned i = 0; i < OP_KINDS; i++)
        c->ops[i] = (struct op){i, c};
    grpc_call_details_init(&c->details);
    grpc_metadata_array_init(&c->metadata);
    c->running = 1;
    agw_check(grpc_server_request_call(s->grpc, &c->grpc, &c->details, &c->metadata, s->queue, s->queue,
                                       &c->ops[OP_NEW]) == GRPC_CALL_OK);
}

/* --- events --- */

static void on_new(struct call *c)
{
    struct agw_error err = {0};
    grpc_op closed = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                      .data.recv_close_on_server.cancelled = &c->cancelled};
    grpc_op open = {.op = GRPC_OP_SEND_INITIAL_METADATA};
    run(c, OP_CLOSED, &closed);
    run(c, OP_OPEN, &open);
    if (c->server->stopping)
        end(c, GRPC_STATUS_UNAVAILABLE, "the server is ending");
    else if (grpc_slice_str_cmp(c->details.method, DELTA))
        end(c, GRPC_STATUS_UNIMPLEMENTED, "only " DELTA " is served");
    else if (agw_delta_stream_open(c->server->delta, c, &c->stream, &err))
        end_failed(c, &err);
    else
        read_next(c);
}

/* True: the stream goes on. */
static bool take_message(struct call *c, grpc_byte_buffer *in)
{
    grpc_byte_buffer_reader reader;
    struct agw_error err = {0};
    if (!grpc_byte_buffer_reader_init(&reader, in)) {
        end(c, GRPC_STATUS_INTERNAL, "the message cannot be decompressed");
        return false;
    }
    grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
    int rc = agw_delta_stream_receive(c->stream, GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes), &err);
    grpc_slice_unref(bytes);
    grpc_byte_buffer_reader_destroy(&reader);
    if (rc)
        end_failed(c, &err);
    return rc == 0;
}

static void on_read(struct call *c, bool ok)
{
    grpc_byte_buffer *in = c->in;
    c->in = NULL;
    if (!ok || !in)
        end(c, GRPC_STATUS_OK, ""); /* the client has said all */
    else if (c->stream && take_message(c, in)) {
        read_next(c);
        advance(c);
    }
    if (in)
        grpc_byte_buffer_destroy(in);
}

static void on_event(struct agw_xds_server *s, struct op *op, bool ok)
{
    struct call *c = op->call;
    if (!c) {
        s->down = true;
        pthread_cond_signal(&s->changed);
        return;
    }
    c->running--;
    switch (op->kind) {
    case OP_NEW:
        s->accepting = false;
        if (ok)
            on_new(c);
        break;
    case OP_READ:
        on_read(c, ok);
        break;
    case OP_SEND:
        c->sending = false;
        if (ok) /* else the call is broken, and OP_CLOSED follows */
            advance(c);
        break;
    case OP_CLOSED:
        c->closed = true;
        end_stream(c);
        break;
    default:
        break;
    }
    if (c->running == 0)
        call_free(c);
    accept_next(s);
}

static void *serve(void *arg)
{
    struct agw_xds_server *s = arg;
    for (;;) {
        grpc_event e = grpc_completion_queue_next(s->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        pthread_mutex_lock(&s->mutex);
        on_event(s, e.tag, e.success);
        pthread_mutex_unlock(&s->mutex);
    }
}

/* --- callbacks of the streams --- */

static struct agw_str header_of(const struct call *c, const char *name)
{
    for (size_t i = 0; i < c->metadata.count; i++) {
        const grpc_metadata *m = &c->metadata.metadata[i];
        if (grpc_slice_str_cmp(m->key, name) == 0)
            return agw_str((const char *)GRPC_SLICE_START_PTR(m->value), GRPC_SLICE_LENGTH(m->value));
    }
    return (struct agw_str){0};
}

static int on_admit(void *arg, void *owner, struct agw_str role, struct agw_str node_id,
                    struct agw_error *err)
{
    struct agw_xds_server *s = arg;
    struct call *c = owner;
    int rc = 0;
    if (s->options.authorize)
        rc = s->options.authorize(s->options.arg, header_of(c, "authorization"), role, err);
    if (rc)
        c->refusal = rc == AGW_EREFUSED ? GRPC_STATUS_PERMISSION_DENIED : GRPC_STATUS_UNAUTHENTICATED;
    else
        agw_info("xds", "%.*s connects for %.*s", AGW_STRF(node_id), AGW_STRF(role));
    return rc;
}

static void on_nack(void *arg, void *owner, const struct agw_delta_nack *nack)
{
    struct agw_xds_server *s = arg;
    if (s->options.nack)
        s->options.nack(s->options.arg, nack);
}

/* --- start and stop --- */

/* NUL-terminated, malloced; NULL and |err| set. */
static char *read_file(const char *path, struct agw_error *err)
{
    FILE *f = fopen(path, "re");
    char *text = f ? calloc(1, MAX_PEM + 1) : NULL;
    size_t n = text ? fread(text, 1, MAX_PEM, f) : 0;
    if (n == 0) {
        agw_error_set(err, AGW_EIO, "%s: %s", path, f ? "cannot be read or is empty" : strerror(errno));
        free(text);
        text = NULL;
    }
    if (f)
        fclose(f);
    return text;
}

static grpc_server_credentials *tls_credentials(const struct agw_xds_server_options *o, struct agw_error *err)
{
    char *cert = read_file(o->cert_file, err), *key = cert ? read_file(o->key_file, err) : NULL;
    grpc_server_credentials *creds = NULL;
    if (key) {
        grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};
        creds = grpc_ssl_server_credentials_create_ex(NULL, &pair, 1,
                                                      GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, NULL);
        explicit_bzero(key, strlen(key));
    }
    free(cert);
    free(key);
    return creds;
}

static int listen_on(struct agw_xds_server *s, struct agw_error *err)
{
    char address[AGW_ADDR_TEXT];
    const struct agw_xds_server_options *o = &s->options;
    agw_addr_format(&o->address, address);
    grpc_server_credentials *creds =
        o->cert_file ? tls_credentials(o, err) : grpc_insecure_server_credentials_create();
    if (!creds)
        return err->code ? err->code : agw_error_set(err, AGW_EINVAL, "%s is no certificate", o->cert_file);
    s->port = grpc_server_add_http2_port(s->grpc, address, creds);
    grpc_server_credentials_release(creds);
    if (s->port > 0)
        return 0;
    return agw_error_set(err, AGW_EIO, "cannot listen on %s%s", address,
                         o->cert_file ? ", or certificate and key are bad or do not fit" : "");
}

static grpc_arg int_arg(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

static grpc_server *make_grpc(void)
{
    grpc_arg args[] = {
        int_arg(GRPC_ARG_ALLOW_REUSEPORT, 0), /* two controllers on one port would take turns */
        int_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, AGW_XDS_SERVER_MAX_CALLS),
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, AGW_DELTA_MAX_REQUEST),
        int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, MAX_SEND),
        int_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, AGW_XDS_SERVER_MIN_PING_MS),
        int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, AGW_XDS_SERVER_KEEPALIVE_MS),
        int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, AGW_XDS_SERVER_KEEPALIVE_TIMEOUT_MS),
        int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
    };
    grpc_channel_args all = {.num_args = AGW_ARRAY_LEN(args), .args = args};
    return grpc_server_create(&all, NULL);
}

int agw_xds_server_new(const struct agw_xds_server_options *options, struct agw_xds_server **ret_server,
                       struct agw_error *err)
{
    struct agw_xds_server *s = calloc(1, sizeof(*s));
    struct agw_delta_callbacks callbacks = {.admit = on_admit, .nack = on_nack, .arg = s};
    if (s)
        s->delta = agw_delta_server_new(&callbacks);
    if (!s || !s->delta) {
        free(s);
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    }
    s->options = *options;
    agw_list_init(&s->calls);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    agw_grpc_begin(grpc_init);
    s->queue = grpc_completion_queue_create_for_next(NULL);
    s->grpc = make_grpc();
    grpc_server_register_completion_queue(s->grpc, s->queue, NULL);
    *ret_server = s;
    return 0;
}

int agw_xds_server_start(struct agw_xds_server *s, struct agw_error *err)
{
    struct agw_error why = {0};
    int rc = listen_on(s, &why);
    if (rc)
        return agw_error_set(err, rc, "%s", why.text);
    grpc_server_start(s->grpc);
    pthread_mutex_lock(&s->mutex);
    accept_next(s);
    rc = pthread_create(&s->thread, NULL, serve, s);
    s->has_thread = rc == 0;
    pthread_mutex_unlock(&s->mutex);
    return rc ? agw_error_set(err, AGW_EIO, "thread: %s", strerror(rc)) : 0;
}

static void wait_until_down(struct agw_xds_server *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += AGW_XDS_SERVER_STOP_MS / 1000;
    int rc = 0;
    while (!s->down && rc == 0)
        rc = pthread_cond_timedwait(&s->changed, &s->mutex, &until);
    if (s->down)
        return;
    pthread_mutex_unlock(&s->mutex);
    grpc_server_cancel_all_calls(s->grpc);
    pthread_mutex_lock(&s->mutex);
    while (!s->down)
        pthread_cond_wait(&s->changed, &s->mutex);
}

void agw_xds_server_free(struct agw_xds_server *s)
{
    struct agw_list *pos, *tmp;
    if (!s)
        return;
    pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    agw_list_each (pos, tmp, &s->calls) {
        struct call *c = agw_list_entry(pos, struct call, node);
        if (c->stream)
            end(c, GRPC_STATUS_UNAVAILABLE, "the server is ending");
    }
    grpc_server_shutdown_and_notify(s->grpc, s->queue, &s->shutdown);
    if (s->has_thread)
        wait_until_down(s);
    pthread_mutex_unlock(&s->mutex);
    grpc_completion_queue_shutdown(s->queue);
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    else
        serve(s); /* takes back what gRPC holds, to the end of the queue */
    grpc_server_destroy(s->grpc);
    grpc_completion_queue_destroy(s->queue);
    agw_check(agw_list_empty(&s->calls));
    agw_delta_server_free(s->delta);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s);
    agw_grpc_end(grpc_shutdown_blocking, grpc_is_initialized);
}

uint16_t agw_xds_server_port(const struct agw_xds_server *s)
{
    return (uint16_t)s->port;
}

struct agw_delta_server *agw_xds_server_lock(struct agw_xds_server *s)
{
    pthread_mutex_lock(&s->mutex);
    return s->delta;
}

void agw_xds_server_unlock(struct agw_xds_server *s)
{
    struct agw_list *pos, *tmp;
    agw_list_each (pos, tmp, &s->calls)
        advance(agw_list_entry(pos, struct call, node));
    agw_delta_server_flush(s->delta);
    pthread_mutex_unlock(&s->mutex);
}

void agw_xds_server_stats(struct agw_xds_server *s, struct agw_delta_stats *ret_stats)
{
    pthread_mutex_lock(&s->mutex);
    agw_delta_server_stats(s->delta, ret_stats);
    pthread_mutex_unlock(&s->mutex);
}
