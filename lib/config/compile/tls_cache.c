/* TLS contexts by content, kept from one compile to the next: parsing certificates and loading the system's
 * roots cost milliseconds each, and a context that lives on keeps its sessions resumable. */
#include <stdlib.h>
#include "config/compile/compile_int.h"

struct entry {
    struct agw_shared shared; /* the cache's reference, and those of the units that use it */
    struct agw_str key;       /* all that the context was made from */
    uint64_t id;
    uint64_t run; /* last run that asked for it */
    struct agw_tls_server *server;
    struct agw_tls_client *client;
    char text[];
};

struct agw_tls_cache {
    struct agw_map by_content;
    uint64_t run, last_id;
};

struct agw_tls_cache *agw_tls_cache_new(void)
{
    return calloc(1, sizeof(struct agw_tls_cache));
}

static void entry_free(struct agw_shared *shared)
{
    struct entry *e = agw_container_of(shared, struct entry, shared);
    if (e->server)
        agw_tls_server_unref(e->server);
    if (e->client)
        agw_tls_client_unref(e->client);
    explicit_bzero(e->text, e->key.n);
    free(e);
}

static void sweep(struct agw_tls_cache *cache, bool all)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(&cache->by_content, &cursor));) {
        struct entry *e = slot->value;
        if (all || (e->run < cache->run && e->shared.refs == 1)) {
            agw_map_take(&cache->by_content, e->key);
            agw_shared_unref(e);
        }
    }
}

void agw_tls_cache_begin(struct agw_tls_cache *cache)
{
    cache->run++;
}

void agw_tls_cache_sweep(struct agw_tls_cache *cache)
{
    sweep(cache, false);
}

void agw_tls_cache_free(struct agw_tls_cache *cache)
{
    if (!cache)
        return;
    sweep(cache, true);
    agw_map_free(&cache->by_content);
    free(cache);
}

/* An entry with its key made of |parts|, each behind its length so that no two lists look alike. */
static struct entry *entry_new(const struct agw_str *parts, size_t count)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        n += sizeof(parts[i].n) + parts[i].n;
    struct entry *e = calloc(1, sizeof(*e) + n);
    if (!e)
        return NULL;
    agw_shared_init(&e->shared, entry_free);
    for (size_t i = 0; i < count; i++) {
        memcpy(e->text + at, &parts[i].n, sizeof(parts[i].n));
        at += sizeof(parts[i].n);
        if (parts[i].n)
            memcpy(e->text + at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    e->key = agw_str(e->text, n);
    return e;
}

/* The kept entry like |e|, which is freed then, or NULL. */
static struct entry *take_kept(struct agw_tls_cache *cache, struct entry *e)
{
    struct entry *kept = agw_map_get(&cache->by_content, e->key);
    if (!kept)
        return NULL;
    agw_shared_unref(e);
    kept->run = cache->run;
    return kept;
}

static int keep(struct agw_tls_cache *cache, struct entry *e)
{
    e->run = cache->run;
    e->id = ++cache->last_id;
    int code = agw_map_put(&cache->by_content, e->key, e, NULL);
    if (code)
        agw_shared_unref(e);
    return code;
}

int agw_tls_cache_server(struct agw_tls_cache *cache, struct agw_str cert, struct agw_str key,
                         struct agw_tls_server **ret_server, void **ret_hold, struct agw_error *err)
{
    struct agw_str parts[] = {AGW_STR("server"), cert, key};
    struct entry *e = entry_new(parts, AGW_ARRAY_LEN(parts)), *kept;
    if (!e)
        return AGW_ENOMEM;
    kept = take_kept(cache, e);
    if (!kept) {
        struct agw_tls_cert_pem pem = {cert, key};
        e->server = agw_tls_server_new(&pem, 1, err);
        if (!e->server) {
            agw_shared_unref(e);
            return err->code ? err->code : AGW_ETLS;
        }
        if (keep(cache, e))
            return AGW_ENOMEM;
        kept = e;
    }
    *ret_server = kept->server;
    *ret_hold = kept;
    return 0;
}

int agw_tls_cache_client(struct agw_tls_cache *cache, const struct agw_tls_client_conf *conf,
                         struct agw_tls_client **ret_client, void **ret_hold, uint64_t *ret_id,
                         struct agw_error *err)
{
    char flags[] = {conf->insecure, conf->alpn_h2, conf->alpn_http1};
    struct agw_str parts[] = {AGW_STR("client"),
                              conf->ca_pem,
                              conf->cert_pem,
                              conf->key_pem,
                              conf->sni,
                              conf->verify_host,
                              agw_str(flags, sizeof(flags))};
    struct entry *e = entry_new(parts, AGW_ARRAY_LEN(parts)), *kept;
    if (!e)
        return AGW_ENOMEM;
    kept = take_kept(cache, e);
    if (!kept) {
        e->client = agw_tls_client_new(conf, err);
        if (!e->client) {
            agw_shared_unref(e);
            return err->code ? err->code : AGW_ETLS;
        }
        if (keep(cache, e))
            return AGW_ENOMEM;
        kept = e;
    }
    *ret_client = kept->client;
    *ret_hold = kept;
    *ret_id = kept->id;
    return 0;
}
