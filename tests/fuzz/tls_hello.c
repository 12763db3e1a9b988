/* Scans any bytes for a ClientHello, at once and as they would come in pieces: the same is found. */
#include <string.h>
#include "base/check.h"
#include "tls/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_tls_hello whole = {0}, parts = {0};

    if (size > AGW_TLS_HELLO_MAX)
        return 0;
    int rc = agw_tls_hello_scan(&whole, data, size), early = AGW_EAGAIN;
    agw_check(rc == 0 || rc == AGW_EAGAIN || rc == AGW_EPROTO || rc == AGW_ELIMIT);
    agw_check(whole.sni_n < sizeof(whole.sni) && strlen(whole.sni) == whole.sni_n);
    for (size_t n = 0; n <= size && early == AGW_EAGAIN; n += 1 + n / 7)
        early = agw_tls_hello_scan(&parts, data, n);
    if (early == AGW_EAGAIN)
        early = agw_tls_hello_scan(&parts, data, size);
    agw_check(early == rc);
    agw_check(rc || strcmp(whole.sni, parts.sni) == 0);
    return 0;
}
