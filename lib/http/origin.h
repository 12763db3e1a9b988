/* Web origins (RFC 6454), as patterns of configuration and as browsers send them.
 *
 * Patterns live in the arena given; nothing is written after parsing. Threads: any. Errors: AGW_EINVAL,
 * AGW_ENOMEM. */
#ifndef AGW_HTTP_ORIGIN_H
#define AGW_HTTP_ORIGIN_H

#include "base/arena.h"
#include "base/err.h"
#include "http/msg.h"

/* "https://a.example.com", or with one '*' for the labels in front: https, any name below example.com. */
struct agw_origin_pattern {
    struct agw_str head, tail; /* around the '*', lower case; without one |tail| is empty */
    bool wild;
};

/* AGW_EINVAL: no origin of that form ("*" alone is none either). */
int agw_origin_pattern_parse(struct agw_str text, struct agw_arena *arena,
                             struct agw_origin_pattern *ret_pattern);
bool agw_origin_matches(const struct agw_origin_pattern *p, struct agw_str origin);

/* What a request's Origin field says. */
enum agw_origin_kind {
    AGW_ORIGIN_NONE,  /* no field: not a browser, or a request that browsers send without one */
    AGW_ORIGIN_OWN,   /* of the very host and port that the request names */
    AGW_ORIGIN_LOCAL, /* both are on this machine, whatever the ports: localhost, 127.0.0.1, [::1] */
    AGW_ORIGIN_OTHER, /* of another host, opaque ("null"), or no origin at all */
    AGW_ORIGIN_MANY,  /* fields: readers would differ about which counts */
};
/* Compares Origin with |authority|, the Host that the client sent. */
enum agw_origin_kind agw_origin_kind_of(const struct agw_headers *h, struct agw_str authority);
/* True if the host of |authority| is an IP address or "localhost": names that no stranger's DNS can give to
 * this machine. */
bool agw_authority_unspoofable(struct agw_str authority);

#endif
