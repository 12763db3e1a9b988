#include "tls/tls_int.h"

#include <string.h>

#define HOST_NAME 0

static size_t u16(const unsigned char *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* struct { ServerName server_name_list<1..2^16-1> }, each { NameType type; opaque HostName<1..2^16-1> }. Only
 * host_name was ever defined, and a list may hold one of a type; so it holds one entry. */
int agw_tls_sni_parse(const unsigned char *ext, size_t n, struct agw_str *ret_name)
{
    if (n < 5 || u16(ext) != n - 2 || ext[2] != HOST_NAME)
        return AGW_EPROTO;
    size_t len = u16(ext + 3);
    if (len != n - 5 || len == 0 || len > AGW_TLS_NAME_MAX || memchr(ext + 5, 0, len))
        return AGW_EPROTO;
    *ret_name = agw_str((const char *)ext + 5, len);
    return 0;
}
