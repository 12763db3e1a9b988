#include "telemetry/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "telemetry/access_log_int.h"
#include "telemetry/metrics.h"

#define RING_MIN 65536
#define RING_DEFAULT                                                                                         \
    (1024 * 1024) /* 3000 records: 30 ms of a worker that serves 100000 requests a second                    \
                   */
#define OUT_BYTES (64 * 1024)
#define STOP_NS (2 * AGW_NS_PER_S) /* how long the end waits for a reader that does not read */

_Static_assert(AGW_ACCESS_LINE_MAX < OUT_BYTES, "a line fits the output buffer");

/* In a ring: the head, then the texts one after the other, padded to 8 bytes. An entry never wraps: the rest
 * of the ring is skipped by an entry with |texts| false. */
struct entry {
    uint32_t size; /* with this head */
    uint32_t texts;
};

struct entry_head {
    struct entry entry;
    uint64_t wall_ns, duration_ns, bytes_in, bytes_out;
    uint32_t status;
    uint16_t lengths[AGW_ACCESS_TEXT_COUNT];
};

_Static_assert(sizeof(struct entry_head) % 8 == 0, "texts start right behind the head");
_Static_assert(sizeof(struct entry_head) + AGW_ACCESS_TEXT_BYTES < RING_MIN / 4,
               "an entry is a small part of a ring");

/* Positions only grow; a byte is at its position modulo the size. One line for who writes it. */
struct ring {
    _Alignas(AGW_CACHE_LINE) _Atomic uint64_t head; /* the worker's */
    uint64_t tail_seen;
    _Atomic uint64_t dropped;
    _Alignas(AGW_CACHE_LINE) _Atomic uint64_t tail; /* the log thread's */
    char *data;
};

struct agw_access_log {
    struct ring *rings;
    unsigned workers;
    size_t ring_bytes;
    bool json;
    char *path; /* NULL: stdout */
    int fd, wake_fd;
    bool slow_reader; /* a pipe, socket or terminal: may not take bytes for ever */
    bool failing;     /* the last write failed, and was reported */
    uint64_t stop_by_ns;
    pthread_t thread;
    char *out; /* OUT_BYTES */
    size_t out_n;
    uint64_t out_records;
    _Atomic uint64_t lost;
    _Alignas(AGW_CACHE_LINE) atomic_bool napping;
    atomic_bool reopen, stopping;
};

/* --- on the workers --- */

static size_t measure(const struct agw_access_record *r, uint16_t lengths[AGW_ACCESS_TEXT_COUNT])
{
    size_t n = sizeof(struct entry_head);
    for (size_t i = 0; i < AGW_ACCESS_TEXT_COUNT; i++) {
        size_t k = r->texts[i].n;
        lengths[i] = (uint16_t)(k < agw_access_limits[i] ? k : agw_access_limits[i]);
        n += lengths[i];
    }
    return (n + 7) & ~(size_t)7;
}

/* Where |n| bytes can stand, at position |*at|; NULL when the ring is full. */
static char *reserve(struct ring *ring, size_t size, size_t n, uint64_t *at)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t to_end = size - (head & (size - 1));
    size_t skip = n <= to_end ? 0 : to_end;
    if (head + skip + n - ring->tail_seen > size) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head + skip + n - ring->tail_seen > size)
            return NULL;
    }
    if (skip)
        *(struct entry *)(ring->data + (head & (size - 1))) = (struct entry){.size = (uint32_t)skip};
    *at = head + skip;
    return ring->data + (*at & (size - 1));
}

static void fill(struct entry_head *h, const struct agw_access_record *r)
{
    char *text = (char *)(h + 1);
    h->entry.texts = true;
    h->wall_ns = r->wall_ns;
    h->duration_ns = r->duration_ns;
    h->bytes_in = r->bytes_in;
    h->bytes_out = r->bytes_out;
    h->status = r->status;
    for (size_t i = 0; i < AGW_ACCESS_TEXT_COUNT; i++) {
        if (h->lengths[i])
            memcpy(text, r->texts[i].p, h->lengths[i]);
        text += h->lengths[i];
    }
}

static void wake(struct agw_access_log *log)
{
    uint64_t one = 1;
    ssize_t r = write(log->wake_fd, &one, sizeof(one));
    (void)r; /* a full counter wakes as well */
}

/* A quarter full: the log thread should not sleep its nap out. Missing the moment costs nothing but that. */
static void maybe_wake(struct agw_access_log *log, struct ring *ring, uint64_t head)
{
    if (agw_likely(head - ring->tail_seen < log->ring_bytes / 4))
        return;
    ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (head - ring->tail_seen >= log->ring_bytes / 4 &&
        atomic_load_explicit(&log->napping, memory_order_relaxed) && atomic_exchange(&log->napping, false))
        wake(log);
}

void agw_access_log_write(struct agw_access_log *log, unsigned worker, const struct agw_access_record *r)
{
    struct entry_head h;
    uint64_t at;
    if (!log)
        return;
    agw_check(worker < log->workers);
    struct ring *ring = &log->rings[worker];
    size_t n = measure(r, h.lengths);
    char *p = reserve(ring, log->ring_bytes, n, &at);
    if (agw_unlikely(!p)) {
        uint64_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
        atomic_store_explicit(&ring->dropped, dropped + 1, memory_order_relaxed);
        maybe_wake(log, ring, atomic_load_explicit(&ring->head, memory_order_relaxed));
        return;
    }
    struct entry_head *entry = (struct entry_head *)p;
    memcpy(entry->lengths, h.lengths, sizeof(h.lengths));
    entry->entry.size = (uint32_t)n;
    fill(entry, r);
    atomic_store_explicit(&ring->head, at + n, memory_order_release);
    maybe_wake(log, ring, at + n);
}

/* --- on the log thread: output --- */

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* Sees that a write will not block; false when the log ends and nobody reads. */
static bool wait_writable(struct agw_access_log *log)
{
    struct pollfd p = {.fd = log->fd, .events = POLLOUT};
    for (;;) {
        if (poll(&p, 1, AGW_ACCESS_NAP_MS) > 0)
            return true;
        if (!atomic_load_explicit(&log->stopping, memory_order_acquire))
            continue;
        uint64_t now = agw_clock_ns();
        if (!log->stop_by_ns)
            log->stop_by_ns = now + STOP_NS;
        if (now >= log->stop_by_ns)
            return false;
    }
}

static bool write_all(struct agw_access_log *log, const char *p, size_t n)
{
    while (n) {
        if (log->slow_reader && !wait_writable(log)) {
            errno = ETIMEDOUT;
            return false;
        }
        /* A pipe that polls writable takes PIPE_BUF bytes without blocking. */
        ssize_t k = write(log->fd, p, log->slow_reader && n > PIPE_BUF ? PIPE_BUF : n);
        if (k < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
    return true;
}

static void flush(struct agw_access_log *log)
{
    if (log->out_n == 0)
        return;
    bool ok = write_all(log, log->out, log->out_n);
    if (!ok) {
        add(&log->lost, log->out_records);
        if (!log->failing)
            agw_error_log("access-log", "cannot write: %s; records are lost until it works again",
                          strerror(errno));
    }
    log->failing = !ok;
    log->out_n = 0;
    log->out_records = 0;
}

static int open_output(struct agw_access_log *log, struct agw_error *err)
{
    struct stat st;
    int fd = STDOUT_FILENO;
    if (log->path)
        fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0)
        return agw_error_set(err, AGW_EIO, "%s: %s", log->path, strerror(errno));
    if (log->path && log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    log->slow_reader = fstat(fd, &st) < 0 || !S_ISREG(st.st_mode);
    return 0;
}

/* --- on the log thread: rings --- */

/* A text of full length may have been cut within a character. */
static size_t whole_characters(const char *p, size_t n)
{
    while (n && (p[n - 1] & 0xc0) == 0x80)
        n--;
    return n && (unsigned char)p[n - 1] >= 0xc0 ? n - 1 : n;
}

static void format_entry(struct agw_access_log *log, const struct entry_head *h)
{
    struct agw_access_record r = {.wall_ns = h->wall_ns,
                                  .duration_ns = h->duration_ns,
                                  .bytes_in = h->bytes_in,
                                  .bytes_out = h->bytes_out,
                                  .status = h->status};
    const char *text = (const char *)(h + 1);
    for (size_t i = 0; i < AGW_ACCESS_TEXT_COUNT; i++) {
        size_t n = h->lengths[i];
        r.texts[i] = agw_str(text, n < agw_access_limits[i] ? n : whole_characters(text, n));
        text += h->lengths[i];
    }
    if (OUT_BYTES - log->out_n < AGW_ACCESS_LINE_MAX)
        flush(log);
    log->out_n = (size_t)(agw_access_format(&r, log->json, log->out + log->out_n) - log->out);
    log->out_records++;
}

/* Formats what is in the ring now. Room is given back piece by piece, so that the worker gets it early. */
static bool drain(struct agw_access_log *log, struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed), given = tail;
    if (head == tail)
        return false;
    while (tail != head) {
        const struct entry *e = (const struct entry *)(ring->data + (tail & (log->ring_bytes - 1)));
        if (e->texts)
            format_entry(log, (const struct entry_head *)e);
        tail += e->size;
        if (tail - given >= RING_MIN / 8) {
            atomic_store_explicit(&ring->tail, tail, memory_order_release);
            given = tail;
        }
    }
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
    return true;
}

static bool drain_all(struct agw_access_log *log)
{
    bool any = false;
    for (unsigned i = 0; i < log->workers; i++)
        any |= drain(log, &log->rings[i]);
    flush(log);
    return any;
}

static void nap(struct agw_access_log *log)
{
    struct pollfd p = {.fd = log->wake_fd, .events = POLLIN};
    uint64_t count;
    atomic_store(&log->napping, true);
    poll(&p, 1, AGW_ACCESS_NAP_MS);
    atomic_store(&log->napping, false);
    ssize_t r = read(log->wake_fd, &count, sizeof(count));
    (void)r; /* EAGAIN after a full nap */
}

static void *log_main(void *arg)
{
    struct agw_access_log *log = arg;
    struct agw_error err;
    bool stopping;
    do {
        stopping = atomic_load_explicit(&log->stopping, memory_order_acquire); /* then drains once more */
        if (atomic_exchange(&log->reopen, false) && log->path && open_output(log, &err))
            agw_error_log("access-log", "%s; the old file stays in use", err.text);
        drain_all(log);
        if (!stopping)
            nap(log);
    } while (!stopping);
    return NULL;
}

/* --- start and stop --- */

static void log_free(struct agw_access_log *log)
{
    for (unsigned i = 0; log->rings && i < log->workers; i++)
        free(log->rings[i].data);
    free(log->rings);
    if (log->path && log->fd >= 0)
        close(log->fd);
    if (log->wake_fd >= 0)
        close(log->wake_fd);
    free(log->path);
    free(log->out);
    free(log);
}

static int make_rings(struct agw_access_log *log)
{
    size_t bytes = sizeof(*log->rings) * (log->workers ? log->workers : 1);
    log->rings = aligned_alloc(AGW_CACHE_LINE, bytes);
    if (!log->rings)
        return AGW_ENOMEM;
    memset(log->rings, 0, bytes);
    for (unsigned i = 0; i < log->workers; i++) {
        log->rings[i].data = malloc(log->ring_bytes);
        if (!log->rings[i].data)
            return AGW_ENOMEM;
    }
    return 0;
}

static int make_parts(struct agw_access_log *log, const struct agw_access_log_options *o,
                      struct agw_error *err)
{
    size_t ring = o->ring_bytes ? o->ring_bytes : RING_DEFAULT;
    log->ring_bytes = RING_MIN;
    while (log->ring_bytes < ring && log->ring_bytes < INT_MAX / 2)
        log->ring_bytes *= 2;
    size_t n = o->path ? strlen(o->path) + 1 : 0;
    if (n && !(log->path = malloc(n)))
        return AGW_ENOMEM;
    if (n)
        memcpy(log->path, o->path, n);
    log->out = malloc(OUT_BYTES);
    if (!log->out || make_rings(log))
        return AGW_ENOMEM;
    log->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (log->wake_fd < 0)
        return agw_error_set(err, AGW_EIO, "access log: %s", strerror(errno));
    return open_output(log, err);
}

/* Signals are for the main thread; SIGPIPE becomes an error of the write. */
static int start_thread(struct agw_access_log *log)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&log->thread, NULL, log_main, log);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r == 0)
        pthread_setname_np(log->thread, "access-log");
    return r ? AGW_EIO : 0;
}

int agw_access_log_start(const struct agw_access_log_options *options, struct agw_access_log **ret_log,
                         struct agw_error *err)
{
    struct agw_access_log *log = aligned_alloc(AGW_CACHE_LINE, sizeof(*log));
    int r = AGW_ENOMEM;
    if (!log)
        goto out;
    memset(log, 0, sizeof(*log));
    log->fd = log->wake_fd = -1;
    log->workers = options->workers;
    log->json = options->json;
    if ((r = make_parts(log, options, err)))
        goto out;
    if ((r = start_thread(log))) {
        agw_error_set(err, r, "access log: cannot start a thread");
        goto out;
    }
    *ret_log = log;
    return 0;
out:
    if (r == AGW_ENOMEM)
        agw_error_set(err, r, "access log: %s", agw_err_text(r));
    if (log)
        log_free(log);
    return r;
}

void agw_access_log_stop(struct agw_access_log *log)
{
    if (!log)
        return;
    atomic_store_explicit(&log->stopping, true, memory_order_release);
    wake(log);
    pthread_join(log->thread, NULL);
    log_free(log);
}

void agw_access_log_reopen(struct agw_access_log *log)
{
    atomic_store(&log->reopen, true);
    wake(log);
}

uint64_t agw_access_log_dropped(const struct agw_access_log *log)
{
    uint64_t n = atomic_load_explicit(&log->lost, memory_order_relaxed);
    for (unsigned i = 0; i < log->workers; i++)
        n += atomic_load_explicit(&log->rings[i].dropped, memory_order_relaxed);
    return n;
}

static uint64_t read_dropped(void *ctx)
{
    return agw_access_log_dropped(ctx);
}

void agw_access_log_export(struct agw_access_log *log, struct agw_metrics_registry *registry)
{
    agw_metrics_source(registry, AGW_METRIC_ACCESS_LOG_DROPPED, read_dropped, log);
}
