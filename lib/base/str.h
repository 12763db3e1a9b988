/* Strings as pointer and length: views that own nothing and need no NUL.
 * Threads: any. All comparisons are on bytes; "i" variants fold ASCII letters only. */
#ifndef AGW_BASE_STR_H
#define AGW_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct agw_str {
    const char *p; /* may be NULL when n is 0 */
    size_t n;      /* bytes */
};

/* A view of a literal: AGW_STR("host"). */
#define AGW_STR(literal) ((struct agw_str){(literal), sizeof(literal) - 1})
/* For printf: "%.*s", AGW_STRF(s). */
#define AGW_STRF(s) (int)(s).n, (s).p

static inline struct agw_str agw_str(const char *p, size_t n)
{
    return (struct agw_str){p, n};
}

/* View of a NUL-terminated string; NULL gives the empty view. */
static inline struct agw_str agw_str_c(const char *s)
{
    return (struct agw_str){s, s ? strlen(s) : 0};
}

static inline bool agw_str_eq(struct agw_str a, struct agw_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline struct agw_str agw_str_from(struct agw_str s, size_t offset)
{
    return (struct agw_str){s.p + offset, s.n - offset};
}

bool agw_str_ieq(struct agw_str a, struct agw_str b);
int agw_str_cmp(struct agw_str a, struct agw_str b); /* order of bytes, shorter first */
bool agw_str_starts(struct agw_str s, struct agw_str prefix);
bool agw_str_ends(struct agw_str s, struct agw_str suffix);
/* Offset of the first |c| (or of |needle|), or -1. */
ptrdiff_t agw_str_find(struct agw_str s, char c);
ptrdiff_t agw_str_search(struct agw_str s, struct agw_str needle);
/* Without spaces and tabs at both ends (OWS, RFC 9110 section 5.6.3). */
struct agw_str agw_str_trim(struct agw_str s);
/* Takes the part before the next |sep| off the front of |rest|, trimmed. False when |rest| is used up. */
bool agw_str_split(struct agw_str *rest, char sep, struct agw_str *ret_part);
/* Decimal digits only, no sign, no spaces; AGW_EINVAL for anything else or above UINT64_MAX. */
int agw_str_u64(struct agw_str s, uint64_t *ret_value);
/* True if |s| is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool agw_str_is_utf8(struct agw_str s);

/* Base64 (RFC 4648). |url| picks section 5's alphabet without padding. Output sizes in bytes: */
#define AGW_BASE64_SIZE(n) (((n) + 2) / 3 * 4)
size_t agw_base64_encode(const void *data, size_t n, bool url, char *out);
/* Strict: AGW_EINVAL for foreign characters, bad padding, non-zero spare bits. |out| needs n/4*3+3 bytes. */
int agw_base64_decode(struct agw_str in, bool url, void *out, size_t *ret_n);

#endif
