#include "describe.h"

#include <stdio.h>
#include <string.h>

static const char *const framings[] = {
    [AGW_H1_NO_BODY] = "none",      [AGW_H1_LENGTH] = "length", [AGW_H1_CHUNKED] = "chunked",
    [AGW_H1_UNTIL_CLOSE] = "close", [AGW_H1_TUNNEL] = "tunnel",
};

void describe_fields(const struct agw_headers *headers, char *out, size_t size)
{
    size_t at = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < headers->n && at < size; i++) {
        const struct agw_header *f = &headers->v[i];
        at += (size_t)snprintf(out + at, size - at, "[%.*s: %.*s]", AGW_STRF(f->name), AGW_STRF(f->value));
        if (f->id != agw_hdr_lookup(f->name))
            at += (size_t)snprintf(out + at, size - at, "(id %d)", (int)f->id);
    }
}

void describe(int r, const struct agw_h1_head *head, const struct agw_msg *msg, bool is_response,
              char out[DESCRIBE_MAX])
{
    char start[2048], fields[4096];

    if (r < 0) {
        snprintf(out, DESCRIBE_MAX, "%d %s", head->status, head->reason);
        return;
    }
    if (is_response)
        snprintf(start, sizeof(start), "%d \"%.*s\"", msg->status, AGW_STRF(msg->reason));
    else
        snprintf(start, sizeof(start), "%.*s %.*s host=%.*s", AGW_STRF(msg->method_text), AGW_STRF(msg->path),
                 AGW_STRF(msg->authority));
    describe_fields(&msg->headers, fields, sizeof(fields));
    snprintf(out, DESCRIBE_MAX, "%s v%d %s %lld%s%s%.*s%s%s%s", start, (int)msg->version,
             framings[head->framing], (long long)msg->length, head->keep_alive ? " keep" : "",
             msg->upgrade.n ? " upgrade=" : "", AGW_STRF(msg->upgrade), msg->expect_continue ? " expect" : "",
             msg->te_trailers ? " te" : "", fields);
}
