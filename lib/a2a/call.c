#include "a2a/call.h"

#include <stdlib.h>
#include "base/check.h"

static const struct {
    struct agw_str v1, v03;
    bool streams;
} methods[] = {[AGW_A2A_METHOD_OTHER] = {{"other", 5}, {"other", 5}, false},
#define X(name, one, three, streams)                                                                         \
    [AGW_A2A_##name] = {{one, sizeof(one) - 1}, {three, sizeof(three) - 1}, streams},
               AGW_A2A_METHOD_LIST(X)
#undef X
};

enum agw_a2a_method agw_a2a_method_find(struct agw_str name, bool *ret_old)
{
    *ret_old = false;
    if (name.n == 0)
        return AGW_A2A_METHOD_NONE;
    for (size_t i = AGW_A2A_METHOD_OTHER + 1; i < AGW_ARRAY_LEN(methods); i++) {
        *ret_old = agw_str_eq(methods[i].v03, name);
        if (*ret_old || agw_str_eq(methods[i].v1, name))
            return (enum agw_a2a_method)i;
    }
    return AGW_A2A_METHOD_OTHER;
}

struct agw_str agw_a2a_method_name(const struct agw_a2a_call *call)
{
    return call->old && call->binding == AGW_A2A_JSONRPC ? methods[call->method].v03
                                                         : methods[call->method].v1;
}

bool agw_a2a_method_streams(enum agw_a2a_method m)
{
    return methods[m].streams;
}

struct agw_str agw_a2a_error_label(int32_t code)
{
    static const char *const names[] = {"-32700", "-32603", "-32602", "-32601", "-32600", "-32009", "-32008",
                                        "-32007", "-32006", "-32005", "-32004", "-32003", "-32002", "-32001"};
    for (size_t i = 0; i < AGW_ARRAY_LEN(names); i++)
        if (code == (int32_t)strtol(names[i], NULL, 10))
            return agw_str_c(names[i]);
    return AGW_STR("other");
}

/* --- HTTP+JSON --- */

/* The last segment of *path, which loses it and the slash before it. */
static struct agw_str pop(struct agw_str *path)
{
    size_t at = path->n;
    while (at > 0 && path->p[at - 1] != '/')
        at--;
    struct agw_str last = agw_str_from(*path, at);
    path->n = at > 0 ? at - 1 : 0;
    return last;
}

/* Cuts |verb| (":cancel") off; false if |s| does not end in it, or is nothing else. */
static bool cut(struct agw_str *s, struct agw_str verb)
{
    if (s->n <= verb.n || !agw_str_ends(*s, verb))
        return false;
    s->n -= verb.n;
    return true;
}

/* ".../tasks/ID/pushNotificationConfigs": |path| ends before the last segment. */
static bool below_push(struct agw_str path, struct agw_str *ret_task)
{
    *ret_task = pop(&path);
    return ret_task->n > 0 && agw_str_eq(pop(&path), AGW_STR("tasks"));
}

static enum agw_a2a_method push_method(enum agw_method m, bool one)
{
    if (!one)
        return m == AGW_METHOD_POST  ? AGW_A2A_CREATE_PUSH
               : m == AGW_METHOD_GET ? AGW_A2A_LIST_PUSH
                                     : AGW_A2A_METHOD_NONE;
    return m == AGW_METHOD_GET      ? AGW_A2A_GET_PUSH
           : m == AGW_METHOD_DELETE ? AGW_A2A_DELETE_PUSH
                                    : AGW_A2A_METHOD_NONE;
}

/* Calls that the last segment tells. */
static enum agw_a2a_method plain_method(enum agw_method m, struct agw_str last, struct agw_str above)
{
    static const struct {
        enum agw_method m;
        struct agw_str last;
        enum agw_a2a_method is;
    } calls[] = {
        {AGW_METHOD_POST, {"message:send", 12}, AGW_A2A_SEND_MESSAGE},
        {AGW_METHOD_POST, {"message:stream", 14}, AGW_A2A_SEND_STREAMING_MESSAGE},
        {AGW_METHOD_GET, {"tasks", 5}, AGW_A2A_LIST_TASKS},
        {AGW_METHOD_GET, {"extendedAgentCard", 17}, AGW_A2A_GET_EXTENDED_CARD},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(calls); i++)
        if (calls[i].m == m && agw_str_eq(calls[i].last, last))
            return calls[i].is;
    if (m == AGW_METHOD_GET && agw_str_eq(last, AGW_STR("card")) && agw_str_eq(pop(&above), AGW_STR("v1")))
        return AGW_A2A_GET_EXTENDED_CARD;
    return AGW_A2A_METHOD_NONE;
}

/* ".../tasks/LAST": |above| ends before it. */
static enum agw_a2a_method task_method(enum agw_method m, struct agw_str last, struct agw_str above,
                                       struct agw_str *ret_task)
{
    bool get = m == AGW_METHOD_GET, post = m == AGW_METHOD_POST;
    if (!agw_str_eq(pop(&above), AGW_STR("tasks")))
        return AGW_A2A_METHOD_NONE;
    *ret_task = last;
    if (post && cut(ret_task, AGW_STR(":cancel")))
        return AGW_A2A_CANCEL_TASK;
    if ((post || get) && cut(ret_task, AGW_STR(":subscribe"))) /* the specification says both */
        return AGW_A2A_SUBSCRIBE_TO_TASK;
    return get && last.n > 0 ? AGW_A2A_GET_TASK : AGW_A2A_METHOD_NONE;
}

/* The path is read from its end: routes put what they like before it, and so do tenants. */
static enum agw_a2a_method rest_method(enum agw_method m, struct agw_str path, struct agw_str *ret_task)
{
    struct agw_str push = AGW_STR("pushNotificationConfigs"), last = pop(&path), above = path;
    enum agw_a2a_method found = plain_method(m, last, path);
    *ret_task = AGW_STR("");
    if (found != AGW_A2A_METHOD_NONE)
        return found;
    if (agw_str_eq(last, push) && below_push(path, ret_task))
        return push_method(m, false);
    if (agw_str_eq(pop(&above), push) && below_push(above, ret_task))
        return push_method(m, true);
    return task_method(m, last, path, ret_task);
}

/* Where a call's own segments begin: at a slash, or 0. */
static size_t tail_of(struct agw_str path, enum agw_a2a_method method)
{
    static const unsigned char segments[] = {
        [AGW_A2A_SEND_MESSAGE] = 1,     [AGW_A2A_SEND_STREAMING_MESSAGE] = 1,
        [AGW_A2A_LIST_TASKS] = 1,       [AGW_A2A_GET_TASK] = 2,
        [AGW_A2A_CANCEL_TASK] = 2,      [AGW_A2A_SUBSCRIBE_TO_TASK] = 2,
        [AGW_A2A_CREATE_PUSH] = 3,      [AGW_A2A_LIST_PUSH] = 3,
        [AGW_A2A_GET_PUSH] = 4,         [AGW_A2A_DELETE_PUSH] = 4,
        [AGW_A2A_GET_EXTENDED_CARD] = 1};
    ptrdiff_t query = agw_str_find(path, '?');
    if (query >= 0)
        path.n = (size_t)query;
    for (unsigned i = 0; i < segments[method]; i++)
        pop(&path);
    return path.n;
}

static bool is_below_v1(struct agw_str path, enum agw_a2a_method method)
{
    return agw_str_ends(agw_str(path.p, tail_of(path, method)), AGW_STR("/v1"));
}

int agw_a2a_rest_path(struct agw_str path, enum agw_a2a_method method, bool old, struct agw_arena *arena,
                      struct agw_str *ret_path)
{
    if (method == AGW_A2A_GET_EXTENDED_CARD || (method == AGW_A2A_LIST_TASKS && old))
        return AGW_EUNSUPPORTED;
    size_t at = tail_of(path, method);
    bool below = is_below_v1(path, method);
    struct agw_str parts[] = {agw_str(path.p, !old && below ? at - 3 : at),
                              old && !below ? AGW_STR("/v1") : AGW_STR(""), agw_str_from(path, at)};
    *ret_path = agw_arena_join(arena, parts, AGW_ARRAY_LEN(parts));
    return ret_path->p ? 0 : AGW_ENOMEM;
}

/* --- which binding --- */

static bool media_type(struct agw_str value, struct agw_str type)
{
    return value.n >= type.n && agw_str_ieq(agw_str(value.p, type.n), type) &&
           (value.n == type.n || value.p[type.n] == ';' || value.p[type.n] == ' ');
}

/* "/lf.a2a.v1.A2AService/GetTask"; 0.3 has the package a2a.v1. */
static bool read_grpc(struct agw_str path, struct agw_a2a_call *call)
{
    struct agw_str name = pop(&path);
    if (!agw_str_ends(path, AGW_STR("a2a.v1.A2AService")))
        return false;
    call->binding = AGW_A2A_GRPC;
    call->method = agw_a2a_method_find(name, &call->old);
    call->old = !agw_str_ends(path, AGW_STR("/lf.a2a.v1.A2AService"));
    return true;
}

struct agw_a2a_call agw_a2a_call_read(const struct agw_msg *req)
{
    struct agw_a2a_call call = {0};
    struct agw_str path = req->path, type = agw_headers_value(&req->headers, AGW_HDR_CONTENT_TYPE);
    ptrdiff_t query = agw_str_find(path, '?');
    if (query >= 0)
        path.n = (size_t)query;
    if (agw_str_starts(type, AGW_STR("application/grpc")) && read_grpc(path, &call))
        return call;
    call.method = rest_method(req->method, path, &call.task);
    if (call.method != AGW_A2A_METHOD_NONE) {
        call.binding = AGW_A2A_REST;
        call.old = is_below_v1(path, call.method);
        return call;
    }
    call.task = AGW_STR("");
    if (req->method == AGW_METHOD_POST &&
        (media_type(type, AGW_STR("application/json")) || media_type(type, AGW_STR("application/a2a+json"))))
        call.binding = AGW_A2A_JSONRPC;
    return call;
}
