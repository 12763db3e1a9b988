/* Both sides of the gateway's MCP endpoint, played by the test: a client's stream and the targets behind
 * agw_client_open. Ownership: all of it is static; fake_reset between cases. */
#ifndef FAKE_H
#define FAKE_H

#include "client/client.h"
#include "config/backend_auth.h"
#include "mcp/handler.h"

#define FAKE_UPS 64

/* A request that reached a target. */
struct fake_up {
    struct agw_stream stream; /* first */
    const struct agw_endpoint *to;
    struct agw_arena *arena;
    enum agw_method method;
    char session[64], version[16], host[64], accept[64], extra[64], authorization[64], last_id[64],
        rpc_method[64], rpc_name[64];
    char body[4096];
    size_t n;
    bool open, sent, answered, reset, unsent, cookie;
    size_t consumed;
};

/* The client's stream and what it got. */
struct fake_down {
    struct agw_stream stream; /* first */
    struct agw_arena arena;
    struct agw_msg req;
    int status;
    char type[64], session[1024];
    char body[65536];
    size_t n, pending;
    bool head, ended, reset, done;
    struct agw_mcp_report report;
};

extern struct fake_up fake_ups[FAKE_UPS];
extern unsigned fake_up_count;
extern struct agw_loop fake_loop;
extern long fake_fail_from; /* the allocation of agw_mcp_handle, and after, that fails; 0: none */
extern struct agw_mcp_origin fake_origin;        /* of the clients */
extern struct agw_mcp_rights fake_rights;        /* of the clients */
extern const struct agw_backend_auth *fake_auth; /* what targets are asked with */
extern struct agw_str fake_token;                /* the client's, taken off its request */
extern bool fake_taken;                          /* the last request was taken over */

void fake_reset(void);
/* The client sends |method| with |body| (NULL: none) and, unless empty, |session| and a last event id. */
void fake_request(struct agw_mcp *m, struct fake_down *d, const struct agw_backend *b, enum agw_method method,
                  const char *session, const char *body);
void fake_header(struct fake_down *d, const char *name, const char *value); /* before fake_request */
void fake_down_init(struct fake_down *d);
/* Ends the client's stream as the codec does: both ends well (0), or broken. */
void fake_close(struct fake_down *d, int code);
void fake_down_free(struct fake_down *d);

/* The target answers: a head and, unless NULL, a body; |end| ends it. |session|: NULL: none. */
void fake_answer(struct fake_up *u, int status, const char *type, const char *session, const char *body,
                 bool end);
void fake_more(struct fake_up *u, const char *body);
void fake_end(struct fake_up *u);
void fake_break(struct fake_up *u, int code);
/* Ends a walk on which the |n|th allocation was to fail: the client leaves, then every target that still has
 * a request breaks off. True: so many allocations were made. */
bool fake_end_walk(struct fake_down *d, long n);
/* One backend of one target of Streamable HTTP, "one", for tests that need no more. */
extern const struct agw_backend fake_backend;
/* Runs the loop's deferred tasks. */
void fake_turn(void);

#endif
