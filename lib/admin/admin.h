/* The admin thread: small HTTP servers beside the traffic: admin (loopback), metrics, readiness. They never
 * share a listener or a loop with traffic. Ownership: ports and page tables are copied; the pages' ctx must
 * outlive the thread. Threads: agw_admin_new / _free on the main thread; pages are served on the admin
 * thread, which is an RCU reader: a page may use agw_snapshot_current() until it returns. */
#ifndef AGW_ADMIN_ADMIN_H
#define AGW_ADMIN_ADMIN_H

#include "base/buf.h"
#include "base/err.h"
#include "http/msg.h"
#include "net/addr.h"

struct agw_admin_request {
    enum agw_method method;
    struct agw_str path, query;
    void *ctx; /* the page's */
    /* the answer: */
    int status;       /* 200 unless set */
    const char *type; /* "text/plain; charset=utf-8" unless set */
    struct agw_chain body;
    struct agw_block_pool *pool; /* for the body */
};

/* Appends text to the answer. AGW_ENOMEM. */
int agw_admin_write(struct agw_admin_request *r, struct agw_str text);

struct agw_admin_page {
    const char *path;
    enum agw_method method; /* GET pages also answer HEAD */
    void (*serve)(struct agw_admin_request *r);
    void *ctx;
};

#define AGW_ADMIN_PAGES 16 /* most pages a port */

struct agw_admin_port {
    const char *name; /* "admin", "stats", "readiness": for logs */
    struct agw_addr addr;
    const struct agw_admin_page *pages;
    unsigned count;
};

struct agw_admin;

/* Binds all ports and starts the thread. AGW_EIO names the port and the reason. */
struct agw_admin *agw_admin_new(const struct agw_admin_port *ports, unsigned count, struct agw_error *err);
void agw_admin_free(struct agw_admin *a);

#endif
