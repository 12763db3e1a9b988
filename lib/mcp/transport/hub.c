#include "mcp/transport/hub.h"

#include <stdatomic.h>
#include <stdlib.h>
#include "base/rng.h"

struct seat {
    struct agw_loop *loop;
    struct agw_mcp_transports *transports; /* read and written on the loop's thread alone */
};

struct agw_mcp_hub {
    unsigned count;
    struct agw_mcp_supervisor *supervisor;
    uint32_t mark;
    bool alone, freed;
    unsigned under_way; /* mails, if it is alone */
    _Atomic uint32_t told[AGW_MCP_HUB_COUNTS];
    struct seat seats[];
};

struct agw_mcp_hub *agw_mcp_hub_new(unsigned workers)
{
    struct agw_mcp_hub *h = calloc(1, sizeof *h + workers * sizeof h->seats[0]);
    if (!h)
        return NULL;
    h->count = workers;
    agw_random(&h->mark, sizeof h->mark);
    return h;
}

struct agw_mcp_hub *agw_mcp_hub_new_alone(const struct agw_loop *loop)
{
    struct agw_mcp_hub *h = agw_mcp_hub_new(loop->index + 1);
    if (h)
        h->alone = true;
    return h;
}

void agw_mcp_hub_free(struct agw_mcp_hub *h)
{
    if (!h)
        return;
    h->freed = true;
    if (h->under_way == 0)
        free(h);
}

static void arrived(struct agw_mcp_hub *h)
{
    if (h->alone && --h->under_way == 0 && h->freed)
        free(h);
}

void agw_mcp_hub_seat(struct agw_mcp_hub *h, struct agw_loop *loop, struct agw_mcp_transports *t)
{
    agw_check(loop->index < h->count);
    h->seats[loop->index].transports = t;
    if (h->seats[loop->index].loop != loop) /* once, before others may send */
        h->seats[loop->index].loop = loop;
}

static void run(struct agw_post *p, void *ctx)
{
    struct agw_mcp_mail *m = (struct agw_mcp_mail *)p;
    struct agw_mcp_hub *h = m->hub;
    m->deliver(h->seats[m->to].transports, m);
    arrived(h);
}

static void drop(struct agw_post *p)
{
    struct agw_mcp_mail *m = (struct agw_mcp_mail *)p;
    struct agw_mcp_hub *h = m->hub;
    m->deliver(NULL, m);
    arrived(h);
}

void agw_mcp_hub_send(struct agw_mcp_hub *h, unsigned to, struct agw_mcp_mail *m)
{
    agw_check(agw_mcp_hub_has(h, to));
    if (h->alone)
        h->under_way++;
    m->hub = h;
    m->to = to;
    m->post = (struct agw_post){.run = run, .drop = drop};
    agw_loop_post(h->seats[to].loop, &m->post);
}

void agw_mcp_hub_supervise(struct agw_mcp_hub *h, struct agw_mcp_supervisor *s)
{
    h->supervisor = s;
}

struct agw_mcp_supervisor *agw_mcp_hub_supervisor(const struct agw_mcp_hub *h)
{
    return h->supervisor;
}

bool agw_mcp_hub_has(const struct agw_mcp_hub *h, unsigned worker)
{
    return worker < h->count && h->seats[worker].loop;
}

uint32_t agw_mcp_hub_mark(const struct agw_mcp_hub *h)
{
    return h->mark;
}

static size_t count_of(uint64_t subject)
{
    return (size_t)((subject * 0x9e3779b97f4a7c15u) >> 40) % AGW_MCP_HUB_COUNTS;
}

void agw_mcp_hub_tell(struct agw_mcp_hub *h, uint64_t subject)
{
    atomic_fetch_add_explicit(&h->told[count_of(subject)], 1, memory_order_release);
}

uint32_t agw_mcp_hub_told(const struct agw_mcp_hub *h, uint64_t subject)
{
    return atomic_load_explicit(&h->told[count_of(subject)], memory_order_acquire);
}
