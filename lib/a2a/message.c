#include "a2a/message.h"

#include "base/check.h"

/* A2A 1.0 section 9 and 0.3 section 7. */
static const struct {
    struct agw_str name;
    bool streaming;
} methods[] = {
#define M(text, streams)                                                                                     \
    {                                                                                                        \
        {text, sizeof(text) - 1}, streams                                                                    \
    }
    M("SendMessage", false),
    M("SendStreamingMessage", true),
    M("GetTask", false),
    M("ListTasks", false),
    M("CancelTask", false),
    M("SubscribeToTask", true),
    M("CreateTaskPushNotificationConfig", false),
    M("GetTaskPushNotificationConfig", false),
    M("ListTaskPushNotificationConfigs", false),
    M("DeleteTaskPushNotificationConfig", false),
    M("GetExtendedAgentCard", false),
    M("message/send", false),
    M("message/stream", true),
    M("tasks/get", false),
    M("tasks/list", false),
    M("tasks/cancel", false),
    M("tasks/resubscribe", true),
    M("tasks/pushNotificationConfig/set", false),
    M("tasks/pushNotificationConfig/get", false),
    M("tasks/pushNotificationConfig/list", false),
    M("tasks/pushNotificationConfig/delete", false),
    M("agent/getAuthenticatedExtendedCard", false),
#undef M
};

/* Inside of the string whose opening quote is at |at|; false if it is cut off. *ret_end: behind the closing
 * quote. */
static bool read_string(struct agw_str s, size_t at, struct agw_str *ret_inside, size_t *ret_end)
{
    for (size_t i = at + 1; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"') {
            *ret_inside = agw_str(s.p + at + 1, i - at - 1);
            *ret_end = i + 1;
            return true;
        }
    }
    return false;
}

static size_t skip_space(struct agw_str s, size_t at)
{
    while (at < s.n && (s.p[at] == ' ' || s.p[at] == '\t' || s.p[at] == '\n' || s.p[at] == '\r'))
        at++;
    return at;
}

/* The string value of the root object's member "method"; empty when it is not there, or not yet. */
static struct agw_str find_method(struct agw_str s)
{
    unsigned depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        struct agw_str text;
        size_t end;
        if (s.p[i] == '{' || s.p[i] == '[')
            depth++;
        else if (s.p[i] == '}' || s.p[i] == ']')
            depth -= depth > 0;
        if (s.p[i] != '"')
            continue;
        if (!read_string(s, i, &text, &end))
            break;
        i = end - 1;
        size_t at = skip_space(s, end);
        if (depth != 1 || !agw_str_eq(text, AGW_STR("method")) || at == s.n || s.p[at] != ':')
            continue;
        at = skip_space(s, at + 1);
        if (at < s.n && s.p[at] == '"' && read_string(s, at, &text, &end))
            return text;
        break;
    }
    return agw_str(NULL, 0);
}

struct agw_a2a_message agw_a2a_peek(struct agw_str body)
{
    if (body.n > AGW_A2A_PEEK_MAX)
        body.n = AGW_A2A_PEEK_MAX;
    struct agw_str name = find_method(body);
    for (size_t i = 0; i < AGW_ARRAY_LEN(methods); i++)
        if (agw_str_eq(methods[i].name, name))
            return (struct agw_a2a_message){methods[i].name, methods[i].streaming};
    return (struct agw_a2a_message){name.n ? AGW_STR("other") : agw_str(NULL, 0), false};
}
