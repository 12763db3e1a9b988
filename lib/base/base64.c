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

static int digit_value(char c, bool url)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (url ? '-' : '+'))
        return 62;
    return c == (url ? '_' : '/') ? 63 : -1;
}

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

int agw_base64_decode(struct agw_str in, bool url, void *out, size_t *ret_n)
{
    unsigned char *at = out;
    uint32_t bits = 0, count = 0;
    if (strip_padding(&in, url))
        return AGW_EINVAL;
    for (size_t i = 0; i < in.n; i++) {
        int value = digit_value(in.p[i], url);
        if (value < 0)
            return AGW_EINVAL;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *at++ = (unsigned char)(bits >> count);
            bits &= (1u << count) - 1;
        }
    }
    if (bits)
        return AGW_EINVAL;
    *ret_n = (size_t)(at - (unsigned char *)out);
    return 0;
}
