#include "cmd/agentgateway/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "config/rcu.h"
#include "xds/spiffe.h"

/* Looked at this often: certificates live for an hour or longer, and are renewed long before they end. */
#define LOOK_MS 1000
/* A chain has some KB, a bundle of many roots some hundred. */
#define FILE_MAX (1u << 20)
enum { SVID, KEY, BUNDLE, FILES };

/* What tells one content of a file from another, whatever replaced it: a write, a rename, a symlink. */
struct mark {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
};

struct identity {
    struct agw_tls_own *own;
    struct agw_spiffe *agent; /* NULL: files */
    const char *paths[FILES];
    struct mark marks[FILES]; /* of what was read last */
    char said[512];           /* what was wrong when it was looked at last */
    int wake;                 /* eventfd: the end */
    pthread_t thread;
    bool started;
};

/* --- files --- */

static void mark_of(const char *path, struct mark *ret_mark)
{
    struct stat st;
    memset(ret_mark, 0, sizeof(*ret_mark)); /* padding, too: marks are compared as bytes */
    if (stat(path, &st))
        return;
    ret_mark->dev = st.st_dev;
    ret_mark->ino = st.st_ino;
    ret_mark->size = st.st_size;
    ret_mark->changed = st.st_mtim;
}

/* From malloc. */
static int slurp(const char *path, struct agw_str *ret_text, struct agw_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), code = 0;
    char *text = fd >= 0 ? malloc(FILE_MAX) : NULL;
    size_t n = 0;
    ssize_t got = text ? 1 : -1;
    while (got > 0 && n < FILE_MAX) {
        got = read(fd, text + n, FILE_MAX - n);
        n += got > 0 ? (size_t)got : 0;
    }
    if (got < 0)
        code = agw_error_set(err, AGW_EIO, "%s: %s", path, strerror(errno));
    else if (got > 0)
        code = agw_error_set(err, AGW_ELIMIT, "%s: more than %u bytes", path, FILE_MAX);
    if (fd >= 0)
        close(fd);
    if (code)
        free(text);
    else
        *ret_text = agw_str(text, n);
    return code;
}

static int read_files(struct identity *i, struct agw_error *err)
{
    struct agw_str texts[FILES] = {{0}};
    int code = 0;
    for (int k = 0; !code && k < FILES; k++)
        code = slurp(i->paths[k], &texts[k], err);
    if (!code) {
        struct agw_tls_own_conf conf = {texts[SVID], texts[KEY], texts[BUNDLE]};
        code = agw_tls_own_set(i->own, &conf, err);
        if (code)
            agw_error_prefix(err, "%s", i->paths[SVID]);
    }
    if (texts[KEY].p)
        explicit_bzero((char *)texts[KEY].p, texts[KEY].n);
    for (int k = 0; k < FILES; k++)
        free((char *)texts[k].p);
    return code;
}

/* Half of a renewal may be there: it is looked at again until it fits. */
static void look(struct identity *i)
{
    struct mark now[FILES];
    struct agw_error err = {0};
    for (int k = 0; k < FILES; k++)
        mark_of(i->paths[k], &now[k]);
    if (!i->said[0] && memcmp(now, i->marks, sizeof(now)) == 0)
        return;
    memcpy(i->marks, now, sizeof(now));
    if (read_files(i, &err) == 0) {
        agw_info("identity", "%s: the gateway's certificate is in use", i->paths[SVID]);
        i->said[0] = 0;
        return;
    }
    if (strcmp(err.text, i->said) != 0)
        agw_warn("identity", "%s: the certificate of before, if any, serves on", err.text);
    memcpy(i->said, err.text, sizeof(err.text));
}

static void watch_files(struct identity *i)
{
    struct pollfd fd = {.fd = i->wake, .events = POLLIN};
    while (poll(&fd, 1, LOOK_MS) <= 0)
        look(i);
}

/* --- an agent --- */

static void on_svid(void *ctx, const struct agw_svid *svid)
{
    struct identity *i = ctx;
    struct agw_tls_own_conf conf = {svid->cert_pem, svid->key_pem, svid->bundle_pem};
    struct agw_error err = {0};
    if (agw_tls_own_set(i->own, &conf, &err))
        agw_warn("identity", "%.*s: %s: the certificate of before, if any, serves on", AGW_STRF(svid->id),
                 err.text);
    else
        agw_info("identity", "%.*s: the gateway's certificate is in use", AGW_STRF(svid->id));
}

static void on_trouble(void *ctx, const char *why)
{
    (void)ctx;
    agw_warn("identity", "%s: the certificate of before, if any, serves on", why);
}

static const struct agw_spiffe_events agent_events = {.on_svid = on_svid, .on_trouble = on_trouble};

static void *run(void *arg)
{
    struct identity *i = arg;
    if (i->agent)
        agw_spiffe_run(i->agent);
    else
        watch_files(i);
    return NULL;
}

/* --- life --- */

static int prepare(struct identity *i, const struct identity_options *o, struct agw_error *err)
{
    i->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    i->own = agw_tls_own_new(o->trust_domains, agw_rcu_synchronize);
    if (!i->own || i->wake < 0)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    if (!o->svid) {
        i->agent = agw_spiffe_new(o->socket, &agent_events, i, err);
        return i->agent ? 0 : err->code;
    }
    i->paths[SVID] = o->svid;
    i->paths[KEY] = o->key;
    i->paths[BUNDLE] = o->bundle;
    look(i);
    return 0;
}

int identity_start(const struct identity_options *o, struct identity **ret_identity, struct agw_error *err)
{
    *ret_identity = NULL;
    if (!o->svid && !o->socket)
        return 0;
    struct identity *i = calloc(1, sizeof(*i));
    if (!i)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    int rc = prepare(i, o, err);
    if (!rc && (rc = pthread_create(&i->thread, NULL, run, i)))
        rc = agw_error_set(err, AGW_EIO, "identity: cannot start a thread: %s", strerror(rc));
    if (rc) {
        identity_free(i);
        return rc;
    }
    i->started = true;
    *ret_identity = i;
    return 0;
}

struct agw_tls_own *identity_certificate(const struct identity *i)
{
    return i ? i->own : NULL;
}

void identity_stop(struct identity *i)
{
    uint64_t one = 1;
    if (!i || !i->started)
        return;
    if (i->agent)
        agw_spiffe_stop(i->agent);
    else if (write(i->wake, &one, sizeof(one)) < 0)
        agw_warn("identity", "cannot wake the thread: %s", strerror(errno));
    pthread_join(i->thread, NULL);
    i->started = false;
}

void identity_free(struct identity *i)
{
    if (!i)
        return;
    identity_stop(i);
    agw_spiffe_free(i->agent);
    agw_tls_own_free(i->own);
    if (i->wake >= 0)
        close(i->wake);
    free(i);
}
