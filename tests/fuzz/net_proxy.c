/* Parses any bytes as a PROXY header, whole and byte by byte: both say the same, and a header that comes out
 * lies inside of them. The first byte chooses the versions. */
#include <string.h>
#include "base/check.h"
#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_proxy_header whole, part;
    const char *why = NULL;

    if (size < 1)
        return 0;
    unsigned versions = data[0] & 3;
    data++;
    size--;
    int rc = agw_proxy_parse(data, size, versions, &whole, &why);
    agw_check(rc == 0 || rc == AGW_EAGAIN || rc == AGW_ENOTFOUND || why);
    agw_check(rc || (whole.size > 0 && whole.size <= size && whole.size <= 16 + AGW_PROXY_V2_MAX));
    for (size_t n = 0; n <= size && n < 400; n++) {
        int early = agw_proxy_parse(data, n, versions, &part, &why);
        if (early == AGW_EAGAIN)
            continue;
        agw_check(early == rc);
        agw_check(rc || (part.size == whole.size && agw_addr_eq(&part.src, &whole.src)));
        break;
    }
    return 0;
}
