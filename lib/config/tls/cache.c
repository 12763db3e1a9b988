/* TLS contexts by content, kept from one compile to the next: parsing certificates and loading the system's
 * roots cost milliseconds each, and a context that lives on keeps its sessions resumable. */
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/shared.h"
#include "config/tls/cache.h"

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

/* --- all that a context is made from, as one text --- */
struct content {
    char *p;
    size_t n, cap;
    bool failed;
};

/* Behind its length, so that no two lists look alike. */
static void add(struct content *c, struct agw_str part)
{
    size_t need = c->n + sizeof(part.n) + part.n;
    if (need > c->cap && !c->failed) {
        char *p = malloc(need * 2); /* not realloc: keys are not to be left behind */
        if (p && c->n)
            memcpy(p, c->p, c->n);
        if (p && c->p)
            explicit_bzero(c->p, c->n);
        c->failed = !p;
        if (p) {
            free(c->p);
            c->p = p;
            c->cap = need * 2;
        }
    }
    if (c->failed)
        return;
    memcpy(c->p + c->n, &part.n, sizeof(part.n));
    if (part.n)
        memcpy(c->p + c->n + sizeof(part.n), part.p, part.n);
    c->n = need;
}

static void add_number(struct content *c, size_t n)
{
    add(c, agw_str((const char *)&n, sizeof(n)));
}

static void add_texts(struct content *c, const char *const *v, size_t count)
{
    add_number(c, count);
    for (size_t i = 0; i < count; i++)
        add(c, agw_str_c(v[i]));
}

static void add_strs(struct content *c, const struct agw_str *v, size_t count)
{
    add_number(c, count);
    for (size_t i = 0; i < count; i++)
        add(c, v[i]);
}

static void add_params(struct content *c, const struct agw_tls_params *p)
{
    add_number(c, p->min_version);
    add_number(c, p->max_version);
    add_texts(c, p->suites, p->suite_count);
    add_texts(c, p->groups, p->group_count);
}

/* An entry with |c| as its key, which is freed. NULL: out of memory. */
static struct entry *entry_new(struct content *c)
{
    struct entry *e = c->failed ? NULL : calloc(1, sizeof(*e) + c->n);
    if (e) {
        agw_shared_init(&e->shared, entry_free);
        memcpy(e->text, c->p, c->n);
        e->key = agw_str(e->text, c->n);
    }
    if (c->p)
        explicit_bzero(c->p, c->n);
    free(c->p);
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

/* The entry with |c| as its key, which is freed: the kept one, or a new one that |make| has filled. */
static int obtain(struct agw_tls_cache *cache, struct content *c,
                  bool (*make)(struct entry *e, const void *conf, struct agw_error *err), const void *conf,
                  struct entry **ret_entry, struct agw_error *err)
{
    struct entry *e = entry_new(c), *kept = e ? take_kept(cache, e) : NULL;
    if (!e)
        return AGW_ENOMEM;
    if (!kept) {
        if (!make(e, conf, err)) {
            agw_shared_unref(e);
            return err->code ? err->code : AGW_ETLS;
        }
        if (keep(cache, e))
            return AGW_ENOMEM;
        kept = e;
    }
    *ret_entry = kept;
    return 0;
}

static bool make_server(struct entry *e, const void *conf, struct agw_error *err)
{
    e->server = agw_tls_server_new(conf, err);
    return e->server;
}

static bool make_client(struct entry *e, const void *conf, struct agw_error *err)
{
    e->client = agw_tls_client_new(conf, err);
    return e->client;
}

int agw_tls_cache_server(struct agw_tls_cache *cache, const struct agw_tls_server_conf *conf,
                         struct agw_tls_server **ret_server, void **ret_hold, struct agw_error *err)
{
    struct content c = {0};
    struct entry *e;
    add(&c, AGW_STR("server"));
    add_number(&c, conf->cert_count);
    for (size_t i = 0; i < conf->cert_count; i++) {
        add(&c, conf->certs[i].cert_chain);
        add(&c, conf->certs[i].key);
    }
    add_params(&c, &conf->params);
    add_number(&c, conf->client_auth);
    add(&c, conf->client_ca_pem);
    add_strs(&c, conf->alpn, conf->alpn_count);
    add_number(&c, conf->no_alpn);
    int code = obtain(cache, &c, make_server, conf, &e, err);
    if (code)
        return code;
    *ret_server = e->server;
    *ret_hold = e;
    return 0;
}

int agw_tls_cache_client(struct agw_tls_cache *cache, const struct agw_tls_client_conf *conf,
                         struct agw_tls_client **ret_client, void **ret_hold, uint64_t *ret_id,
                         struct agw_error *err)
{
    char flags[] = {conf->insecure, conf->any_name, conf->alpn_h2, conf->alpn_http1};
    struct agw_str parts[] = {AGW_STR("client"),
                              conf->ca_pem,
                              conf->cert_pem,
                              conf->key_pem,
                              conf->sni,
                              conf->verify_host,
                              agw_str(flags, sizeof(flags))};
    struct content c = {0};
    struct entry *e;
    add_strs(&c, parts, AGW_ARRAY_LEN(parts));
    add_strs(&c, conf->subject_names, conf->subject_name_count);
    add_params(&c, &conf->params);
    int code = obtain(cache, &c, make_client, conf, &e, err);
    if (code)
        return code;
    *ret_client = e->client;
    *ret_hold = e;
    *ret_id = e->id;
    return 0;
}
