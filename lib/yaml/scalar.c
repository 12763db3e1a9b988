#include "yaml/scalar.h"
#include "base/check.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool one_of(struct agw_str s, const char *const *words, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (agw_str_eq(s, agw_str_c(words[i])))
            return true;
    }
    return false;
}

static bool word(struct agw_str s, enum agw_node_type *type, int64_t *number)
{
    static const char *const null[] = {"", "~", "null", "Null", "NULL"};
    static const char *const yes[] = {"true", "True", "TRUE"};
    static const char *const no[] = {"false", "False", "FALSE"};
    static const char *const inf[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf", "+.INF",
                                      "-.inf", "-.Inf", "-.INF", ".nan",  ".NaN",  ".NAN"};

    if (one_of(s, null, AGW_ARRAY_LEN(null))) {
        *type = AGW_NODE_NULL;
    } else if (one_of(s, yes, AGW_ARRAY_LEN(yes))) {
        *type = AGW_NODE_BOOL;
        *number = 1;
    } else if (one_of(s, no, AGW_ARRAY_LEN(no))) {
        *type = AGW_NODE_BOOL;
        *number = 0;
    } else if (one_of(s, inf, AGW_ARRAY_LEN(inf))) {
        *type = AGW_NODE_FLOAT;
    } else {
        return false;
    }
    return true;
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* Digits of |base| only. 1: *ret is set; 0: not a number; -1: does not fit. */
static int digits(struct agw_str s, int base, bool negative, int64_t *ret)
{
    uint64_t v = 0, limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    bool fits = true;
    size_t i;

    if (s.n == 0)
        return 0;
    for (i = 0; i < s.n; i++) {
        int d = digit_value(s.p[i]);

        if (d >= base)
            return 0;
        if (!fits || v > (limit - (uint64_t)d) / (uint64_t)base)
            fits = false;
        else
            v = v * (uint64_t)base + (uint64_t)d;
    }
    if (!fits)
        return -1;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 1;
}

static size_t skip_digits(struct agw_str s, size_t i)
{
    while (i < s.n && is_digit(s.p[i]))
        i++;
    return i;
}

/* digits [ "." digits ] [ exponent ], with digits on at least one side of the point; no sign. */
static bool is_float(struct agw_str s)
{
    size_t i = skip_digits(s, 0), mantissa = i, start;

    if (i < s.n && s.p[i] == '.') {
        start = i + 1;
        i = skip_digits(s, start);
        mantissa += i - start;
    }
    if (mantissa == 0)
        return false;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
            i++;
        start = i;
        i = skip_digits(s, i);
        if (i == start)
            return false;
    }
    return i == s.n;
}

static bool prefixed(struct agw_str s, char mark)
{
    return s.n > 2 && s.p[0] == '0' && s.p[1] == mark;
}

int agw_yaml_scalar(struct agw_str text, enum agw_node_type *ret_type, int64_t *ret_number)
{
    struct agw_str s = text;
    bool negative;
    int got;

    *ret_type = AGW_NODE_STRING;
    *ret_number = 0;
    if (word(s, ret_type, ret_number))
        return 0;
    negative = s.p[0] == '-';
    if (negative || s.p[0] == '+')
        s = agw_str_from(s, 1);
    if (prefixed(s, 'x') || prefixed(s, 'o'))
        got = digits(agw_str_from(s, 2), s.p[1] == 'x' ? 16 : 8, negative, ret_number);
    else
        got = digits(s, 10, negative, ret_number);
    if (got && !prefixed(s, 'x') && !prefixed(s, 'o') && s.n > 1 && s.p[0] == '0')
        return AGW_EINVAL;
    if (got)
        *ret_type = got > 0 ? AGW_NODE_INT : AGW_NODE_FLOAT;
    else if (is_float(s))
        *ret_type = AGW_NODE_FLOAT;
    return 0;
}
