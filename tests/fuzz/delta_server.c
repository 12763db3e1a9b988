/* Any requests, in any order with changes, answers and flushes. What comes out is a well-formed response, and
 * of each type one at most waits for its answer. Input: an operation's byte, a length, that many bytes;
 * again. */
#include <stdlib.h>
#include "base/check.h"
#include "proto/message.h"
#include "proto/xds.pb-c.h"
#include "xds/delta/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OP_RECEIVE, OP_NEXT, OP_PUT, OP_REMOVE, OP_FLUSH, OP_ROLE_PUT, OPS };

struct world {
    struct agw_delta_server *server;
    struct agw_delta_stream *stream;
    bool waits[AGW_DELTA_TYPES]; /* a response was sent and no request of the type has come since */
};

static void reopen(struct world *w)
{
    agw_delta_stream_close(w->stream);
    agw_check(agw_delta_stream_open(w->server, w, &w->stream, NULL) == 0);
    w->waits[0] = w->waits[1] = false;
}

static void next(struct world *w)
{
    struct agw_delta_response *r;
    struct agw_arena arena;
    void *m;
    if (agw_delta_stream_next(w->stream, &r))
        return;
    unsigned char *bytes = malloc(r->bytes), *p = bytes;
    memcpy(p, r->head.p, r->head.n);
    p += r->head.n;
    for (uint32_t i = 0; i < r->count; i++) {
        struct agw_str wire = agw_delta_entry_wire(r->entries[i]);
        memcpy(p, wire.p, wire.n);
        p += wire.n;
    }
    agw_check(p == bytes + r->bytes);
    agw_arena_init(&arena, 1024, 0);
    agw_check(
        agw_proto_unpack(&xds__delta_discovery_response__descriptor, bytes, r->bytes, &arena, &m, NULL) == 0);
    const Xds__DeltaDiscoveryResponse *response = m;
    for (unsigned i = 0; i < AGW_DELTA_TYPES; i++) {
        if (!agw_str_eq(agw_str_c(response->type_url), agw_delta_type_url(i)))
            continue;
        agw_check(!w->waits[i]);
        w->waits[i] = true;
    }
    agw_arena_free(&arena);
    agw_delta_response_free(r);
    free(bytes);
}

static void receive(struct world *w, struct agw_str bytes)
{
    if (agw_delta_stream_receive(w->stream, bytes.p, bytes.n, NULL))
        reopen(w);
    else
        w->waits[0] = w->waits[1] = false;
}

static void run(struct world *w, unsigned op, struct agw_str bytes)
{
    enum agw_delta_type type = bytes.n & 1 ? AGW_DELTA_ADDRESS : AGW_DELTA_RESOURCE;
    switch (op) {
    case OP_RECEIVE:
        receive(w, bytes);
        break;
    case OP_NEXT:
        next(w);
        break;
    case OP_PUT:
        agw_delta_server_put(w->server, type, AGW_STR(""), bytes, bytes, NULL, NULL);
        break;
    case OP_ROLE_PUT:
        agw_delta_server_put(w->server, type, AGW_STR("ns~gw"), bytes, AGW_STR("x"), NULL, NULL);
        break;
    case OP_REMOVE:
        agw_delta_server_remove(w->server, type, AGW_STR(""), bytes, NULL);
        agw_delta_server_remove(w->server, type, AGW_STR("ns~gw"), bytes, NULL);
        break;
    default:
        agw_delta_server_flush(w->server);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {0};
    struct agw_delta_callbacks callbacks = {0};
    w.server = agw_delta_server_new(&callbacks);
    agw_check(w.server);
    reopen(&w);
    while (size >= 2) {
        unsigned op = data[0] % OPS;
        size_t n = data[1] <= size - 2 ? data[1] : size - 2;
        run(&w, op, agw_str((const char *)data + 2, n));
        data += 2 + n;
        size -= 2 + n;
    }
    agw_delta_stream_close(w.stream);
    agw_delta_server_free(w.server);
    return 0;
}
