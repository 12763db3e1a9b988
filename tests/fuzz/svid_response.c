/* What an agent may send: any bytes. What is taken is three PEM texts. */
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "xds/svid/svid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pem(struct agw_str text)
{
    agw_check(agw_str_starts(text, AGW_STR("-----BEGIN ")));
    agw_check(memcmp(text.p + text.n - 6, "-----\n", 6) == 0);
    for (size_t i = 0; i < text.n; i++)
        agw_check(text.p[i] == '\n' || (text.p[i] >= ' ' && text.p[i] <= '~'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_arena arena;
    struct agw_error err = {0};
    struct agw_svid svid;
    agw_arena_init(&arena, 256, AGW_SVID_RESPONSE_MEMORY);
    int code = agw_svid_parse(agw_str((const char *)data, size), &arena, &svid, &err);
    agw_check(code == 0 || (code < 0 && err.text[0]));
    if (code == 0) {
        check_pem(svid.cert_pem);
        check_pem(svid.key_pem);
        check_pem(svid.bundle_pem);
    }
    agw_arena_free(&arena);
    return 0;
}
