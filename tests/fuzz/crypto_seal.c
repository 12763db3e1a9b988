/* Opens any bytes as a sealed text; seals the same bytes, which must open to what they were and, with one
 * character changed, to nothing. */
#include <string.h>
#include "base/check.h"
#include "crypto/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct agw_str key = {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 64};

static void check_round_trip(const struct agw_seal *seal, struct agw_str plain)
{
    static char text[AGW_SEAL_SIZE(AGW_SEAL_MAX)], back[AGW_SEAL_MAX];
    size_t n, m;

    agw_check(agw_seal_close(seal, plain, AGW_STR("session"), text, &n) == 0);
    agw_check(n <= AGW_SEAL_SIZE(plain.n));
    agw_check(agw_seal_open(seal, agw_str(text, n), AGW_STR("session"), back, plain.n, &m) == 0);
    agw_check(agw_str_eq(agw_str(back, m), plain));
    size_t at = plain.n % n;
    text[at] = text[at] == 'x' ? 'y' : 'x';
    agw_check(agw_seal_open(seal, agw_str(text, n), AGW_STR("session"), back, sizeof(back), &m) ==
              AGW_EINVAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct agw_seal *seal;
    static char out[AGW_SEAL_MAX];
    struct agw_str in = agw_str((const char *)data, size);
    size_t n = 0;

    if (!seal)
        seal = agw_seal_new(key, NULL);
    agw_check(seal);
    int rc = agw_seal_open(seal, in, AGW_STR("session"), out, sizeof(out), &n);
    agw_check(rc == AGW_EINVAL || (rc == 0 && n + AGW_SEAL_OVERHEAD <= size));
    if (size <= AGW_SEAL_MAX)
        check_round_trip(seal, in);
    return 0;
}
