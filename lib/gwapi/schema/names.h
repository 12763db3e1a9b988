/* The forms that text takes in Kubernetes and Gateway API objects. Pure functions. Threads: any. */
#ifndef AGW_GWAPI_SCHEMA_NAMES_H
#define AGW_GWAPI_SCHEMA_NAMES_H

#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

/* The longest duration in milliseconds that GEP-2257 can write: 4 times 99999 hours. */
#define AGW_DURATION_MAX_MS (4 * 99999ull * 3600000ull)

bool agw_is_label(struct agw_str s);            /* DNS label, RFC 1123: at most 63 */
bool agw_is_subdomain(struct agw_str s);        /* labels joined by dots: at most 253 */
bool agw_is_group(struct agw_str s);            /* empty or a subdomain */
bool agw_is_kind(struct agw_str s);             /* "HTTPRoute" */
bool agw_is_hostname(struct agw_str s);         /* a subdomain, or "*." and one; never an IP address */
bool agw_is_precise_hostname(struct agw_str s); /* without wildcard */
bool agw_is_token(struct agw_str s);            /* RFC 9110 section 5.6.2: header names */
bool agw_is_field_value(
    struct agw_str s);              /* RFC 9110 section 5.5: no control characters, no spaces at the ends */
bool agw_is_path(struct agw_str s); /* absolute, and in normal form: no "//", "/./", "/../", no query */
bool agw_is_absolute_path(struct agw_str s); /* begins with '/'; no control characters, no spaces */
bool agw_is_host(struct agw_str s);          /* an IP address or a name to look up */
bool agw_is_tool_name(struct agw_str s);     /* what MCP asks of names of tools; its length aside */
bool agw_is_origin(struct agw_str s);   /* "*", or scheme://host[:port] with one "*" for labels of the host */
bool agw_is_duration(struct agw_str s); /* GEP-2257: "1h30m", "500ms", "0s" */
bool agw_is_timestamp(struct agw_str s); /* RFC 3339 */
bool agw_is_size(struct agw_str s); /* a quantity of bytes from 1 to UINT32_MAX: "65536", "64Ki", "1.5M" */

/* AGW_EINVAL unless agw_is_duration. */
int agw_duration_ms(struct agw_str s, uint64_t *ret_ms);
/* A Kubernetes quantity, not negative and without an exponent, rounded up. AGW_EINVAL: it is none, or beyond
 * 64 bits. */
int agw_quantity(struct agw_str s, uint64_t *ret_value);

#endif
