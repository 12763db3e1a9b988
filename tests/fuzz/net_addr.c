/* Parses any bytes as an address; what is accepted has a text form that means the same address. */
#include "base/check.h"
#include "net/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const struct agw_addr *a)
{
    struct agw_addr again;
    char text[AGW_ADDR_TEXT];
    size_t n = agw_addr_format(a, text);

    agw_check(n == strlen(text) && n < AGW_ADDR_TEXT);
    if (a->u.sa.sa_family == AF_UNIX)
        return;
    agw_check(agw_addr_parse(agw_str(text, n), &again, NULL) == 0);
    agw_check(agw_addr_eq(a, &again));
    n = agw_addr_format_ip(a, text);
    agw_check(agw_addr_ip(agw_str(text, n), agw_addr_port(a), &again) == 0);
    agw_check(agw_addr_eq(a, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_str in = agw_str((const char *)data, size);
    struct agw_error err;
    struct agw_addr a;

    if (agw_addr_parse(in, &a, &err) == 0)
        check_text(&a);
    if (agw_addr_ip(in, 80, &a) == 0)
        check_text(&a);
    if (agw_addr_unix(in, &a) == 0)
        check_text(&a);
    return 0;
}
