/* A client and a server session joined in memory, and a raw nghttp2 client that may break the rules. Events
 * are recorded. */
#ifndef H2_PAIR_H
#define H2_PAIR_H

#include <nghttp2/nghttp2.h>
#include "base/err.h"
#include "h2/h2.h"

#define RECS 200

struct rec {
    struct end *end;
    struct agw_h2_stream *st; /* NULL once it is over */
    struct agw_arena arena;
    struct agw_msg *msg;
    int heads, last_1xx;
    bool head_end;
    size_t body;
    unsigned char bytes[256]; /* the first of the body */
    int ends, closes, code, drains;
    struct agw_headers *trailers;
};

struct end {
    struct agw_h2 *h;
    struct rec recs[RECS];
    unsigned n;
    int goaways, error;
    bool hold;   /* do not consume body bytes */
    bool refuse; /* no stream is taken */
    bool quick;  /* answer requests with 200 at once */
    struct agw_block_pool *pool;
};

struct pair {
    struct agw_block_pool pool;
    struct end c, s;
    uint64_t now_ms;
};

/* False: out of memory. */
bool pair_init(struct pair *p, const struct agw_h2_limits *client, const struct agw_h2_limits *server);
/* Moves bytes both ways until nothing is left. */
void pair_run(struct pair *p);
void pair_move(struct pair *p, struct end *from, struct end *to);
void pair_free(struct pair *p);

/* A message in the arena of |r|: method GET of http://a.example/x, or status 200. */
struct agw_msg *pair_request(struct rec *r, enum agw_method method, const char *path);
struct agw_msg *pair_response(struct rec *r, int status);
/* Opens a stream on the client; NULL when refused. */
struct rec *pair_open(struct pair *p, enum agw_method method, const char *path, bool end);
int pair_body(struct rec *r, size_t n); /* |n| letters */

/* A client that sends what it likes to |s|. */
struct raw {
    nghttp2_session *ng;
    struct end s;
    struct agw_block_pool pool;
    uint64_t now_ms;
    int status;           /* of the last response */
    uint32_t reset_code;  /* of the last RST_STREAM; ~0: none */
    uint32_t goaway_code; /* ~0: none */
    int pongs;
};
bool raw_init(struct raw *r, const struct agw_h2_limits *server);
void raw_run(struct raw *r);
void raw_free(struct raw *r);
/* Sends a request with these fields: name, value, ..., NULL; |end|: END_STREAM. Returns the stream id. */
int32_t raw_request(struct raw *r, int end, ...) __attribute__((sentinel));
/* Sends a frame as it is. */
void raw_frame(struct raw *r, uint8_t type, uint8_t flags, int32_t id, const void *payload, size_t n);

#endif
