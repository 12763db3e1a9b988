#include "http/msg.h"

#include "base/err.h"

#define FIRST_CAP 16 /* most messages have fewer fields */

void agw_headers_init(struct agw_headers *h, struct agw_arena *arena)
{
    *h = (struct agw_headers){.arena = arena};
}

int agw_headers_reserve(struct agw_headers *h, uint32_t n)
{
    uint64_t need = (uint64_t)h->n + n, cap = h->cap ? h->cap : FIRST_CAP;
    struct agw_header *v;

    if (need <= h->cap)
        return 0;
    while (cap < need)
        cap *= 2;
    if (cap > UINT32_MAX)
        return AGW_ENOMEM;
    v = agw_arena_alloc(h->arena, cap * sizeof(*v));
    if (!v)
        return AGW_ENOMEM;
    if (h->n)
        memcpy(v, h->v, h->n * sizeof(*v));
    h->v = v;
    h->cap = (uint32_t)cap;
    return 0;
}

int agw_headers_add(struct agw_headers *h, enum agw_hdr id, struct agw_str name, struct agw_str value)
{
    if (h->n == h->cap && agw_headers_reserve(h, 1) < 0)
        return AGW_ENOMEM;
    h->v[h->n++] = (struct agw_header){.name = name, .value = value, .id = id};
    return 0;
}

int agw_headers_add_id(struct agw_headers *h, enum agw_hdr id, struct agw_str value)
{
    return agw_headers_add(h, id, agw_hdr_name(id), value);
}

struct agw_header *agw_headers_get(const struct agw_headers *h, enum agw_hdr id)
{
    for (uint32_t i = 0; i < h->n; i++) {
        if (h->v[i].id == id)
            return &h->v[i];
    }
    return NULL;
}

struct agw_header *agw_headers_find(const struct agw_headers *h, struct agw_str lower_name)
{
    enum agw_hdr id = agw_hdr_lookup(lower_name);

    if (id != AGW_HDR_OTHER)
        return agw_headers_get(h, id);
    for (uint32_t i = 0; i < h->n; i++) {
        if (h->v[i].id == AGW_HDR_OTHER && agw_str_eq(h->v[i].name, lower_name))
            return &h->v[i];
    }
    return NULL;
}

struct agw_str agw_headers_value(const struct agw_headers *h, enum agw_hdr id)
{
    const struct agw_header *f = agw_headers_get(h, id);
    return f ? f->value : (struct agw_str){NULL, 0};
}

/* Drops the fields of that name from index |from| on; |name| counts only for AGW_HDR_OTHER. */
static unsigned drop(struct agw_headers *h, uint32_t from, enum agw_hdr id, struct agw_str name)
{
    uint32_t kept = from, before = h->n;

    for (uint32_t i = from; i < before; i++) {
        const struct agw_header *f = &h->v[i];
        if (f->id == id && (id != AGW_HDR_OTHER || agw_str_eq(f->name, name)))
            continue;
        if (kept != i)
            h->v[kept] = *f;
        kept++;
    }
    h->n = kept;
    return before - kept;
}

static int replace(struct agw_headers *h, enum agw_hdr id, struct agw_str name, struct agw_str value)
{
    struct agw_header *f = id != AGW_HDR_OTHER ? agw_headers_get(h, id) : agw_headers_find(h, name);

    if (!f)
        return agw_headers_add(h, id, name, value);
    f->value = value;
    drop(h, (uint32_t)(f - h->v) + 1, id, name);
    return 0;
}

int agw_headers_set(struct agw_headers *h, struct agw_str lower_name, struct agw_str value)
{
    return replace(h, agw_hdr_lookup(lower_name), lower_name, value);
}

int agw_headers_set_id(struct agw_headers *h, enum agw_hdr id, struct agw_str value)
{
    return replace(h, id, agw_hdr_name(id), value);
}

unsigned agw_headers_remove(struct agw_headers *h, struct agw_str lower_name)
{
    return drop(h, 0, agw_hdr_lookup(lower_name), lower_name);
}

unsigned agw_headers_remove_id(struct agw_headers *h, enum agw_hdr id)
{
    return drop(h, 0, id, agw_hdr_name(id));
}

bool agw_headers_has_token(const struct agw_headers *h, enum agw_hdr id, struct agw_str token)
{
    for (uint32_t i = 0; i < h->n; i++) {
        struct agw_str rest = h->v[i].value, part;
        if (h->v[i].id != id)
            continue;
        while (agw_str_split(&rest, ',', &part)) {
            if (agw_str_ieq(part, token))
                return true;
        }
    }
    return false;
}

bool agw_hdr_in_trailers(enum agw_hdr id)
{
    switch (id) {
    case AGW_HDR_AUTHORIZATION:
    case AGW_HDR_CACHE_CONTROL:
    case AGW_HDR_CONTENT_ENCODING:
    case AGW_HDR_CONTENT_TYPE:
    case AGW_HDR_COOKIE:
    case AGW_HDR_LOCATION:
    case AGW_HDR_RETRY_AFTER:
    case AGW_HDR_SET_COOKIE:
    case AGW_HDR_TRAILER:
    case AGW_HDR_X_FORWARDED_FOR:
    case AGW_HDR_X_FORWARDED_HOST:
    case AGW_HDR_X_FORWARDED_PROTO:
        return false;
    default:
        return !agw_hdr_is_framing(id);
    }
}

/* tchar, RFC 9110 section 5.6.2 */
static const bool token_char[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true,
};

bool agw_header_name_valid(struct agw_str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (!token_char[(unsigned char)name.p[i]])
            return false;
    }
    return name.n > 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

bool agw_header_value_valid(struct agw_str value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return value.n == 0 || (!is_space(value.p[0]) && !is_space(value.p[value.n - 1]));
}
