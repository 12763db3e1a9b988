/* URIs, authorities, queries and escapes: parts lie within the input, and nothing grows. */
#include "base/check.h"
#include "base/err.h"
#include "http/uri.h"

static void check_inside(struct agw_str part, struct agw_str text)
{
    agw_check(part.n == 0 || (part.p >= text.p && part.p + part.n <= text.p + text.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_str text = agw_str((const char *)data, size), host, port, value;
    struct agw_arena arena;
    struct agw_uri uri;

    agw_arena_init(&arena, 256, 0);
    if (agw_uri_parse(text, &uri) == 0) {
        check_inside(uri.scheme, text);
        check_inside(uri.host, text);
        check_inside(uri.path, text);
        check_inside(uri.query, text);
        agw_check(uri.host.n > 0 && (uri.path.n == 0 || uri.path.p[0] == '/'));
    }
    if (agw_authority_split(text, &host, &port) == 0) {
        check_inside(host, text);
        check_inside(port, text);
        agw_check(host.n > 0 && port.n <= 5);
    }
    value = agw_percent_decode(text, true, &arena);
    agw_check(!value.p || value.n <= size);
    if (agw_query_get(text, AGW_STR("a"), &arena, &value))
        agw_check(value.n <= size);
    agw_arena_free(&arena);
    return 0;
}
