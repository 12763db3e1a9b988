/* What a request asks of an agent, in any of the three bindings of A2A: JSON-RPC (1.0 section 9), gRPC (10),
 * HTTP+JSON (11); methods of 0.3 and of 1.0.
 *
 * The head tells the binding and, but for JSON-RPC, the method; a JSON-RPC method comes with the body, which
 * lib/a2a/scan.h reads as it passes. Pure. Threads: any. */
#ifndef AGW_A2A_CALL_H
#define AGW_A2A_CALL_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "http/msg.h"

enum agw_a2a_binding { AGW_A2A_NONE, AGW_A2A_JSONRPC, AGW_A2A_REST, AGW_A2A_GRPC };

/* Name of 1.0, of 0.3 over JSON-RPC, and whether the answer is a stream. */
#define AGW_A2A_METHOD_LIST(X)                                                                               \
    X(SEND_MESSAGE, "SendMessage", "message/send", false)                                                    \
    X(SEND_STREAMING_MESSAGE, "SendStreamingMessage", "message/stream", true)                                \
    X(GET_TASK, "GetTask", "tasks/get", false)                                                               \
    X(LIST_TASKS, "ListTasks", "tasks/list", false)                                                          \
    X(CANCEL_TASK, "CancelTask", "tasks/cancel", false)                                                      \
    X(SUBSCRIBE_TO_TASK, "SubscribeToTask", "tasks/resubscribe", true)                                       \
    X(CREATE_PUSH, "CreateTaskPushNotificationConfig", "tasks/pushNotificationConfig/set", false)            \
    X(GET_PUSH, "GetTaskPushNotificationConfig", "tasks/pushNotificationConfig/get", false)                  \
    X(LIST_PUSH, "ListTaskPushNotificationConfigs", "tasks/pushNotificationConfig/list", false)              \
    X(DELETE_PUSH, "DeleteTaskPushNotificationConfig", "tasks/pushNotificationConfig/delete", false)         \
    X(GET_EXTENDED_CARD, "GetExtendedAgentCard", "agent/getAuthenticatedExtendedCard", false)

enum agw_a2a_method {
    AGW_A2A_METHOD_NONE, /* not known yet, or no call: a card, a page */
    AGW_A2A_METHOD_OTHER,
#define X(name, v1, v03, streams) AGW_A2A_##name,
    AGW_A2A_METHOD_LIST(X)
#undef X
};

struct agw_a2a_call {
    enum agw_a2a_binding binding;
    enum agw_a2a_method method;
    bool old;            /* JSON-RPC: named as 0.3 does; gRPC: 0.3's package; HTTP+JSON: below /v1 */
    struct agw_str task; /* HTTP+JSON: the task's id as it stands in the path, percent-encoded; or empty */
};

/* Reads |req| as it goes to the agent. A POST of JSON whose path is none of HTTP+JSON's is taken for
 * JSON-RPC. Views are into |req|. */
struct agw_a2a_call agw_a2a_call_read(const struct agw_msg *req);
/* The path of a call of |method| over HTTP+JSON, with its query, as 0.3 (|old|) or 1.0 spells it; in |arena|.
 * AGW_EUNSUPPORTED: that version has no such method, or its answer, an extended card, is not translated;
 * AGW_ENOMEM. */
int agw_a2a_rest_path(struct agw_str path, enum agw_a2a_method method, bool old, struct agw_arena *arena,
                      struct agw_str *ret_path);
/* The method that a JSON-RPC request names; OTHER for unknown names, NONE for an empty one. *ret_old: the
 * name is 0.3's. */
enum agw_a2a_method agw_a2a_method_find(struct agw_str name, bool *ret_old);
/* The name as the call spells it, for logs and metrics; static, "other" for unknown ones, empty for NONE. */
struct agw_str agw_a2a_method_name(const struct agw_a2a_call *call);
bool agw_a2a_method_streams(enum agw_a2a_method m);
/* An error code of JSON-RPC or A2A as text, "other" for those of neither: agents must not fill the metrics.
 * Static. */
struct agw_str agw_a2a_error_label(int32_t code);

#endif
