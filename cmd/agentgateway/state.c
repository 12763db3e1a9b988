#include "cmd/agentgateway/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "proto/message.h"

#define MAGIC "agentgateway-state 1\n"
/* What a client accepts in one response, see xds/delta/client.h; a file beyond it is not ours. */
#define MAX_FILE ((off_t)400 << 20)

struct state {
    char *path, *beside;        /* the file, and the one that is written first */
    uint64_t first_ns, last_ns; /* of the changes that are not written; 0: none */
    bool failed;                /* said already */
};

struct state *state_new(const char *path)
{
    struct state *s = calloc(1, sizeof(*s));
    if (s && asprintf(&s->path, "%s", path) < 0)
        s->path = NULL;
    if (s && asprintf(&s->beside, "%s.new", path) < 0)
        s->beside = NULL;
    if (s && s->path && s->beside)
        return s;
    state_free(s);
    return NULL;
}

void state_free(struct state *s)
{
    if (!s)
        return;
    free(s->path);
    free(s->beside);
    free(s);
}

/* FNV-1a: tells a file cut short from a whole one; it is no protection from who can write it. */
static uint64_t sum(uint64_t hash, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)p[i]) * 0x100000001b3ull;
    return hash;
}

/* --- writing --- */
struct writer {
    FILE *out;
    uint64_t sum;
    const struct agw_delta_client *client;
    struct agw_arena arena; /* one resource at a time */
};

static void put(struct writer *w, const void *p, size_t n)
{
    if (n)
        fwrite(p, 1, n, w->out);
    w->sum = sum(w->sum, p, n);
}

static void put_text(struct writer *w, struct agw_str text)
{
    uint32_t n = (uint32_t)text.n;
    put(w, &n, sizeof(n));
    put(w, text.p, n);
}

/* What has no version did not come from a control plane, or by another name than its own: it is left out, and
 * the control plane sends it again. */
static int write_resource(void *ctx, struct agw_resource *r)
{
    struct writer *w = ctx;
    bool address = r->kind == AGW_RESOURCE_WORKLOAD || r->kind == AGW_RESOURCE_SERVICE;
    uint32_t type = address ? AGW_DELTA_ADDRESS : AGW_DELTA_RESOURCE;
    struct agw_str name = address ? r->key : r->id, version;
    if (!agw_delta_client_version(w->client, type, name, &version))
        return 0;
    struct agw_str body = agw_resource_pack(r, &w->arena);
    if (!body.p)
        return AGW_ENOMEM;
    put(w, &type, sizeof(type));
    put_text(w, name);
    put_text(w, version);
    put_text(w, body);
    agw_arena_reset(&w->arena);
    return 0;
}

static int write_file(struct state *s, FILE *out, const struct agw_store *store,
                      const struct agw_delta_client *client)
{
    struct writer w = {.out = out, .sum = 0xcbf29ce484222325ull, .client = client};
    const uint32_t end = AGW_DELTA_TYPES;
    agw_arena_init(&w.arena, 65536, 0);
    put(&w, MAGIC, sizeof(MAGIC) - 1);
    int code = agw_store_each(store, write_resource, &w);
    put(&w, &end, sizeof(end));
    fwrite(&w.sum, 1, sizeof(w.sum), out);
    agw_arena_free(&w.arena);
    if (!code && ftello(out) > MAX_FILE)
        code = AGW_ELIMIT;
    if (code || ferror(out) || fflush(out) || fsync(fileno(out)))
        return code ? code : AGW_EIO;
    return rename(s->beside, s->path) ? AGW_EIO : 0;
}

/* It holds private keys: a file of our own making, whatever lay there. */
static int create(const char *path)
{
    if (unlink(path) && errno != ENOENT)
        return -1;
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void save(struct state *s, const struct agw_store *store, const struct agw_delta_client *client,
                 uint64_t now_ns)
{
    int fd = create(s->beside);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    int code = out ? write_file(s, out, store, client) : AGW_EIO;
    int why = errno;
    if (out)
        fclose(out);
    else if (fd >= 0)
        close(fd);
    if (code && !s->failed)
        agw_warn("state", "%s: the configuration cannot be kept: %s", s->beside,
                 code == AGW_EIO ? strerror(why) : agw_err_text(code));
    s->failed = code != 0;
    s->first_ns = code ? now_ns : 0; /* tried again as if it had changed now */
    s->last_ns = s->first_ns;
}

void state_changed(struct state *s, uint64_t now_ns)
{
    s->last_ns = now_ns;
    if (!s->first_ns)
        s->first_ns = now_ns;
}

uint64_t state_tick(struct state *s, const struct agw_store *store, const struct agw_delta_client *client,
                    uint64_t now_ns)
{
    if (!s->first_ns)
        return UINT64_MAX;
    uint64_t due = s->last_ns + STATE_QUIET_NS, late = s->first_ns + STATE_LATE_NS;
    due = late < due ? late : due;
    if (now_ns < due)
        return due - now_ns;
    save(s, store, client, now_ns == UINT64_MAX ? s->last_ns : now_ns);
    return s->first_ns ? STATE_LATE_NS : UINT64_MAX;
}

/* --- reading --- */
struct reader {
    const char *at, *end;
};

static bool take(struct reader *r, void *out, size_t n)
{
    if ((size_t)(r->end - r->at) < n)
        return false;
    memcpy(out, r->at, n);
    r->at += n;
    return true;
}

static bool take_text(struct reader *r, struct agw_str *ret_text)
{
    uint32_t n;
    if (!take(r, &n, sizeof(n)) || (size_t)(r->end - r->at) < n)
        return false;
    *ret_text = agw_str(r->at, n);
    r->at += n;
    return true;
}

/* What one resource is on disk; |type| AGW_DELTA_TYPES: the end. */
struct entry {
    uint32_t type;
    struct agw_str name, version, body;
};

static int take_entry(struct reader *r, struct entry *e)
{
    if (!take(r, &e->type, sizeof(e->type)) || e->type > AGW_DELTA_TYPES)
        return AGW_EPROTO;
    if (e->type == AGW_DELTA_TYPES)
        return 0;
    return take_text(r, &e->name) && take_text(r, &e->version) && take_text(r, &e->body) ? 0 : AGW_EPROTO;
}

static int put_entry(const struct entry *e, struct agw_store *store)
{
    struct agw_store_change change = {0};
    struct agw_resource *resource;
    struct agw_error err = {0};
    int code = e->type == AGW_DELTA_ADDRESS
                   ? agw_resource_decode_address(e->body.p, e->body.n, &resource, &err)
                   : agw_resource_decode(e->body.p, e->body.n, &resource, &err);
    if (code)
        return code;
    code = agw_store_put(store, AGW_SOURCE_XDS, resource, &change);
    agw_resource_unref(resource);
    return code;
}

/* Into the store first: versions of what could not be read would never be sent again. */
static int load_all(struct reader r, struct agw_store *store, struct agw_delta_client *client)
{
    struct reader again = r;
    struct entry e = {0};
    int code = 0;
    while (!code && !(code = take_entry(&r, &e)) && e.type != AGW_DELTA_TYPES)
        code = put_entry(&e, store);
    while (!code && !(code = take_entry(&again, &e)) && e.type != AGW_DELTA_TYPES)
        code = agw_delta_client_seed(client, e.type, e.name, e.version);
    if (code)
        agw_delta_client_forget(client);
    return code;
}

static int load(struct agw_str text, struct agw_store *store, struct agw_delta_client *client)
{
    struct reader r = {text.p + sizeof(MAGIC) - 1, text.p + text.n - sizeof(uint64_t)};
    uint64_t want;
    if (text.n < sizeof(MAGIC) - 1 + sizeof(uint32_t) + sizeof(want) ||
        memcmp(text.p, MAGIC, sizeof(MAGIC) - 1) != 0)
        return AGW_EPROTO;
    memcpy(&want, r.end, sizeof(want));
    if (sum(0xcbf29ce484222325ull, text.p, text.n - sizeof(want)) != want)
        return AGW_EPROTO;
    return load_all(r, store, client);
}

/* The whole file in memory from malloc. */
static int slurp(const char *path, struct agw_str *ret_text)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), code = AGW_EIO;
    char *text = NULL;
    if (fd < 0)
        return errno == ENOENT ? AGW_ENOTFOUND : AGW_EIO;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= MAX_FILE) {
        text = malloc((size_t)st.st_size + 1);
        code = !text ? AGW_ENOMEM : read(fd, text, (size_t)st.st_size) == st.st_size ? 0 : AGW_EIO;
    }
    close(fd);
    if (code)
        free(text);
    else
        *ret_text = agw_str(text, (size_t)st.st_size);
    return code;
}

int state_load(struct state *s, struct agw_store *store, struct agw_delta_client *client)
{
    struct agw_str text;
    int code = slurp(s->path, &text);
    if (code == 0) {
        code = load(text, store, client);
        free((void *)text.p);
    }
    if (code && code != AGW_ENOTFOUND)
        agw_warn("state", "%s: what was kept is not used: %s", s->path, agw_err_text(code));
    return code;
}
