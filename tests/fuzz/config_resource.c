/* Resources as a controller would send them: either type, decoded, compared and let go. */
#include <stddef.h>
#include <stdint.h>
#include "base/check.h"
#include "config/resource.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct agw_resource *r = NULL, *copy = NULL;
    struct agw_error err;
    if (n < 1)
        return 0;
    int code = data[0] & 1 ? agw_resource_decode_address(data + 1, n - 1, &r, &err)
                           : agw_resource_decode(data + 1, n - 1, &r, &err);
    if (code == 0 && agw_resource_open(r) == 0) {
        if (agw_resource_make(r->kind, r->message, NULL, &copy, &err) == 0)
            agw_check(agw_str_eq(r->id, copy->id));
        agw_resource_close(r);
    }
    agw_resource_unref(copy);
    agw_resource_unref(r);
    return 0;
}
