#include "balance/session.h"
#include <stdio.h>
#include "http/cookie.h"
#include "http/uri.h"

/* Both ends of the gateway's replicas may be of any byte order. */
struct packed {
    unsigned char bytes[24];
};

static void put(unsigned char *out, uint64_t v, unsigned n)
{
    while (n-- > 0) {
        out[n] = (unsigned char)v;
        v >>= 8;
    }
}

static uint64_t get(const unsigned char *in, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | in[i];
    return v;
}

static struct packed pack(const struct agw_session *s)
{
    struct packed p;
    put(p.bytes, s->backend, 8);
    put(p.bytes + 8, s->replica, 8);
    put(p.bytes + 16, s->begun_s, 4);
    put(p.bytes + 20, s->seen_s, 4);
    return p;
}

static struct agw_session unpack(const struct packed *p)
{
    return (struct agw_session){.backend = get(p->bytes, 8),
                                .replica = get(p->bytes + 8, 8),
                                .begun_s = (uint32_t)get(p->bytes + 16, 4),
                                .seen_s = (uint32_t)get(p->bytes + 20, 4)};
}

#define NAME_MAX_TEXT 24 /* of a name that nobody chose, with its NUL */

/* |how|'s name, or one of the route's own in |text|. */
static struct agw_str name_of(const struct agw_persistence *how, const struct agw_route *route,
                              char text[NAME_MAX_TEXT])
{
    if (how->name.n)
        return how->name;
    uint64_t hash = agw_path_hash(AGW_PATH_HASH, route->key.p, route->key.n);
    int n = snprintf(text, NAME_MAX_TEXT, "agw-session-%08x", (uint32_t)(hash ^ hash >> 32));
    return agw_str(text, (size_t)n);
}

static bool over(uint32_t limit_s, uint32_t since_s, uint32_t now_s)
{
    return limit_s && now_s > since_s && now_s - since_s > limit_s;
}

struct agw_session agw_session_read(const struct agw_siv *siv, const struct agw_persistence *how,
                                    const struct agw_route *route, const struct agw_msg *req, uint32_t now_s)
{
    char text[NAME_MAX_TEXT];
    struct agw_str name = name_of(how, route, text), value = AGW_STR("");
    struct packed p;
    size_t n;
    if (how->header) {
        const struct agw_header *h = agw_headers_find(&req->headers, name);
        value = h ? h->value : value;
    } else {
        agw_cookie_get(&req->headers, name, &value);
    }
    /* Texts of other lengths are not ours: not worth a look. */
    if (value.n == 0 || value.n > AGW_SIV_SIZE(sizeof(p)) ||
        agw_siv_open(siv, value, p.bytes, sizeof(p.bytes), &n) || n != sizeof(p.bytes))
        return (struct agw_session){0};
    struct agw_session s = unpack(&p);
    if (over(how->absolute_s, s.begun_s, now_s) || over(how->idle_s, s.seen_s, now_s))
        return (struct agw_session){0};
    return s;
}

static struct agw_str path_of(const struct agw_match *m)
{
    if (m->path_kind == AGW_PATH_REGEX || m->path.n == 0 || memchr(m->path.p, ';', m->path.n))
        return AGW_STR("/");
    return m->path;
}

static int write_cookie(const struct agw_persistence *how, const struct agw_session *s, struct agw_str name,
                        struct agw_str value, struct agw_str path, bool secure, struct agw_headers *resp)
{
    struct agw_arena *arena = resp->arena;
    uint32_t age_s = how->absolute_s - (s->seen_s - s->begun_s);
    struct agw_str life = AGW_STR("");
    if (how->permanent)
        life = agw_arena_printf(arena, "; Max-Age=%u", age_s);
    struct agw_str text =
        agw_arena_printf(arena, "%.*s=%.*s; Path=%.*s; HttpOnly%.*s%s", AGW_STRF(name), AGW_STRF(value),
                         AGW_STRF(path), AGW_STRF(life), secure ? "; Secure" : "");
    if (!text.p || !life.p)
        return AGW_ENOMEM;
    return agw_headers_add_id(resp, AGW_HDR_SET_COOKIE, text);
}

int agw_session_write(const struct agw_siv *siv, const struct agw_persistence *how,
                      const struct agw_session *session, const struct agw_match *match,
                      const struct agw_backend *backend, const struct agw_endpoint *e, bool secure,
                      uint32_t now_s, struct agw_headers *resp)
{
    struct agw_session s = {.backend = agw_session_backend(backend->key),
                            .replica = agw_balance_token(e),
                            .begun_s = now_s,
                            .seen_s = now_s};
    if (session->backend == s.backend && session->replica == s.replica) {
        if (!how->idle_s || session->seen_s == now_s)
            return 0; /* the client has it */
        s.begun_s = session->begun_s;
    }
    char name_text[NAME_MAX_TEXT], sealed[AGW_SIV_SIZE(sizeof(struct packed))];
    struct packed p = pack(&s);
    size_t n;
    int code = agw_siv_close(siv, agw_str((const char *)p.bytes, sizeof(p.bytes)), sealed, &n);
    if (code)
        return code;
    struct agw_str name = agw_arena_str(resp->arena, name_of(how, match->route, name_text));
    struct agw_str value = agw_arena_str(resp->arena, agw_str(sealed, n));
    if (!name.p || !value.p)
        return AGW_ENOMEM;
    if (!how->header)
        return write_cookie(how, &s, name, value, path_of(match), secure, resp);
    return agw_headers_set(resp, name, value);
}

const struct agw_backend_ref *agw_session_ref(const struct agw_session *session,
                                              const struct agw_route *route, const struct agw_snapshot *snap)
{
    for (uint32_t i = 0; session->backend && i < route->backend_count; i++) {
        const struct agw_backend_ref *ref = &route->backends[i];
        const struct agw_backend *b = ref->weight ? agw_snapshot_backend(snap, ref->backend) : NULL;
        if (b && agw_session_backend(b->key) == session->backend)
            return ref;
    }
    return NULL;
}

static struct agw_str query_value(struct agw_str name, const struct agw_msg *req, struct agw_arena *arena)
{
    struct agw_str path, query, value;
    bool has;
    agw_path_split(req->path, &path, &query, &has);
    return has && agw_query_get(query, name, arena, &value) ? value : AGW_STR("");
}

uint64_t agw_request_hash(const struct agw_load_balancer *how, const struct agw_msg *req,
                          const struct agw_addr *client, struct agw_arena *arena)
{
    struct agw_str value = AGW_STR("");
    char ip[AGW_ADDR_TEXT];
    const struct agw_header *h;
    if (!how || how->way != AGW_BALANCE_HASH)
        return 0;
    switch (how->source) {
    case AGW_HASH_SOURCE_IP:
        value = agw_str(ip, agw_addr_format_ip(client, ip));
        break;
    case AGW_HASH_HEADER:
        h = agw_headers_find(&req->headers, how->name);
        value = h ? h->value : value;
        break;
    case AGW_HASH_COOKIE:
        agw_cookie_get(&req->headers, how->name, &value);
        break;
    case AGW_HASH_QUERY:
        value = query_value(how->name, req, arena);
        break;
    }
    return value.n ? agw_balance_hash(value) : 0;
}
