/* Parses any bytes as a server_name extension; a name that comes out lies inside of it and can be a C string.
 */
#include "base/check.h"
#include "tls/tls_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_str name;

    int rc = agw_tls_sni_parse(data, size, &name);
    agw_check(rc == 0 || rc == AGW_EPROTO);
    if (rc)
        return 0;
    agw_check(name.n > 0 && name.n <= AGW_TLS_NAME_MAX && name.n + 5 == size);
    agw_check(name.p == (const char *)data + 5 && agw_str_find(name, 0) < 0);
    return 0;
}
