#include "xds/spiffe.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/rng.h"
#include "xds/delta/backoff.h"
#include "xds/grpc_stream.h"

#define METHOD "/SpiffeWorkloadAPI/FetchX509SVID"
#define HEADER "workload.spiffe.io" /* SPIFFE Workload Endpoint specification, section 6.3.1 */

enum op_kind { OP_START, OP_RECV, OP_STATUS };

struct stream {
    struct agw_grpc_stream g;
    grpc_byte_buffer *out;
    bool answered;
};

struct agw_spiffe {
    const struct agw_spiffe_events *events;
    void *ctx;
    char *target;
    struct agw_delta_backoff backoff;
    struct agw_rng rng;
    struct agw_grpc_line line;
    struct stream s;
    bool told; /* of trouble, since the last response */
};

static void trouble(struct agw_spiffe *c, const char *why)
{
    if (c->told || atomic_load(&c->line.stop))
        return;
    c->told = true;
    c->events->on_trouble(c->ctx, why);
}

/* --- a stream --- */

static void start_call(struct agw_spiffe *c)
{
    struct stream *s = &c->s;
    grpc_slice nothing = grpc_empty_slice(); /* the request has no fields */
    grpc_metadata header = {.key = grpc_slice_from_static_string(HEADER),
                            .value = grpc_slice_from_static_string("true")};
    agw_grpc_stream_call(&s->g, &c->line, METHOD);
    s->out = grpc_raw_byte_buffer_create(&nothing, 1);
    const grpc_op start[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = 1, .metadata = &header}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = s->out},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &s->g.initial},
    };
    agw_grpc_stream_run(&s->g, OP_START, start, AGW_ARRAY_LEN(start));
    agw_grpc_stream_await_status(&s->g, OP_STATUS);
    agw_grpc_stream_receive(&s->g, OP_RECV);
}

static void wipe(struct agw_str text)
{
    if (text.n)
        explicit_bzero((char *)text.p, text.n);
}

static void take_response(struct agw_spiffe *c)
{
    struct agw_arena arena;
    struct agw_error err = {0};
    struct agw_svid svid = {0};
    struct agw_str text;
    grpc_slice bytes;
    if (!agw_grpc_stream_read(&c->s.g, &bytes, &text))
        return;
    agw_arena_init(&arena, 4096, AGW_SVID_RESPONSE_MEMORY);
    if (agw_svid_parse(text, &arena, &svid, &err)) {
        trouble(c, err.text[0] ? err.text : "out of memory");
    } else {
        c->told = false;
        c->events->on_svid(c->ctx, &svid);
    }
    wipe(svid.key_pem);
    agw_arena_free(&arena);
    grpc_slice_unref(bytes);
}

static void on_op(struct agw_spiffe *c, enum op_kind kind)
{
    struct agw_grpc_stream *g = &c->s.g;
    g->running--;
    if (kind != OP_RECV || !g->in)
        return;
    c->s.answered = true;
    take_response(c);
    grpc_byte_buffer_destroy(g->in);
    g->in = NULL;
    agw_grpc_stream_receive(g, OP_RECV);
}

static void close_stream(struct agw_spiffe *c)
{
    if (c->s.out)
        grpc_byte_buffer_destroy(c->s.out);
    agw_grpc_stream_close(&c->s.g, &c->line);
}

/* One stream from its begin to its end. Milliseconds to wait before the next. */
static uint32_t serve_stream(struct agw_spiffe *c)
{
    c->s = (struct stream){0};
    agw_grpc_stream_begin(&c->s.g);
    if (agw_grpc_stream_dial(&c->s.g, c->target, grpc_insecure_credentials_create(),
                             (int)AGW_SVID_RESPONSE_MAX, NULL, 0) == 0)
        start_call(c);
    while (c->s.g.running) {
        grpc_event e = grpc_completion_queue_next(c->line.queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (e.type == GRPC_OP_COMPLETE)
            on_op(c, (enum op_kind)(uintptr_t)e.tag);
    }
    char *details = grpc_slice_to_c_string(c->s.g.details);
    char why[300];
    snprintf(why, sizeof(why), "%s: status %d %s", c->target, (int)c->s.g.status, details);
    gpr_free(details);
    trouble(c, why);
    bool clean = c->s.g.status == GRPC_STATUS_OK;
    bool answered = c->s.answered;
    uint64_t lived_ms = (agw_clock_ns() - c->s.g.begin_ns) / 1000000;
    close_stream(c);
    return agw_delta_backoff_ms(&c->backoff, clean ? AGW_DELTA_END_CLEAN : AGW_DELTA_END_FAILED, answered,
                                lived_ms, (uint32_t)agw_rng_next(&c->rng));
}

void agw_spiffe_run(struct agw_spiffe *c)
{
    struct pollfd fd = {.fd = c->line.wake, .events = POLLIN};
    agw_grpc_line_begin(&c->line);
    while (!atomic_load(&c->line.stop))
        poll(&fd, 1, (int)serve_stream(c));
    agw_grpc_line_end(&c->line);
}

void agw_spiffe_stop(struct agw_spiffe *c)
{
    agw_grpc_line_stop(&c->line); /* the descriptor cannot be full */
}

/* --- making and freeing --- */

/* SPIFFE Workload Endpoint specification, section 4. */
static int parse_socket(struct agw_spiffe *c, const char *socket, struct agw_error *err)
{
    struct agw_str text = agw_str_c(socket);
    bool tcp = agw_str_starts(text, AGW_STR("tcp://"));
    struct agw_str rest = agw_str_from(text, tcp ? 6 : 5);
    bool unix_path = agw_str_starts(text, AGW_STR("unix:/")) &&
                     (!agw_str_starts(rest, AGW_STR("//")) || agw_str_starts(rest, AGW_STR("///")));
    if (!(tcp && rest.n && !memchr(rest.p, '/', rest.n)) && !unix_path)
        return agw_error_set(err, AGW_EINVAL,
                             "SPIFFE_ENDPOINT_SOCKET: \"%s\" is neither unix:///path nor tcp://ip:port",
                             socket);
    c->target = strdup(tcp ? rest.p : socket);
    return c->target ? 0 : agw_error_set(err, AGW_ENOMEM, "out of memory");
}

struct agw_spiffe *agw_spiffe_new(const char *socket, const struct agw_spiffe_events *events, void *ctx,
                                  struct agw_error *err)
{
    if (agw_grpc_load(err))
        return NULL;
    struct agw_spiffe *c = calloc(1, sizeof(*c));
    if (!c) {
        agw_error_set(err, AGW_ENOMEM, "out of memory");
        return NULL;
    }
    c->events = events;
    c->ctx = ctx;
    int rc = agw_grpc_line_init(&c->line);
    agw_rng_init(&c->rng, agw_clock_ns() ^ (uintptr_t)c);
    if (parse_socket(c, socket, err) || rc) {
        if (!err->code)
            agw_error_set(err, AGW_EIO, "no descriptor is left");
        agw_spiffe_free(c);
        return NULL;
    }
    return c;
}

void agw_spiffe_free(struct agw_spiffe *c)
{
    if (!c)
        return;
    agw_grpc_line_free(&c->line);
    free(c->target);
    free(c);
}
