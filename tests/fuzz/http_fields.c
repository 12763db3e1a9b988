/* Fields as a peer may send them, one a line: look-ups find what a plain search finds, a replaced name stands
 * once, and a list has a token only if its text is there. */
#include "base/check.h"
#include "base/err.h"
#include "http/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_lines(struct agw_headers *h, struct agw_str text, struct agw_arena *arena)
{
    struct agw_str line;
    while (h->n < 64 && agw_str_split(&text, '\n', &line)) {
        ptrdiff_t colon = agw_str_find(line, ':');
        struct agw_str name = agw_arena_lower(arena, agw_str(line.p, colon < 0 ? line.n : (size_t)colon));
        struct agw_str value = colon < 0 ? AGW_STR("") : agw_str_trim(agw_str_from(line, (size_t)colon + 1));
        if (agw_header_name_valid(name) && agw_header_value_valid(value))
            agw_check(!agw_headers_add(h, agw_hdr_lookup(name), name, value));
    }
}

static unsigned count(const struct agw_headers *h, struct agw_str name)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < h->n; i++)
        n += agw_str_eq(h->v[i].name, name);
    return n;
}

static void check_tokens(const struct agw_headers *h, const struct agw_header *f)
{
    struct agw_str rest = f->value, token;
    while (f->id != AGW_HDR_OTHER && agw_str_split(&rest, ',', &token))
        agw_check(agw_headers_has_token(h, f->id, token));
    agw_check(!agw_headers_has_token(h, f->id, AGW_STR("no,token")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_arena arena;
    struct agw_msg m, copy;

    agw_arena_init(&arena, 4096, 0);
    agw_msg_init(&m, &arena);
    add_lines(&m.headers, agw_str((const char *)data, size), &arena);
    agw_check(!agw_msg_copy(&copy, &m, &arena) && copy.headers.n == m.headers.n);
    for (uint32_t i = 0; i < m.headers.n; i++) {
        struct agw_header f = m.headers.v[i];
        agw_check(agw_str_eq(agw_headers_find(&m.headers, f.name)->name, f.name));
        agw_check(f.id == AGW_HDR_OTHER || agw_str_eq(agw_hdr_name(f.id), f.name));
        check_tokens(&m.headers, &f);
    }
    while (copy.headers.n > 0) {
        struct agw_str name = copy.headers.v[copy.headers.n - 1].name;
        uint32_t before = copy.headers.n;
        unsigned same = count(&copy.headers, name);
        agw_check(!agw_headers_set(&copy.headers, name, AGW_STR("x")));
        agw_check(count(&copy.headers, name) == 1 && copy.headers.n == before - same + 1);
        agw_check(agw_headers_remove(&copy.headers, name) == 1);
    }
    agw_arena_free(&arena);
    return 0;
}
