/* Any bytes as a body of each form: what is found must be the same however they are cut. */
#include <string.h>
#include "a2a/scan.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scan(struct agw_a2a_scan *s, unsigned form, const uint8_t *p, size_t n, size_t step)
{
    struct agw_a2a_call call = {.binding = (enum agw_a2a_binding)(1 + form % 3),
                                .method = AGW_A2A_SEND_MESSAGE};
    if (form & 4)
        agw_a2a_scan_request(s, &call);
    else
        agw_a2a_scan_answer(s, &call, form & 8);
    for (size_t i = 0; i < n; i += step)
        agw_a2a_scan_bytes(s, p + i, n - i < step ? n - i : step);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct agw_a2a_scan whole, pieces;
    if (size < 2)
        return 0;
    scan(&whole, data[0], data + 2, size - 2, size);
    scan(&pieces, data[0], data + 2, size - 2, 1 + data[1] % 7u);
    agw_check(memcmp(&whole.found, &pieces.found, sizeof(whole.found)) == 0);
    return 0;
}
