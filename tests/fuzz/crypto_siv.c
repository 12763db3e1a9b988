/* Sealed texts: what was sealed opens to the same, what nobody sealed does not open, and one text has one
 * form. */
#include "base/check.h"
#include "crypto/siv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const struct agw_siv *s, struct agw_str text)
{
    static char plain[2 * AGW_SIV_MAX], again[AGW_SIV_SIZE(2 * AGW_SIV_MAX)];
    size_t n = 0, m = 0;
    int rc = agw_siv_open(s, text, plain, sizeof(plain), &n);
    agw_check(rc == 0 || rc == AGW_EINVAL);
    if (rc)
        return;
    agw_check(n <= text.n);
    agw_check(agw_siv_close(s, agw_str(plain, n), again, &m) == 0 && agw_str_eq(agw_str(again, m), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char key[32] = "a key of the fuzzer's: 32 bytes";
    static char sealed[AGW_SIV_SIZE(AGW_SIV_MAX)], opened[AGW_SIV_SIZE(AGW_SIV_MAX)];
    static struct agw_siv *s;
    struct agw_str text = agw_str((const char *)data, size);
    size_t n, m;

    if (!s && !(s = agw_siv_new(key, AGW_STR("fuzz"))))
        return 0;
    check_text(s, text);
    int rc = agw_siv_close(s, text, sealed, &n);
    agw_check(rc == (size == 0 || size > AGW_SIV_MAX ? AGW_ELIMIT : 0));
    if (rc)
        return 0;
    agw_check(n <= AGW_SIV_SIZE(size));
    agw_check(agw_siv_open(s, agw_str(sealed, n), opened, sizeof(opened), &m) == 0);
    agw_check(agw_str_eq(agw_str(opened, m), text));
    if (size > 0) { /* a letter that changes, wherever it is, spoils it */
        size_t at = data[0] % n;
        sealed[at] = sealed[at] == 'A' ? 'B' : 'A';
        agw_check(agw_siv_open(s, agw_str(sealed, n), opened, sizeof(opened), &m) == AGW_EINVAL);
    }
    return 0;
}
