#include "gwapi/schema/names.h"
#include <arpa/inet.h>
#include "base/check.h"
#include "base/clock.h"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool agw_is_label(struct agw_str s)
{
    size_t i;

    if (s.n == 0 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (i = 0; i < s.n; i++) {
        if (!is_lower(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '-')
            return false;
    }
    return true;
}

bool agw_is_subdomain(struct agw_str s)
{
    if (s.n == 0 || s.n > 253)
        return false;
    for (;;) {
        ptrdiff_t dot = agw_str_find(s, '.');

        /* A part of an object's name may be longer than a DNS label: only the whole is limited. */
        struct agw_str part = dot < 0 ? s : agw_str(s.p, (size_t)dot);
        size_t i;

        if (part.n == 0 || part.p[0] == '-' || part.p[part.n - 1] == '-')
            return false;
        for (i = 0; i < part.n; i++) {
            if (!is_lower(part.p[i]) && !is_digit(part.p[i]) && part.p[i] != '-')
                return false;
        }
        if (dot < 0)
            return true;
        s = agw_str_from(s, (size_t)dot + 1);
    }
}

bool agw_is_group(struct agw_str s)
{
    return s.n == 0 || agw_is_subdomain(s);
}

bool agw_is_kind(struct agw_str s)
{
    size_t i;

    if (s.n == 0 || s.n > 63 || !(is_lower(s.p[0]) || is_upper(s.p[0])) || s.p[s.n - 1] == '-')
        return false;
    for (i = 0; i < s.n; i++) {
        if (!is_lower(s.p[i]) && !is_upper(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '-')
            return false;
    }
    return true;
}

/* Text form of an IP address, without brackets. */
static bool is_ip(struct agw_str s)
{
    char text[INET6_ADDRSTRLEN], bytes[16];

    if (s.n >= sizeof(text))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

bool agw_is_precise_hostname(struct agw_str s)
{
    return agw_is_subdomain(s) && !is_ip(s);
}

bool agw_is_hostname(struct agw_str s)
{
    if (agw_str_starts(s, AGW_STR("*.")))
        return s.n <= 253 && agw_is_subdomain(agw_str_from(s, 2));
    return agw_is_precise_hostname(s);
}

bool agw_is_host(struct agw_str s)
{
    return s.n > 0 && (is_ip(s) || agw_is_subdomain(s));
}

bool agw_is_token(struct agw_str s)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    size_t i;

    for (i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!is_lower(c) && !is_upper(c) && !is_digit(c) && (c == '\0' || !strchr(marks, c)))
            return false;
    }
    return s.n > 0;
}

bool agw_is_field_value(struct agw_str s)
{
    size_t i;

    if (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        return false;
    for (i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool agw_is_absolute_path(struct agw_str s)
{
    size_t i;

    for (i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= 0x20 || c == 0x7f)
            return false;
    }
    return s.n > 0 && s.p[0] == '/';
}

bool agw_is_path(struct agw_str s)
{
    static const char *const never[] = {"//", "/./", "/../", "%2f", "%2F", "#", "?"};
    size_t i;

    if (!agw_is_absolute_path(s))
        return false;
    for (i = 0; i < AGW_ARRAY_LEN(never); i++) {
        if (agw_str_search(s, agw_str_c(never[i])) >= 0)
            return false;
    }
    return !agw_str_ends(s, AGW_STR("/.")) && !agw_str_ends(s, AGW_STR("/.."));
}

static bool is_port(struct agw_str s)
{
    uint64_t number;

    return s.n > 0 && s.n <= 5 && is_digit(s.p[0]) && agw_str_u64(s, &number) == 0 && number <= 65535;
}

/* A host of an origin: labels, perhaps with "*" for the first ones. */
static bool is_origin_host(struct agw_str s)
{
    bool wild = s.n && s.p[0] == '*';
    size_t i;

    if (wild)
        s = agw_str_from(s, 1);
    if (wild ? s.n && s.p[0] != '.' : s.n == 0 || s.p[0] == '.')
        return false;
    for (i = 0; i < s.n; i++) {
        if (!is_lower(s.p[i]) && !is_upper(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
            return false;
    }
    return true;
}

bool agw_is_origin(struct agw_str s)
{
    ptrdiff_t scheme = agw_str_find(s, ':'), port;

    if (agw_str_eq(s, AGW_STR("*")))
        return true;
    if (scheme < 1 || !agw_str_starts(agw_str_from(s, (size_t)scheme), AGW_STR("://")) ||
        !agw_is_token(agw_str(s.p, (size_t)scheme)))
        return false;
    s = agw_str_from(s, (size_t)scheme + 3);
    port = agw_str_find(s, ':');
    if (port >= 0 && !is_port(agw_str_from(s, (size_t)port + 1)))
        return false;
    return is_origin_host(port < 0 ? s : agw_str(s.p, (size_t)port));
}

/* Takes "h", "m", "s" or "ms" off the front. */
static bool take_unit(struct agw_str *s, uint64_t *ms)
{
    if (agw_str_starts(*s, AGW_STR("ms"))) {
        *ms = 1;
        *s = agw_str_from(*s, 2);
        return true;
    }
    if (s->n == 0)
        return false;
    switch (s->p[0]) {
    case 'h':
        *ms = 3600000;
        break;
    case 'm':
        *ms = 60000;
        break;
    case 's':
        *ms = 1000;
        break;
    default:
        return false;
    }
    *s = agw_str_from(*s, 1);
    return true;
}

int agw_duration_ms(struct agw_str s, uint64_t *ret_ms)
{
    uint64_t total = 0, number, unit;
    unsigned parts;

    for (parts = 0; s.n > 0; parts++) {
        size_t digits = 0;

        while (digits < s.n && is_digit(s.p[digits]))
            digits++;
        if (parts == 4 || digits > 5 || agw_str_u64(agw_str(s.p, digits), &number))
            return AGW_EINVAL;
        s = agw_str_from(s, digits);
        if (!take_unit(&s, &unit))
            return AGW_EINVAL;
        total += number * unit;
    }
    if (parts == 0)
        return AGW_EINVAL;
    *ret_ms = total;
    return 0;
}

bool agw_is_duration(struct agw_str s)
{
    uint64_t ms;

    return agw_duration_ms(s, &ms) == 0;
}

bool agw_is_timestamp(struct agw_str s)
{
    uint64_t ns;

    return agw_clock_parse_rfc3339(s, &ns) == 0;
}

/* The number that a quantity's suffix multiplies with; 0: it is none. */
static uint64_t quantity_unit(struct agw_str s)
{
    static const char letters[] = "kMGTPE";
    uint64_t step = s.n == 2 ? 1024 : 1000, unit = 1;

    if (s.n == 0)
        return 1;
    for (size_t i = 0; letters[i]; i++) {
        unit *= step;
        if (s.n == 1 && s.p[0] == letters[i])
            return unit;
        if (s.n == 2 && s.p[1] == 'i' && s.p[0] == (i == 0 ? 'K' : letters[i]))
            return unit;
    }
    return 0;
}

int agw_quantity(struct agw_str s, uint64_t *ret_value)
{
    unsigned __int128 number = 0, parts = 1;
    size_t at = 0, digits = 0;
    bool dot = false;

    for (; at < s.n && (is_digit(s.p[at]) || (s.p[at] == '.' && !dot)); at++) {
        if (s.p[at] == '.') {
            dot = true;
            continue;
        }
        if (++digits > 18)
            return AGW_EINVAL;
        number = number * 10 + (unsigned)(s.p[at] - '0');
        parts *= dot ? 10 : 1;
    }
    number *= quantity_unit(agw_str_from(s, at));
    if (digits == 0 || quantity_unit(agw_str_from(s, at)) == 0)
        return AGW_EINVAL;
    number = (number + parts - 1) / parts;
    if (number > UINT64_MAX)
        return AGW_EINVAL;
    *ret_value = (uint64_t)number;
    return 0;
}

bool agw_is_size(struct agw_str s)
{
    uint64_t n;

    return agw_quantity(s, &n) == 0 && n >= 1 && n <= UINT32_MAX;
}

bool agw_is_tool_name(struct agw_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.')
            return false;
    }
    return s.n > 0;
}
