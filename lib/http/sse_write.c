#include "http/sse.h"

#include <stdio.h>
#include "base/err.h"

static bool is_one_line(struct agw_str s)
{
    return s.n == 0 || (!memchr(s.p, '\n', s.n) && !memchr(s.p, '\r', s.n));
}

static int write_line(struct agw_chain *out, struct agw_block_pool *pool, struct agw_str name,
                      struct agw_str value)
{
    const struct agw_str parts[] = {name, value, AGW_STR("\n")};

    for (size_t i = 0; i < 3; i++) {
        if (agw_chain_copy(out, pool, parts[i].p, parts[i].n) < 0)
            return AGW_ENOMEM;
    }
    return 0;
}

/* Takes the next line off the front of |rest|; CR, LF and CRLF end one. False after the last. */
static bool next_line(struct agw_str *rest, bool *more, struct agw_str *ret_line)
{
    size_t n = 0;

    if (!*more)
        return false;
    while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r')
        n++;
    *ret_line = agw_str(rest->p, n);
    *more = n < rest->n;
    if (*more && rest->p[n] == '\r' && n + 1 < rest->n && rest->p[n + 1] == '\n')
        n++;
    *rest = agw_str_from(*rest, *more ? n + 1 : n);
    return true;
}

static int write_data(struct agw_chain *out, struct agw_block_pool *pool, struct agw_str data)
{
    struct agw_str line;
    bool more = data.p != NULL;

    while (next_line(&data, &more, &line)) {
        if (write_line(out, pool, AGW_STR("data: "), line) < 0)
            return AGW_ENOMEM;
    }
    return 0;
}

int agw_sse_write(struct agw_chain *out, struct agw_block_pool *pool, const struct agw_sse_event *event)
{
    char retry[24];
    int n;

    if (!is_one_line(event->type) || !is_one_line(event->id))
        return AGW_EINVAL;
    if (event->has_id && event->id.n && memchr(event->id.p, 0, event->id.n))
        return AGW_EINVAL;
    if (event->type.n && write_line(out, pool, AGW_STR("event: "), event->type) < 0)
        return AGW_ENOMEM;
    if (event->has_id && write_line(out, pool, AGW_STR("id: "), event->id) < 0)
        return AGW_ENOMEM;
    if (event->has_retry) {
        n = snprintf(retry, sizeof(retry), "%llu", (unsigned long long)event->retry_ms);
        if (write_line(out, pool, AGW_STR("retry: "), agw_str(retry, (size_t)n)) < 0)
            return AGW_ENOMEM;
    }
    if (write_data(out, pool, event->data) < 0)
        return AGW_ENOMEM;
    return agw_chain_copy(out, pool, "\n", 1);
}

int agw_sse_write_comment(struct agw_chain *out, struct agw_block_pool *pool, struct agw_str text)
{
    if (!is_one_line(text))
        return AGW_EINVAL;
    return write_line(out, pool, AGW_STR(": "), text);
}
