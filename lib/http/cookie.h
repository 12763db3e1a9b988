/* The Cookie field (RFC 6265 section 5.4; over HTTP/2 it may come in several, RFC 9113 section 8.2.3).
 * Views into the headers; nothing is decoded. Threads: any. Limits: those of headers. */
#ifndef AGW_HTTP_COOKIE_H
#define AGW_HTTP_COOKIE_H

#include "http/msg.h"

/* Value of the first cookie |name|, without the quotes around it. False: there is none. */
bool agw_cookie_get(const struct agw_headers *h, struct agw_str name, struct agw_str *ret_value);

#endif
