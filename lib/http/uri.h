/* URI parts (RFC 3986) as the gateway needs them: authority, path, query. Views into the input; nothing is
 * decoded unless said. Threads: any. */
#ifndef AGW_HTTP_URI_H
#define AGW_HTTP_URI_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/str.h"

struct agw_uri {
    struct agw_str scheme, host, port, path, query; /* host without brackets; query without '?' */
    bool has_query;
};

/* Absolute form "scheme://host[:port][/path][?query]", any scheme. AGW_EINVAL: no host, user information, a
 * fragment, characters that a URI cannot hold. |path| is empty when the text has none. */
int agw_uri_parse(struct agw_str text, struct agw_uri *ret_uri);
/* Splits "host[:port]" / "[v6]:port"; |ret_port| empty when absent. AGW_EINVAL for junk: an empty host, user
 * information,
 * "%" or "," in the host, a port above 65535. */
int agw_authority_split(struct agw_str authority, struct agw_str *ret_host, struct agw_str *ret_port);
/* Splits origin form at '?'. */
void agw_path_split(struct agw_str target, struct agw_str *ret_path, struct agw_str *ret_query,
                    bool *ret_has_query);
/* First value of |name| in a query, form-urlencoded decoded into |arena| if needed. False when absent,
 * badly escaped or out of memory. |name| is compared with the decoded names. */
bool agw_query_get(struct agw_str query, struct agw_str name, struct agw_arena *arena,
                   struct agw_str *ret_value);
/* Percent-decodes (and '+' to space with |form|). p is NULL for bad escapes or no memory; |s| itself if
 * there is nothing to decode. */
struct agw_str agw_percent_decode(struct agw_str s, bool form, struct agw_arena *arena);
/* Percent-encodes all but unreserved characters (section 2.3): one path segment. p is NULL: no memory. */
struct agw_str agw_percent_encode(struct agw_str s, struct agw_arena *arena);

#endif
