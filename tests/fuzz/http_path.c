/* Paths without dot segments: none is left, nothing grows, the query stays, and a second time changes
 * nothing. */
#include "base/check.h"
#include "http/path.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_dots(struct agw_str path, struct agw_arena *arena)
{
    for (const char *p = path.p, *end = p + path.n, *next; p < end; p = next) {
        next = memchr(p + 1, '/', (size_t)(end - p - 1));
        next = next ? next : end;
        struct agw_str plain = agw_percent_decode(agw_str(p, (size_t)(next - p)), false, arena);
        if (plain.p && (agw_str_eq(plain, AGW_STR("/.")) || agw_str_eq(plain, AGW_STR("/.."))))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_str text = agw_str((const char *)data, size), path = text, again, bare, query, before;
    struct agw_arena arena;
    bool has_query, had_query;

    agw_arena_init(&arena, 1024, 0);
    int rc = agw_path_normalize(&path, &arena);
    agw_check(rc == 0 || rc == AGW_EINVAL);
    if (rc || size == 0 || text.p[0] != '/') {
        agw_check(path.p == text.p && path.n == text.n);
        goto out;
    }
    agw_check(path.n > 0 && path.n <= text.n && path.p[0] == '/');
    agw_path_split(text, &bare, &before, &had_query);
    agw_path_split(path, &bare, &query, &has_query);
    agw_check(had_query == has_query && agw_str_eq(before, query));
    agw_check(!has_dots(bare, &arena));
    again = path;
    agw_check(agw_path_normalize(&again, &arena) == 0 && again.p == path.p && again.n == path.n);
out:
    agw_arena_free(&arena);
    return 0;
}
