/* A backend with a target "old", which keeps sessions, and one "new", of 2026-07-28; and their clients. */
#ifndef ERAS_H
#define ERAS_H

#include "../fake.h"
#include "mcp/era/bridge.h"
#include "mcp/era/era_int.h"

#define JSON "application/json"
#define SSE "text/event-stream"
#define VERSION "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\""
#define CAPS "\"io.modelcontextprotocol/clientCapabilities\":{}"
#define META "\"_meta\":{" VERSION "," CAPS "}"
#define MESSAGE(id, method, params)                                                                          \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":{" params "}}"
#define ASK(method, params) MESSAGE("2", method, params META)
#define RESULT_OF(id, members) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{" members "}}"
#define ERROR_OF(id, code)                                                                                   \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":\"no\"}}"
#define NO_HINTS "\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\""
#define INITIALIZED(caps)                                                                                    \
    RESULT_OF("0", "\"protocolVersion\":\"2025-11-25\",\"capabilities\":{" caps                              \
                   "},\"serverInfo\":{\"name\":\"o\",\"version\":\"1\"},\"instructions\":\"be kind\"")
#define DISCOVERED                                                                                           \
    RESULT_OF("0",                                                                                           \
              "\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{\"listChanged\":true}},"  \
              "\"resultType\":\"complete\",\"ttlMs\":5,\"cacheScope\":\"public\"")
#define INIT                                                                                                 \
    MESSAGE(                                                                                                 \
        "1", "initialize",                                                                                   \
        "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"roots\":{}},\"clientInfo\":{\"name\":\"c\"," \
        "\"version\":\"1\"}")
#define CLIENT                                                                                               \
    VERSION ",\"io.modelcontextprotocol/clientCapabilities\":{\"roots\":{}},"                                \
            "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"c\",\"version\":\"1\"}"

#define CALL ASK("tools/call", "\"name\":\"t\",")
#define CALLED(id) RESULT_OF(id, "\"content\":[]")

extern struct agw_mcp_target targets[2];
extern struct agw_mcp_backend conf; /* "old" alone, unless a test changes it */
extern const struct agw_backend backend;
extern const unsigned char eras_key[32];
extern struct agw_mcp *mcp;
extern struct fake_down down;
extern char session[1024]; /* of a client of old */

/* |m| knows for a while that all of |b|'s targets speak 2026-07-28, or that none does. */
void fake_era(struct agw_mcp *m, const struct agw_backend *b, bool modern);
/* A new |mcp|. False: no memory. */
bool begin_endpoint(void);
int eras_group_setup(void **state);
int eras_group_teardown(void **state);
int eras_setup(void **state);
int eras_teardown(void **state);
/* A client of 2026-07-28; |name| may be NULL. */
void ask(const char *method, const char *name, const char *body);
/* A client of old. */
void post(const char *body);
void finish(void);
void assert_has(const char *text);
void pass_time(uint64_t ms);
/* The session with "old" begins: the |n|-th request is `initialize`. */
void open_session(unsigned n, const char *sid, const char *caps);
/* CALL is under way: request 2. */
void begin_call(void);

#endif
