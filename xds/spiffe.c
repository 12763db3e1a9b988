#include "xds/spiffe.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/rng.h"
#include "xds/delta/backoff.h"
#include "xds/grpc_late.h"
#include "xds/grpc_life.h"

#define METHOD "/SpiffeWorkloadAPI/FetchX509SVID"
#define HEADER "workload.spiffe.io" /* SPIFFE Workload Endpoint specification, section 6.3.1 */

enum op_kind { OP_START, OP_RECV, OP_STATUS };

struct stream {
    grpc_channel *channel;
    grpc_call *call;
    grpc_byte_buffer *in, *out;
    grpc_metadata_array initial, trailing;
    grpc_slice details;
    grpc_status_code status;
    unsigned running; /* operations that gRPC has not given back */
    bool answered;
    uint64_t begin_ns;
};

struct agw_spiffe {
    const struct agw_spiffe_events *events;
    void *ctx;
    char *target;
    struct agw_delta_backoff backoff;
    struct agw_rng rng;
    grpc_completion_queue *queue;
    struct stream s;
    bool told; /* of trouble, since the last response */
    int wake;  /* eventfd */
    pthread_mutex_t mutex;
    grpc_call *cancel; /* under the mutex: what stop has to end */
    _Atomic bool stop;
};

static void trouble(struct agw_spiffe *c, const char *why)
{
    if (c->told || atomic_load(&c->stop))
        return;
    c->told = true;
    c->events->on_trouble(c->ctx, why);
}

/* --- a stream --- */

static int open_channel(struct agw_spiffe *c)
{
    grpc_arg args[] = {
        {GRPC_ARG_INTEGER,
         (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         {.integer = (int)AGW_SVID_RESPONSE_MAX}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, {.integer = 1}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_ENABLE_HTTP_PROXY, {.integer = 0}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, {.integer = 1}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_ENABLE_RETRIES, {.integer = 0}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_ENABLE_CHANNELZ, {.integer = 0}},
    };
    const grpc_channel_args all = {AGW_ARRAY_LEN(args), args};
    grpc_channel_credentials *creds = grpc_insecure_credentials_create();
    c->s.channel = grpc_channel_create(c->target, creds, &all);
    grpc_channel_credentials_release(creds);
    return c->s.channel ? 0 : AGW_ENOMEM;
}

static void run_op(struct agw_spiffe *c, enum op_kind kind, const grpc_op *ops, size_t count)
{
    c->s.running++;
    agw_check(grpc_call_start_batch(c->s.call, ops, count, (void *)(uintptr_t)kind, NULL) == GRPC_CALL_OK);
}

static void receive_next(struct agw_spiffe *c)
{
    const grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->s.in};
    run_op(c, OP_RECV, &op, 1);
}

static void start_call(struct agw_spiffe *c)
{
    struct stream *s = &c->s;
    grpc_slice nothing = grpc_empty_slice(); /* the request has no fields */
    grpc_metadata header = {.key = grpc_slice_from_static_string(HEADER),
                            .value = grpc_slice_from_static_string("true")};
    s->call = grpc_channel_create_call(s->channel, NULL, GRPC_PROPAGATE_DEFAULTS, c->queue,
                                       grpc_slice_from_static_string(METHOD), NULL,
                                       gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    pthread_mutex_lock(&c->mutex);
    c->cancel = s->call;
    if (atomic_load(&c->stop)) /* it came before there was anything to cancel */
        grpc_call_cancel(s->call, NULL);
    pthread_mutex_unlock(&c->mutex);
    s->out = grpc_raw_byte_buffer_create(&nothing, 1);
    const grpc_op start[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = 1, .metadata = &header}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = s->out},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &s->initial},
    };
    const grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                            .data.recv_status_on_client = {.trailing_metadata = &s->trailing,
                                                           .status = &s->status,
                                                           .status_details = &s->details}};
    run_op(c, OP_START, start, AGW_ARRAY_LEN(start));
    run_op(c, OP_STATUS, &status, 1);
    receive_next(c);
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
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, c->s.in))
        return;
    grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    agw_arena_init(&arena, 4096, AGW_SVID_RESPONSE_MEMORY);
    struct agw_str text = {(const char *)GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes)};
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
    c->s.running--;
    if (kind != OP_RECV || !c->s.in)
        return;
    c->s.answered = true;
    take_response(c);
    grpc_byte_buffer_destroy(c->s.in);
    c->s.in = NULL;
    receive_next(c);
}

static void close_stream(struct agw_spiffe *c)
{
    struct stream *s = &c->s;
    pthread_mutex_lock(&c->mutex);
    c->cancel = NULL;
    pthread_mutex_unlock(&c->mutex);
    if (s->call)
        grpc_call_unref(s->call);
    if (s->channel)
        grpc_channel_destroy(s->channel);
    if (s->out)
        grpc_byte_buffer_destroy(s->out);
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_slice_unref(s->details);
}

/* One stream from its begin to its end. Milliseconds to wait before the next. */
static uint32_t serve_stream(struct agw_spiffe *c)
{
    c->s = (struct stream){.begin_ns = agw_clock_ns(), .details = grpc_empty_slice()};
    grpc_metadata_array_init(&c->s.initial);
    grpc_metadata_array_init(&c->s.trailing);
    if (open_channel(c) == 0)
        start_call(c);
    while (c->s.running) {
        grpc_event e = grpc_completion_queue_next(c->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (e.type == GRPC_OP_COMPLETE)
            on_op(c, (enum op_kind)(uintptr_t)e.tag);
    }
    char *details = grpc_slice_to_c_string(c->s.details);
    char why[300];
    snprintf(why, sizeof(why), "%s: status %d %s", c->target, (int)c->s.status, details);
    gpr_free(details);
    trouble(c, why);
    bool clean = c->s.status == GRPC_STATUS_OK;
    bool answered = c->s.answered;
    uint64_t lived_ms = (agw_clock_ns() - c->s.begin_ns) / 1000000;
    close_stream(c);
    return agw_delta_backoff_ms(&c->backoff, clean ? AGW_DELTA_END_CLEAN : AGW_DELTA_END_FAILED, answered,
                                lived_ms, (uint32_t)agw_rng_next(&c->rng));
}

void agw_spiffe_run(struct agw_spiffe *c)
{
    struct pollfd fd = {.fd = c->wake, .events = POLLIN};
    agw_grpc_begin(grpc_init);
    c->queue = grpc_completion_queue_create_for_next(NULL);
    while (!atomic_load(&c->stop))
        poll(&fd, 1, (int)serve_stream(c));
    grpc_completion_queue_shutdown(c->queue);
    while (grpc_completion_queue_next(c->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(c->queue);
    agw_grpc_end(grpc_shutdown_blocking, grpc_is_initialized);
}

void agw_spiffe_stop(struct agw_spiffe *c)
{
    uint64_t one = 1;
    atomic_store(&c->stop, true);
    pthread_mutex_lock(&c->mutex);
    if (c->cancel)
        grpc_call_cancel(c->cancel, NULL);
    pthread_mutex_unlock(&c->mutex);
    ssize_t n = write(c->wake, &one, sizeof(one)); /* it cannot be full */
    (void)n;
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
    pthread_mutex_init(&c->mutex, NULL);
    c->events = events;
    c->ctx = ctx;
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    agw_rng_init(&c->rng, agw_clock_ns() ^ (uintptr_t)c);
    if (parse_socket(c, socket, err) || c->wake < 0) {
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
    pthread_mutex_destroy(&c->mutex);
    if (c->wake >= 0)
        close(c->wake);
    free(c->target);
    free(c);
}
