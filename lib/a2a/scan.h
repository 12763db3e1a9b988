/* What a message of A2A is about, found while its bytes pass: the method called, the task and its context,
 * its state, an error. For logs and metrics; nothing is held back, and what is found decides nothing.
 *
 * Reads JSON, JSON in server-sent events (each event is a message of its own; what the last one says stands)
 * and messages of gRPC, cut anywhere. Looks at members whose path it knows and skips the rest by counting
 * brackets: it does not check the grammar. Names and values with escapes, and values longer than their room,
 * are passed over. Memory: struct agw_a2a_scan, no more. Pure. Threads: one at a time. Errors: none. */
#ifndef AGW_A2A_SCAN_H
#define AGW_A2A_SCAN_H

#include "a2a/call.h"

#define AGW_A2A_ID_MAX 96     /* bytes of an id: they are UUIDs in practice, sealed ones are longer */
#define AGW_A2A_VALUE_MAX 96  /* bytes of any value that is looked at */
#define AGW_A2A_DEPTH 5       /* members deeper than this are never looked at */
#define AGW_A2A_FRAME_MAX 256 /* bytes of a gRPC message that are looked at: ids are its first fields */

struct agw_a2a_text {
    char text[AGW_A2A_ID_MAX];
    uint8_t n;
};

/* Task states in the spelling of 1.0 without the prefix, in lower case: 0.3's "input-required" and 1.0's
 * "TASK_STATE_INPUT_REQUIRED" are one. */
#define AGW_A2A_STATE_LIST(X)                                                                                \
    X(SUBMITTED, "submitted")                                                                                \
    X(WORKING, "working")                                                                                    \
    X(COMPLETED, "completed")                                                                                \
    X(FAILED, "failed")                                                                                      \
    X(CANCELED, "canceled")                                                                                  \
    X(INPUT_REQUIRED, "input-required")                                                                      \
    X(REJECTED, "rejected")                                                                                  \
    X(AUTH_REQUIRED, "auth-required")

enum agw_a2a_state {
    AGW_A2A_STATE_NONE, /* UNSPECIFIED and unknown ones, too */
#define X(name, text) AGW_A2A_##name,
    AGW_A2A_STATE_LIST(X)
#undef X
};

struct agw_a2a_found {
    struct agw_a2a_text method, id; /* requests of JSON-RPC */
    bool id_string;                 /* |id| stood in quotes */
    struct agw_a2a_text task, context;
    enum agw_a2a_state state;
    int32_t error; /* JSON-RPC error code; 0: none */
};

enum agw_a2a_form { AGW_A2A_JSON, AGW_A2A_EVENTS, AGW_A2A_PROTOBUF };

struct agw_a2a_scan {
    struct agw_a2a_found found;
    enum agw_a2a_form form;
    bool request;               /* of the client; else the agent's */
    enum agw_a2a_method method; /* gRPC: which messages come */

    /* JSON */
    uint32_t depth;
    uint32_t lists;              /* a bit a level: it is an array */
    uint8_t path[AGW_A2A_DEPTH]; /* names above and at the value in hand */
    uint8_t value_n;
    char value[AGW_A2A_VALUE_MAX];
    enum { AGW_A2A_OUTSIDE, AGW_A2A_STRING, AGW_A2A_SCALAR } in;
    bool escape, overlong, named; /* |named|: a name was read, its value follows */
    bool rest;                    /* the body is what JSON-RPC has in params or result */
    /* events: where in a line */
    enum { AGW_A2A_LINE_START, AGW_A2A_LINE_DATA, AGW_A2A_LINE_OTHER } line;
    uint8_t field_n; /* bytes of "data:" seen */
    bool after_cr;

    /* gRPC: the start of the frame in hand */
    uint32_t frame_left; /* bytes of its message that have not come */
    uint16_t frame_n;
    unsigned char frame[AGW_A2A_FRAME_MAX];
};

/* The body that follows is the request of |call| or, in |form|, its answer. */
void agw_a2a_scan_request(struct agw_a2a_scan *s, const struct agw_a2a_call *call);
void agw_a2a_scan_answer(struct agw_a2a_scan *s, const struct agw_a2a_call *call, bool events);
void agw_a2a_scan_bytes(struct agw_a2a_scan *s, const unsigned char *p, size_t n);
static inline struct agw_str agw_a2a_text(const struct agw_a2a_text *t)
{
    return agw_str(t->text, t->n);
}
/* "input-required"; empty for NONE. Static. */
struct agw_str agw_a2a_state_text(enum agw_a2a_state s);

#endif
