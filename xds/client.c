#include "xds/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "xds/delta/backoff.h"
#include "xds/grpc_stream.h"

#define METHOD "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"
#define MAX_FILE (1u << 20) /* a token has a few KB, a bundle of roots some hundred */
#define MAX_METADATA 34     /* authorization, clusterid and the configured ones */

enum op_kind { OP_START, OP_RECV, OP_SEND, OP_STATUS };

/* A request that waits to be sent; only one may be on its way at a time. */
struct request {
    struct request *next;
    grpc_byte_buffer *bytes;
};

struct stream {
    struct agw_grpc_stream g;
    grpc_metadata metadata[MAX_METADATA];
    size_t metadata_count;
    struct request *first, *last; /* |first| is being sent when |sending| */
    bool sending, ended, answered;
};

struct agw_xds_client {
    struct agw_xds_client_conf conf;
    const struct agw_xds_client_events *events;
    void *ctx;
    struct agw_delta_client *delta;
    struct agw_delta_backoff backoff;
    struct agw_rng rng;
    const char *target; /* host:port */
    bool tls;
    bool reported; /* the last that on_stream was told is that there is no stream */
    struct agw_grpc_line line;
    struct stream s;
};

/* --- files --- */
/* The whole file with a NUL, from malloc. NULL with |err|. */
static char *slurp(const char *path, struct agw_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd >= 0 ? malloc(MAX_FILE + 1) : NULL;
    ssize_t n = text ? read(fd, text, MAX_FILE) : -1;
    if (n < 0)
        agw_error_set(err, AGW_EIO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (n < 0) {
        free(text);
        return NULL;
    }
    text[n] = 0;
    return text;
}

/* --- what a stream carries --- */
static int add_metadata(struct stream *s, const char *name, struct agw_str value, struct agw_error *err)
{
    grpc_slice key = grpc_slice_from_copied_string(name);
    if (s->metadata_count == MAX_METADATA || !grpc_header_key_is_legal(key)) {
        grpc_slice_unref(key);
        return agw_error_set(err, AGW_EINVAL, "header \"%s\" is no header name, or there are too many", name);
    }
    grpc_slice text = grpc_slice_from_copied_buffer(value.p ? value.p : "", value.n);
    if (!grpc_header_nonbin_value_is_legal(text)) {
        grpc_slice_unref(key);
        grpc_slice_unref(text);
        return agw_error_set(err, AGW_EINVAL, "the value of header \"%s\" has characters that none may have",
                             name);
    }
    s->metadata[s->metadata_count++] = (grpc_metadata){.key = key, .value = text};
    return 0;
}

static int add_token(struct agw_xds_client *c, struct agw_error *err)
{
    if (!c->conf.token)
        return 0;
    char *text = slurp(c->conf.token, err), *value = NULL;
    if (!text)
        return err->code;
    struct agw_str token = agw_str_c(text);
    while (token.n && strchr(" \t\r\n", token.p[token.n - 1]))
        token.n--;
    int code = 0;
    if (token.n == 0)
        code = agw_error_set(err, AGW_EINVAL, "%s: the token file is empty", c->conf.token);
    else if (!(value = malloc(token.n + 8)))
        code = agw_error_set(err, AGW_ENOMEM, "out of memory");
    else if (snprintf(value, token.n + 8, "Bearer %.*s", AGW_STRF(token)) > 0)
        code = add_metadata(&c->s, "authorization", agw_str_c(value), err);
    free(value);
    explicit_bzero(text, strlen(text));
    free(text);
    return code;
}

static int set_metadata(struct agw_xds_client *c, struct agw_error *err)
{
    int code = add_token(c, err);
    if (!code)
        code = add_metadata(&c->s, "clusterid",
                            agw_str_c(c->conf.cluster_id ? c->conf.cluster_id : "Kubernetes"), err);
    for (size_t i = 0; !code && i < c->conf.header_count; i++)
        code = add_metadata(&c->s, c->conf.headers[i].name, agw_str_c(c->conf.headers[i].value), err);
    return code;
}

static grpc_channel_credentials *credentials(struct agw_xds_client *c, struct agw_error *err)
{
    const char *path = c->conf.root_ca;
    if (!c->tls)
        return grpc_insecure_credentials_create();
    if (!path || strcmp(path, "SYSTEM") == 0)
        path = SYSTEM_ROOTS;
    char *roots = slurp(path, err);
    if (!roots)
        return NULL;
    grpc_channel_credentials *creds = grpc_ssl_credentials_create(roots, NULL, NULL, NULL);
    free(roots);
    if (!creds)
        agw_error_set(err, AGW_ETLS, "%s: no certificates in it", path);
    return creds;
}

static int open_channel(struct agw_xds_client *c, struct agw_error *err)
{
    const grpc_arg args[] = {
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, {.integer = AGW_XDS_CONNECT_MS}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_KEEPALIVE_TIME_MS, {.integer = AGW_XDS_KEEPALIVE_MS}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_KEEPALIVE_TIMEOUT_MS, {.integer = AGW_XDS_KEEPALIVE_TIMEOUT_MS}},
    };
    grpc_channel_credentials *creds = credentials(c, err);
    if (!creds)
        return err->code;
    int rc = agw_grpc_stream_dial(&c->s.g, c->target, creds, (int)AGW_DELTA_MAX_RESPONSE, args,
                                  AGW_ARRAY_LEN(args));
    return rc ? agw_error_set(err, rc, "out of memory") : 0;
}

/* --- operations --- */
static void send_next(struct agw_xds_client *c)
{
    struct stream *s = &c->s;
    if (s->sending || !s->first || s->ended)
        return;
    const grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = s->first->bytes};
    s->sending = true;
    agw_grpc_stream_run(&s->g, OP_SEND, &op, 1);
}

static void pop_request(struct stream *s)
{
    struct request *r = s->first;
    s->first = r->next;
    if (!s->first)
        s->last = NULL;
    grpc_byte_buffer_destroy(r->bytes);
    free(r);
}

static int queue_request(struct agw_xds_client *c, struct agw_str bytes)
{
    struct request *r = calloc(1, sizeof(*r));
    if (!r)
        return AGW_ENOMEM;
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes.p, bytes.n);
    r->bytes = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    *(c->s.last ? &c->s.last->next : &c->s.first) = r;
    c->s.last = r;
    send_next(c);
    return 0;
}

static int subscribe(struct agw_xds_client *c)
{
    int code = 0;
    for (unsigned type = 0; !code && type < AGW_DELTA_TYPES; type++) {
        struct agw_arena arena;
        struct agw_str request;
        agw_arena_init(&arena, 4096, 0);
        code = agw_delta_client_subscribe(c->delta, type, &arena, &request);
        if (!code)
            code = queue_request(c, request);
        agw_arena_free(&arena);
    }
    return code;
}

static int open_stream(struct agw_xds_client *c, struct agw_error *err)
{
    struct stream *s = &c->s;
    *s = (struct stream){0};
    agw_grpc_stream_begin(&s->g);
    int code = set_metadata(c, err);
    if (!code)
        code = open_channel(c, err);
    if (code)
        return code;
    agw_grpc_stream_call(&s->g, &c->line, METHOD);
    const grpc_op start[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = s->metadata_count, .metadata = s->metadata}},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &s->g.initial},
    };
    agw_grpc_stream_run(&s->g, OP_START, start, AGW_ARRAY_LEN(start));
    agw_grpc_stream_await_status(&s->g, OP_STATUS);
    agw_grpc_stream_receive(&s->g, OP_RECV);
    return subscribe(c) ? agw_error_set(err, AGW_ENOMEM, "out of memory") : 0;
}

/* --- responses --- */
static int apply(void *ctx, const struct agw_delta_update *u, struct agw_delta_answer *a)
{
    struct agw_xds_client *c = ctx;
    return c->events->on_update(c->ctx, u, a);
}

static void take_response(struct agw_xds_client *c)
{
    struct agw_arena arena;
    struct agw_error err = {0};
    struct agw_str request, text;
    grpc_slice bytes;
    if (!agw_grpc_stream_read(&c->s.g, &bytes, &text)) {
        grpc_call_cancel(c->s.g.call, NULL);
        return;
    }
    agw_arena_init(&arena, 4096, AGW_DELTA_MAX_RESPONSE_MEMORY);
    int code = agw_delta_client_receive(c->delta, text, apply, c, &arena, &request, &err);
    if (!code) {
        c->s.answered = true;
        code = queue_request(c, request);
    }
    if (code) {
        agw_warn("xds", "the stream is ended: %s", err.text[0] ? err.text : "out of memory");
        grpc_call_cancel(c->s.g.call, NULL);
    }
    agw_arena_free(&arena);
    grpc_slice_unref(bytes);
}

static void tell_connected(struct agw_xds_client *c)
{
    if (!c->s.answered) {
        c->reported = false;
        c->events->on_stream(c->ctx, true, c->target);
    }
}

static void on_op(struct agw_xds_client *c, enum op_kind kind, bool ok)
{
    struct stream *s = &c->s;
    s->g.running--;
    if (kind == OP_SEND) {
        s->sending = false;
        pop_request(s);
        if (ok)
            send_next(c);
    } else if (kind == OP_STATUS) {
        s->ended = true;
    } else if (kind == OP_RECV && s->g.in) {
        tell_connected(c);
        take_response(c);
        grpc_byte_buffer_destroy(s->g.in);
        s->g.in = NULL;
        agw_grpc_stream_receive(&s->g, OP_RECV);
    }
}

/* --- the loop --- */
static gpr_timespec deadline(uint64_t ns)
{
    if (ns > 3600000000000ull)
        ns = 3600000000000ull;
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos((int64_t)ns, GPR_TIMESPAN));
}

static void check_first_response(struct agw_xds_client *c, uint64_t *wait_ns)
{
    const uint64_t limit = AGW_XDS_FIRST_RESPONSE_MS * 1000000ull;
    uint64_t age = agw_clock_ns() - c->s.g.begin_ns;
    if (c->s.answered || c->s.ended)
        return;
    if (age >= limit)
        grpc_call_cancel_with_status(c->s.g.call, GRPC_STATUS_DEADLINE_EXCEEDED,
                                     "no response to the subscription", NULL);
    else if (limit - age < *wait_ns)
        *wait_ns = limit - age;
}

/* Until gRPC has given back all operations of the stream. */
static void pump(struct agw_xds_client *c)
{
    while (c->s.g.running) {
        uint64_t wait_ns = c->events->on_tick(c->ctx, agw_clock_ns());
        check_first_response(c, &wait_ns);
        grpc_event e = grpc_completion_queue_next(c->line.queue, deadline(wait_ns), NULL);
        if (e.type == GRPC_OP_COMPLETE)
            on_op(c, (enum op_kind)(uintptr_t)e.tag, e.success);
    }
}

static void close_stream(struct agw_xds_client *c)
{
    struct stream *s = &c->s;
    while (s->first)
        pop_request(s);
    for (size_t i = 0; i < s->metadata_count; i++) {
        grpc_slice_unref(s->metadata[i].key);
        grpc_slice_unref(s->metadata[i].value);
    }
    agw_grpc_stream_close(&s->g, &c->line);
}

/* OK, or one of the ways in which a server says that it is going away. */
static enum agw_delta_end end_of(const struct stream *s, const char *details)
{
    if (s->g.status == GRPC_STATUS_OK || s->g.status == GRPC_STATUS_CANCELLED ||
        s->g.status == GRPC_STATUS_DEADLINE_EXCEEDED)
        return AGW_DELTA_END_CLEAN;
    bool leaving =
        strstr(details, "transport is closing") || strstr(details, "GOAWAY") || strstr(details, "goaway");
    return s->g.status == GRPC_STATUS_UNAVAILABLE && leaving ? AGW_DELTA_END_CLEAN : AGW_DELTA_END_FAILED;
}

static void tell_gone(struct agw_xds_client *c, const char *why)
{
    if (c->reported || atomic_load(&c->line.stop))
        return;
    c->reported = true;
    c->events->on_stream(c->ctx, false, why);
}

/* One stream from its begin to its end. Milliseconds to wait before the next. */
static uint32_t serve_stream(struct agw_xds_client *c)
{
    struct agw_error err = {0};
    enum agw_delta_end end = AGW_DELTA_END_FAILED;
    int code = open_stream(c, &err);
    if (code && c->s.g.call)
        grpc_call_cancel(c->s.g.call, NULL);
    pump(c);
    if (code) {
        tell_gone(c, err.text);
    } else {
        char *details = grpc_slice_to_c_string(c->s.g.details);
        char why[300];
        snprintf(why, sizeof(why), "%s: status %d %s", c->target, (int)c->s.g.status, details);
        end = end_of(&c->s, details);
        tell_gone(c, why);
        gpr_free(details);
    }
    bool answered = c->s.answered;
    uint64_t lived_ms = (agw_clock_ns() - c->s.g.begin_ns) / 1000000;
    close_stream(c);
    return agw_delta_backoff_ms(&c->backoff, end, answered, lived_ms, (uint32_t)agw_rng_next(&c->rng));
}

static void pause_ms(struct agw_xds_client *c, uint32_t ms)
{
    uint64_t end = agw_clock_ns() + ms * 1000000ull, now;
    while (!atomic_load(&c->line.stop) && (now = agw_clock_ns()) < end) {
        struct pollfd fd = {.fd = c->line.wake, .events = POLLIN};
        uint64_t wait_ns = c->events->on_tick(c->ctx, now);
        if (end - now < wait_ns)
            wait_ns = end - now;
        poll(&fd, 1, (int)(wait_ns / 1000000) + 1);
    }
}

void agw_xds_client_run(struct agw_xds_client *c)
{
    agw_grpc_line_begin(&c->line);
    while (!atomic_load(&c->line.stop))
        pause_ms(c, serve_stream(c));
    agw_grpc_line_end(&c->line);
}

void agw_xds_client_stop(struct agw_xds_client *c)
{
    if (agw_grpc_line_stop(&c->line))
        agw_warn("xds", "cannot wake the config thread: %s", strerror(errno));
}

struct agw_delta_client *agw_xds_client_state(struct agw_xds_client *c)
{
    return c->delta;
}

/* --- making and freeing --- */
static int parse_address(struct agw_xds_client *c, struct agw_error *err)
{
    struct agw_str address = agw_str_c(c->conf.address);
    c->tls = !agw_str_starts(address, AGW_STR("http://"));
    if (!c->tls)
        address = agw_str_from(address, 7);
    else if (agw_str_starts(address, AGW_STR("https://")))
        address = agw_str_from(address, 8);
    while (address.n && address.p[address.n - 1] == '/')
        address.n--;
    const char *colon = address.n ? memrchr(address.p, ':', address.n) : NULL;
    if (!colon || colon == address.p || memchr(address.p, '/', address.n))
        return agw_error_set(err, AGW_EINVAL, "XDS_ADDRESS: \"%s\" is not http(s)://host:port",
                             c->conf.address ? c->conf.address : "");
    char *target = strndup(address.p, address.n);
    c->target = target;
    return target ? 0 : agw_error_set(err, AGW_ENOMEM, "out of memory");
}

struct agw_xds_client *agw_xds_client_new(const struct agw_xds_client_conf *conf,
                                          const struct agw_xds_client_events *events, void *ctx,
                                          struct agw_error *err)
{
    if (agw_grpc_load(err))
        return NULL;
    struct agw_xds_client *c = calloc(1, sizeof(*c));
    if (!c) {
        agw_error_set(err, AGW_ENOMEM, "out of memory");
        return NULL;
    }
    c->conf = *conf;
    c->events = events;
    c->ctx = ctx;
    int rc = agw_grpc_line_init(&c->line);
    c->delta = agw_delta_client_new(&conf->node);
    agw_rng_init(&c->rng, agw_clock_ns() ^ (uintptr_t)c);
    if (parse_address(c, err) || rc || !c->delta) {
        if (!err->code)
            agw_error_set(err, AGW_ENOMEM, "out of memory");
        agw_xds_client_free(c);
        return NULL;
    }
    return c;
}

void agw_xds_client_free(struct agw_xds_client *c)
{
    if (!c)
        return;
    agw_delta_client_free(c->delta);
    agw_grpc_line_free(&c->line);
    free((void *)c->target);
    free(c);
}
