#include "http/path.h"

/* Length of the dot written at |p|: 1 for ".", 3 for "%2e", 0 for none. */
static size_t dot_at(const char *p, const char *end)
{
    if (p < end && *p == '.')
        return 1;
    if (end - p >= 3 && p[0] == '%' && p[1] == '2' && (p[2] == 'e' || p[2] == 'E'))
        return 3;
    return 0;
}

/* 1 for ".", 2 for "..", 0 for any other segment. */
static int dots(struct agw_str segment)
{
    const char *p = segment.p, *end = p + segment.n;
    size_t a = dot_at(p, end);
    if (a == 0)
        return 0;
    if (p + a == end)
        return 1;
    size_t b = dot_at(p + a, end);
    return b > 0 && p + a + b == end ? 2 : 0;
}

static struct agw_str next_segment(const char *p, const char *end)
{
    const char *slash = memchr(p, '/', (size_t)(end - p));
    return agw_str(p, (size_t)((slash ? slash : end) - p));
}

static bool has_dots(struct agw_str path)
{
    const char *p = path.p, *end = p + path.n;
    while (p < end) {
        struct agw_str s = next_segment(p + 1, end);
        if (dots(s))
            return true;
        p = s.p + s.n;
    }
    return false;
}

/* Copies |path| to |out| without dot segments; returns the length, or -1 when it climbs above the root. */
static ptrdiff_t remove_dots(struct agw_str path, char *out)
{
    const char *p = path.p, *end = p + path.n;
    size_t n = 0;
    while (p < end) {
        struct agw_str s = next_segment(p + 1, end);
        bool last = s.p + s.n == end;
        int kind = dots(s);
        if (kind == 2) {
            if (n == 0)
                return -1;
            while (n > 0 && out[--n] != '/')
                ;
        }
        if (kind == 0) {
            out[n++] = '/';
            memcpy(out + n, s.p, s.n);
            n += s.n;
        } else if (last) {
            out[n++] = '/';
        }
        p = s.p + s.n;
    }
    return (ptrdiff_t)n;
}

int agw_path_normalize(struct agw_str *path, struct agw_arena *arena)
{
    if (path->n == 0 || path->p[0] != '/')
        return 0;
    const char *question = memchr(path->p, '?', path->n);
    struct agw_str bare = agw_str(path->p, question ? (size_t)(question - path->p) : path->n);
    struct agw_str rest = agw_str_from(*path, bare.n);
    if (!has_dots(bare))
        return 0;
    char *out = agw_arena_alloc(arena, path->n + 1);
    if (!out)
        return AGW_ENOMEM;
    ptrdiff_t n = remove_dots(bare, out);
    if (n < 0)
        return AGW_EINVAL;
    memcpy(out + n, rest.p, rest.n);
    *path = agw_str(out, (size_t)n + rest.n);
    return 0;
}
