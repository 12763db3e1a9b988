/* Dot segments of a request path (RFC 3986 section 5.2.4): removed before routing, so that "/public/../admin"
 * cannot reach by one rule what another forbids. Pure. */
#ifndef AGW_HTTP_PATH_H
#define AGW_HTTP_PATH_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* Rewrites *|path| (origin form, with query) without "." and ".." segments, also percent-encoded ones;
 * untouched when there are none, "*" and other forms too. AGW_EINVAL: it climbs above the root. AGW_ENOMEM.
 */
int agw_path_normalize(struct agw_str *path, struct agw_arena *arena);

#endif
