/* Scanning of heads and trailer sections, 16 bytes at a time where SSE2 is (every x86-64).
 *
 * All three read up to 16 bytes behind the byte they stop at: the text is followed by AGW_H1_PAD bytes of its
 * own allocation. None needs an end: a head ends with CR LF, and each stops at CR. */
#ifndef AGW_H1_SCAN_INT_H
#define AGW_H1_SCAN_INT_H

#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define AGW_H1_PAD 16

/* tchar (RFC 9110 section 5.6.2) in lower case; 0 for all others. */
extern const unsigned char agw_h1_token[256];

#ifdef __SSE2__

static inline unsigned first_bit(unsigned mask)
{
    return (unsigned)__builtin_ctz(mask);
}

/* 0xff for each byte in low..low + span */
static inline __m128i in_range(__m128i x, char low, char span)
{
    __m128i from_low = _mm_sub_epi8(x, _mm_set1_epi8(low));
    return _mm_cmpeq_epi8(_mm_min_epu8(from_low, _mm_set1_epi8(span)), from_low);
}

/* The first control character other than HTAB. */
static inline char *scan_value(char *p)
{
    const __m128i last_control = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f), tab = _mm_set1_epi8('\t');

    for (;; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)p);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, last_control), x);
        __m128i stop =
            _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(x, tab), control), _mm_cmpeq_epi8(x, del));
        unsigned mask = (unsigned)_mm_movemask_epi8(stop);
        if (mask)
            return p + first_bit(mask);
    }
}

/* The first byte that cannot stand in a request target: outside 0x21..0x7e, or '#'. */
static inline char *scan_target(char *p)
{
    const __m128i space = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f), hash = _mm_set1_epi8('#');

    for (;; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)p);
        __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(x, del), _mm_cmpeq_epi8(x, hash));
        __m128i good =
            _mm_andnot_si128(bad, _mm_cmpgt_epi8(x, space)); /* signed: 0x80 and above are below 0 */
        unsigned mask = (unsigned)_mm_movemask_epi8(good) ^ 0xffff;
        if (mask)
            return p + first_bit(mask);
    }
}

/* Lower-cases the letters, digits and '-' at |p|, up to 16 of them; returns how many there are. */
static inline unsigned lower_16(char *p)
{
    __m128i x = _mm_loadu_si128((const __m128i *)p);
    __m128i upper = _mm_and_si128(in_range(x, 'A', 'Z' - 'A'), _mm_set1_epi8(0x20));
    __m128i lower = _mm_or_si128(x, upper);
    __m128i common = _mm_or_si128(in_range(lower, 'a', 'z' - 'a'), in_range(x, '0', 9));
    unsigned stop;

    common = _mm_or_si128(common, _mm_cmpeq_epi8(x, _mm_set1_epi8('-')));
    stop = first_bit(((unsigned)_mm_movemask_epi8(common) ^ 0xffff) | 0x10000);
    static const unsigned char ones[32] = {[0 ... 15] = 0xff};
    upper = _mm_and_si128(upper, _mm_loadu_si128((const __m128i *)(ones + 16 - stop)));
    _mm_storeu_si128((__m128i *)p, _mm_or_si128(x, upper));
    return stop;
}

#else

static inline char *scan_value(char *p)
{
    while ((unsigned char)*p >= 0x20 ? *p != 0x7f : *p == '\t')
        p++;
    return p;
}

static inline char *scan_target(char *p)
{
    while ((unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f && *p != '#')
        p++;
    return p;
}

static inline unsigned lower_16(char *p)
{
    unsigned n = 0;

    while (n < 16 && agw_h1_token[(unsigned char)p[n]]) {
        p[n] = (char)agw_h1_token[(unsigned char)p[n]];
        n++;
    }
    return n;
}

#endif

/* Lower-cases the token at |p| in place; returns its end. */
static inline char *scan_name(char *p)
{
    for (;;) {
        unsigned n = lower_16(p);
        p += n;
        if (n == 16)
            continue;
        if (!agw_h1_token[(unsigned char)*p])
            return p;
        p++; /* a rarer token character; none of them is a letter */
    }
}

#endif
