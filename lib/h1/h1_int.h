/* What the codec's files share: fields (RFC 9112 section 5) as heads and trailer sections hold them. */
#ifndef AGW_H1_H1_INT_H
#define AGW_H1_H1_INT_H

#include "h1/h1.h"

#define AGW_H1_TRAILER_MAX 8192 /* bytes of a trailer section: checksums, grpc-status and its message */
#define AGW_H1_TRAILERS 64      /* fields in it */

/* What the fields that belong to the connection said. */
struct agw_h1_fields {
    struct agw_h1_head *head; /* takes status and reason of an error */
    struct agw_headers *out;  /* end-to-end fields */
    uint32_t limit;           /* most fields, of all kinds */
    uint32_t options;         /* of Connection, so far */
    bool trailers;            /* a trailer section: fields of the connection are dropped */
    bool close, keep_alive;   /* Connection: close, keep-alive */
    bool names_upgrade;       /* Connection: upgrade */
    bool names_others; /* Connection names end-to-end fields; it stands in |out| until they are removed */
    bool te_trailers;  /* TE: trailers */
    bool offers_h2c;   /* Upgrade names it */
    bool has_length, has_host, has_coding, has_expect;
    int64_t length;        /* Content-Length */
    uint32_t keep_alive_s; /* Keep-Alive: timeout */
    struct agw_str host, coding, expect, upgrade;
};

/* Parses the fields at |p|, which end with an empty line; every LF among them follows a CR, and AGW_H1_PAD
 * readable bytes follow. Names are lower-cased in place; views point into the text. AGW_EPROTO, AGW_ELIMIT,
 * AGW_ENOMEM. */
int agw_h1_fields_parse(struct agw_h1_fields *f, char *p);

/* Sets status and reason, returns |code|. */
static inline int agw_h1_fail(struct agw_h1_head *h, int code, int status, const char *reason)
{
    h->status = status;
    h->reason = reason;
    return code;
}

#endif
