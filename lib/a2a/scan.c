#include "a2a/scan.h"

#include <stdlib.h>
#include "base/check.h"

/* Members that a path may go through or end in. */
enum name {
    N_UNKNOWN,
    N_METHOD,
    N_PARAMS,
    N_RESULT,
    N_ERROR,
    N_CODE,
    N_ID,
    N_TASK_ID,
    N_CONTEXT_ID,
    N_MESSAGE,
    N_TASK,
    N_STATUS,
    N_STATE,
    N_STATUS_UPDATE,
    N_ARTIFACT_UPDATE,
};

static const struct agw_str names[] = {
#define N(id, text) [id] = {text, sizeof(text) - 1}
    N(N_METHOD, "method"),
    N(N_PARAMS, "params"),
    N(N_RESULT, "result"),
    N(N_ERROR, "error"),
    N(N_CODE, "code"),
    N(N_ID, "id"),
    N(N_TASK_ID, "taskId"),
    N(N_CONTEXT_ID, "contextId"),
    N(N_MESSAGE, "message"),
    N(N_TASK, "task"),
    N(N_STATUS, "status"),
    N(N_STATE, "state"),
    N(N_STATUS_UPDATE, "statusUpdate"),
    N(N_ARTIFACT_UPDATE, "artifactUpdate"),
#undef N
};

static const struct agw_str states[] = {
#define X(name, text) [AGW_A2A_##name] = {text, sizeof(text) - 1},
    AGW_A2A_STATE_LIST(X)
#undef X
};

struct agw_str agw_a2a_state_text(enum agw_a2a_state s)
{
    return s == AGW_A2A_STATE_NONE ? AGW_STR("") : states[s];
}

/* --- what is found --- */

static void keep(struct agw_a2a_text *to, struct agw_str s)
{
    if (s.n > sizeof(to->text))
        return;
    memcpy(to->text, s.p, s.n);
    to->n = (uint8_t)s.n;
}

static bool same_state(struct agw_str text, struct agw_str state)
{
    if (text.n != state.n)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i] == '_' ? '-' : text.p[i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != state.p[i])
            return false;
    }
    return true;
}

static enum agw_a2a_state state_of(struct agw_str text)
{
    struct agw_str prefix = AGW_STR("TASK_STATE_");
    if (agw_str_starts(text, prefix))
        text = agw_str_from(text, prefix.n);
    for (size_t i = 1; i < AGW_ARRAY_LEN(states); i++)
        if (same_state(text, states[i]))
            return (enum agw_a2a_state)i;
    return AGW_A2A_STATE_NONE;
}

static void found_code(struct agw_a2a_scan *s, struct agw_str text)
{
    char digits[16];
    if (text.n >= sizeof(digits) || text.n < 2 || text.p[0] != '-') /* HTTP+JSON has the HTTP status there */
        return;
    memcpy(digits, text.p, text.n);
    digits[text.n] = 0;
    s->found.error = (int32_t)strtol(digits, NULL, 10);
}

/* Members that hold a message or, in an answer, a task or an event of one. */
static bool wraps(uint8_t name, bool answer)
{
    return name == N_MESSAGE ||
           (answer && (name == N_TASK || name == N_STATUS_UPDATE || name == N_ARTIFACT_UPDATE));
}

/* What |n| names at |at| name, below params or result. */
static void found_about(struct agw_a2a_scan *s, const uint8_t *at, size_t n, struct agw_str text)
{
    struct agw_a2a_found *f = &s->found;
    uint8_t around = n > 1 && wraps(at[0], !s->request) ? at[0] : N_UNKNOWN;
    at += around != N_UNKNOWN;
    n -= around != N_UNKNOWN;
    bool task = around == N_UNKNOWN || around == N_TASK; /* "id" is that of a task there */
    if (n == 2 && at[0] == N_STATUS && at[1] == N_STATE && !s->request)
        f->state = state_of(text);
    if (n != 1)
        return;
    if (*at == N_TASK_ID || (*at == N_ID && task && f->task.n == 0))
        keep(&f->task, text);
    else if (*at == N_CONTEXT_ID)
        keep(&f->context, text);
}

/* A member of a JSON-RPC request. */
static void found_in_request(struct agw_a2a_scan *s, uint8_t name, struct agw_str text, bool string)
{
    if (name == N_METHOD && string)
        keep(&s->found.method, text);
    if (name != N_ID || s->rest)
        return;
    keep(&s->found.id, text);
    s->found.id_string = string;
}

/* The value of the member at s->path is |text|. */
static void found(struct agw_a2a_scan *s, struct agw_str text, bool string)
{
    const uint8_t *at = s->path;
    size_t n = s->depth;
    bool inside = at[0] == (s->request ? N_PARAMS : N_RESULT);
    if (n == 1 && s->request)
        found_in_request(s, at[0], text, string);
    if (string && (inside || s->rest))
        found_about(s, at + inside, n - inside, text);
    else if (n == 2 && !string && !s->request && at[0] == N_ERROR && at[1] == N_CODE)
        found_code(s, text);
}

/* --- JSON --- */

static enum name name_of(struct agw_str text)
{
    for (size_t i = 1; i < AGW_ARRAY_LEN(names); i++)
        if (agw_str_eq(names[i], text))
            return (enum name)i;
    return N_UNKNOWN;
}

static bool in_list(const struct agw_a2a_scan *s)
{
    return s->depth == 0 || s->depth > 32 || (s->lists >> (s->depth - 1) & 1);
}

static bool looked_at(const struct agw_a2a_scan *s)
{
    return s->depth > 0 && s->depth <= AGW_A2A_DEPTH;
}

static void end_value(struct agw_a2a_scan *s, bool string)
{
    struct agw_str text = agw_str(s->value, s->value_n);
    s->in = AGW_A2A_OUTSIDE;
    if (!looked_at(s))
        return;
    if (string && !s->named && !in_list(s)) {
        s->path[s->depth - 1] = s->overlong ? N_UNKNOWN : name_of(text);
        s->named = true;
        return;
    }
    if (!s->overlong && !in_list(s) && s->path[s->depth - 1] != N_UNKNOWN)
        found(s, text, string);
    s->named = false;
}

static void open_level(struct agw_a2a_scan *s, bool list)
{
    if (s->depth < UINT32_MAX)
        s->depth++;
    if (s->depth <= 32)
        s->lists = (s->lists & ~(1u << (s->depth - 1))) | (uint32_t)list << (s->depth - 1);
    if (looked_at(s))
        s->path[s->depth - 1] = N_UNKNOWN;
    s->named = false;
}

static void outside(struct agw_a2a_scan *s, unsigned char c)
{
    switch (c) {
    case '{':
    case '[':
        open_level(s, c == '[');
        break;
    case '}':
    case ']':
        s->depth -= s->depth > 0;
        s->named = false;
        break;
    case ',':
        s->named = false;
        break;
    case ' ':
    case '\t':
    case '\r':
    case '\n':
    case ':':
        break;
    default:
        s->in = c == '"' ? AGW_A2A_STRING : AGW_A2A_SCALAR;
        s->value[0] = (char)c;
        s->value_n = c != '"';
        s->overlong = s->escape = false;
    }
}

static void add(struct agw_a2a_scan *s, const unsigned char *p, size_t n)
{
    if (n > sizeof(s->value) - s->value_n)
        s->overlong = true;
    if (s->overlong || !looked_at(s))
        return;
    memcpy(s->value + s->value_n, p, n);
    s->value_n = (uint8_t)(s->value_n + n);
}

/* Bytes of |p| that belong to the string, with its closing quote. */
static size_t inside_string(struct agw_a2a_scan *s, const unsigned char *p, size_t n)
{
    size_t i = 0;
    if (s->escape) {
        s->escape = false;
        return 1;
    }
    while (i < n && p[i] != '"' && p[i] != '\\')
        i++;
    add(s, p, i);
    if (i == n)
        return n;
    if (p[i] == '"')
        end_value(s, true);
    else
        s->escape = s->overlong = true; /* what is escaped is passed over */
    return i + 1;
}

static size_t inside_scalar(struct agw_a2a_scan *s, const unsigned char *p, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] != ',' && p[i] != '}' && p[i] != ']' && p[i] > ' ')
        i++;
    add(s, p, i);
    if (i < n)
        end_value(s, false);
    return i;
}

static void scan_json(struct agw_a2a_scan *s, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (s->in == AGW_A2A_STRING)
            i += inside_string(s, p + i, n - i);
        else if (s->in == AGW_A2A_SCALAR)
            i += inside_scalar(s, p + i, n - i);
        else
            outside(s, p[i++]);
    }
}

/* --- server-sent events --- */

static void end_line(struct agw_a2a_scan *s)
{
    if (s->line == AGW_A2A_LINE_START && s->field_n == 0) { /* an empty one: the event is over */
        s->depth = 0;
        s->in = AGW_A2A_OUTSIDE;
        s->named = false;
    }
    s->line = AGW_A2A_LINE_START;
    s->field_n = 0;
}

static size_t line_end(const unsigned char *p, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] != '\n' && p[i] != '\r')
        i++;
    return i;
}

static void scan_events(struct agw_a2a_scan *s, const unsigned char *p, size_t n)
{
    static const char field[] = "data:";
    for (size_t i = 0; i < n;) {
        if (p[i] == '\n' || p[i] == '\r') {
            if (p[i] == '\r' || !s->after_cr)
                end_line(s);
            s->after_cr = p[i++] == '\r';
            continue;
        }
        s->after_cr = false;
        if (s->line == AGW_A2A_LINE_START) {
            bool same = p[i] == (unsigned char)field[s->field_n];
            i += same;
            s->field_n = (uint8_t)(s->field_n + same);
            s->line = !same ? AGW_A2A_LINE_OTHER : s->field_n == 5 ? AGW_A2A_LINE_DATA : AGW_A2A_LINE_START;
            continue;
        }
        size_t length = line_end(p + i, n - i);
        if (s->line == AGW_A2A_LINE_DATA)
            scan_json(s, p + i, length);
        i += length;
    }
}

/* --- gRPC --- */

/* Messages of lf.a2a.v1, as far as ids and states stand in them. */
enum kind {
    K_NONE,
    K_TEXT_TASK,
    K_TEXT_CONTEXT,
    K_NUMBER_STATE,
    K_SEND,
    K_BY_ID,
    K_PUSH,
    K_PUSH_OF,
    K_PUSHES_OF,
    K_LIST,
    K_ANSWER,
    K_TASK,
    K_MESSAGE,
    K_UPDATE,
    K_STATUS
};

static const struct {
    uint8_t in, number, holds;
} fields[] = {
    {K_SEND, 2, K_MESSAGE},        {K_BY_ID, 2, K_TEXT_TASK},      {K_PUSH, 3, K_TEXT_TASK},
    {K_PUSH_OF, 2, K_TEXT_TASK},   {K_PUSHES_OF, 1, K_TEXT_TASK},  {K_LIST, 2, K_TEXT_CONTEXT},
    {K_ANSWER, 1, K_TASK},         {K_ANSWER, 2, K_MESSAGE},       {K_ANSWER, 3, K_UPDATE},
    {K_ANSWER, 4, K_UPDATE},       {K_TASK, 1, K_TEXT_TASK},       {K_TASK, 2, K_TEXT_CONTEXT},
    {K_TASK, 3, K_STATUS},         {K_MESSAGE, 2, K_TEXT_CONTEXT}, {K_MESSAGE, 3, K_TEXT_TASK},
    {K_UPDATE, 1, K_TEXT_TASK},    {K_UPDATE, 2, K_TEXT_CONTEXT},  {K_UPDATE, 3, K_STATUS},
    {K_STATUS, 1, K_NUMBER_STATE},
};

static const struct {
    uint8_t request, answer;
} messages[] = {
    [AGW_A2A_SEND_MESSAGE] = {K_SEND, K_ANSWER},    [AGW_A2A_SEND_STREAMING_MESSAGE] = {K_SEND, K_ANSWER},
    [AGW_A2A_GET_TASK] = {K_BY_ID, K_TASK},         [AGW_A2A_LIST_TASKS] = {K_LIST, K_NONE},
    [AGW_A2A_CANCEL_TASK] = {K_BY_ID, K_TASK},      [AGW_A2A_SUBSCRIBE_TO_TASK] = {K_BY_ID, K_ANSWER},
    [AGW_A2A_CREATE_PUSH] = {K_PUSH, K_PUSH},       [AGW_A2A_GET_PUSH] = {K_PUSH_OF, K_PUSH},
    [AGW_A2A_LIST_PUSH] = {K_PUSHES_OF, K_NONE},    [AGW_A2A_DELETE_PUSH] = {K_PUSH_OF, K_NONE},
    [AGW_A2A_GET_EXTENDED_CARD] = {K_NONE, K_NONE},
};

static bool varint(struct agw_str *in, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < in->n && i < 10; i++) {
        *ret |= (uint64_t)((unsigned char)in->p[i] & 0x7f) << (7 * i);
        if (!((unsigned char)in->p[i] & 0x80)) {
            *in = agw_str_from(*in, i + 1);
            return true;
        }
    }
    return false;
}

static uint8_t held_by(uint8_t kind, uint64_t number)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(fields); i++)
        if (fields[i].in == kind && fields[i].number == number)
            return fields[i].holds;
    return K_NONE;
}

enum wire { W_VARINT, W_64, W_BYTES, W_32 = 5 };

struct field {
    uint64_t number, value; /* of W_VARINT */
    enum wire wire;
    struct agw_str bytes; /* of W_BYTES */
    bool whole;           /* their end is here */
};

/* Takes one field off *in; false when there is none, or what is there is none. */
static bool next_field(struct agw_str *in, struct field *f)
{
    uint64_t key, n = 0;
    if (in->n == 0 || !varint(in, &key))
        return false;
    f->number = key >> 3;
    f->wire = (enum wire)(key & 7);
    if (f->wire == W_VARINT)
        return varint(in, &f->value);
    if (f->wire == W_BYTES ? !varint(in, &n) : f->wire != W_64 && f->wire != W_32)
        return false;
    n = f->wire == W_64 ? 8 : f->wire == W_32 ? 4 : n;
    f->whole = n <= in->n;
    f->bytes = agw_str(in->p, f->whole ? (size_t)n : in->n);
    *in = agw_str_from(*in, f->bytes.n);
    return true;
}

static void found_field(struct agw_a2a_scan *s, uint8_t holds, const struct field *f)
{
    if (holds == K_TEXT_TASK && f->wire == W_BYTES && f->whole)
        keep(&s->found.task, f->bytes);
    else if (holds == K_TEXT_CONTEXT && f->wire == W_BYTES && f->whole)
        keep(&s->found.context, f->bytes);
    else if (holds == K_NUMBER_STATE && f->wire == W_VARINT)
        s->found.state = f->value < AGW_ARRAY_LEN(states) ? (enum agw_a2a_state)f->value : AGW_A2A_STATE_NONE;
}

/* Messages nest three deep here: what is left at each level is kept, there is no recursion. */
static void scan_message(struct agw_a2a_scan *s, uint8_t kind, struct agw_str in)
{
    struct {
        struct agw_str in;
        uint8_t kind;
    } level[4] = {{in, kind}};
    for (unsigned d = 1; d > 0;) {
        struct field f;
        if (!next_field(&level[d - 1].in, &f)) {
            d--;
            continue;
        }
        uint8_t holds = held_by(level[d - 1].kind, f.number);
        found_field(s, holds, &f);
        if (holds >= K_SEND && f.wire == W_BYTES && d < AGW_ARRAY_LEN(level)) {
            level[d].in = f.bytes;
            level[d++].kind = holds;
        }
    }
}

static void scan_frames(struct agw_a2a_scan *s, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (s->frame_n < 5) { /* compressed or not, and the length */
            s->frame[s->frame_n++] = p[i++];
            if (s->frame_n == 5)
                s->frame_left = (uint32_t)s->frame[1] << 24 | (uint32_t)s->frame[2] << 16 |
                                (uint32_t)s->frame[3] << 8 | s->frame[4];
        } else {
            size_t take = n - i < s->frame_left ? n - i : s->frame_left;
            size_t room = sizeof(s->frame) - s->frame_n, keep_n = take < room ? take : room;
            memcpy(s->frame + s->frame_n, p + i, keep_n);
            s->frame_n = (uint16_t)(s->frame_n + keep_n);
            s->frame_left -= (uint32_t)take;
            i += take;
        }
        if (s->frame_n < 5 || s->frame_left > 0)
            continue;
        uint8_t kind = s->request ? messages[s->method].request : messages[s->method].answer;
        if (s->frame[0] == 0)
            scan_message(s, kind, agw_str((const char *)s->frame + 5, s->frame_n - 5u));
        s->frame_n = 0;
    }
}

/* --- */

static void init(struct agw_a2a_scan *s, const struct agw_a2a_call *call, bool request, bool events)
{
    memset(s, 0, sizeof(*s));
    s->request = request;
    s->rest = call->binding == AGW_A2A_REST;
    s->form = events ? AGW_A2A_EVENTS : AGW_A2A_JSON;
    if (call->binding == AGW_A2A_GRPC) {
        s->form = AGW_A2A_PROTOBUF;
        s->method = call->old ? AGW_A2A_METHOD_OTHER : call->method;
    }
}

void agw_a2a_scan_request(struct agw_a2a_scan *s, const struct agw_a2a_call *call)
{
    init(s, call, true, false);
}

void agw_a2a_scan_answer(struct agw_a2a_scan *s, const struct agw_a2a_call *call, bool events)
{
    init(s, call, false, events);
}

void agw_a2a_scan_bytes(struct agw_a2a_scan *s, const unsigned char *p, size_t n)
{
    if (s->form == AGW_A2A_JSON)
        scan_json(s, p, n);
    else if (s->form == AGW_A2A_EVENTS)
        scan_events(s, p, n);
    else
        scan_frames(s, p, n);
}
