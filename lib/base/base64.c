#include "base/str.h"

#include "base/err.h"

static const char alphabet[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

size_t agw_base64_encode(const void *data, size_t n, bool url, char *out)
{
    const unsigned char *p = data;
    const char *digits = alphabet[url];
    char *at = out;
    for (; n >= 3; n -= 3, p += 3) {
        uint32_t x = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        *at++ = digits[x >> 18];
        *at++ = digits[x >> 12 & 63];
        *at++ = digits[x >> 6 & 63];
        *at++ = digits[x & 63];
    }
    if (n == 0)
        return (size_t)(at - out);
    uint32_t x = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
    *at++ = digits[x >> 18];
    *at++ = digits[x >> 12 & 63];
    if (n == 2)
        *at++ = digits[x >> 6 & 63];
    for (; !url && n < 3; n++)
        *at++ = '=';
    return (size_t)(at - out);
}

/* By character, the digit's value and one; 0: no digit. */
#define COMMON                                                                                               \
    ['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8, ['I'] = 9,       \
    ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17,          \
    ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25,          \
    ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33,          \
    ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41,          \
    ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,          \
    ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57,          \
    ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62
static const unsigned char values[2][256] = {{COMMON, ['+'] = 63, ['/'] = 64},
                                             {COMMON, ['-'] = 63, ['_'] = 64}};

/* Takes the padding off; AGW_EINVAL if it is not what the length asks for. */
static int strip_padding(struct agw_str *in, bool url)
{
    if (!url) {
        if (in->n % 4)
            return AGW_EINVAL;
        for (int i = 0; i < 2 && in->n && in->p[in->n - 1] == '='; i++)
            in->n--;
    }
    return in->n % 4 == 1 ? AGW_EINVAL : 0;
}

/* 2 or 3 characters at the end; a text has one form alone, so bits that belong to no byte are 0. */
static int decode_rest(const unsigned char *p, size_t n, const unsigned char *value, unsigned char *at)
{
    uint32_t x = 0;
    for (size_t i = 0; i < n; i++) {
        if (value[p[i]] == 0)
            return AGW_EINVAL;
        x = x << 6 | (value[p[i]] - 1u);
    }
    uint32_t spare = n == 2 ? 4 : 2;
    if (x & ((1u << spare) - 1))
        return AGW_EINVAL;
    x >>= spare;
    if (n == 3)
        *at++ = (unsigned char)(x >> 8);
    *at = (unsigned char)x;
    return 0;
}

int agw_base64_decode(struct agw_str in, bool url, void *out, size_t *ret_n)
{
    unsigned char *at = out;
    const unsigned char *value = values[url];
    if (strip_padding(&in, url))
        return AGW_EINVAL;
    const unsigned char *p = (const unsigned char *)in.p;
    for (; in.n >= 4; in.n -= 4, p += 4) {
        unsigned a = value[p[0]], b = value[p[1]], c = value[p[2]], d = value[p[3]];
        if (!a || !b || !c || !d)
            return AGW_EINVAL;
        uint32_t x = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        *at++ = (unsigned char)(x >> 16);
        *at++ = (unsigned char)(x >> 8);
        *at++ = (unsigned char)x;
    }
    if (in.n > 0 && decode_rest(p, in.n, value, at) != 0)
        return AGW_EINVAL;
    *ret_n = (size_t)(at - (unsigned char *)out) + (in.n > 0 ? in.n - 1 : 0);
    return 0;
}
