/* Inside lib/json: what its files share. */
#ifndef AGW_JSON_JSON_INT_H
#define AGW_JSON_JSON_INT_H

#include <stddef.h>

/* Length of the UTF-8 sequence of several bytes at |p| (2..4), 0 if it is malformed or cut off (RFC 3629
 * section 4). */
size_t agw_json_utf8(const unsigned char *p, size_t n);

#endif
