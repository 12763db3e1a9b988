#include "base/clock.h"

#include <time.h>
#include "base/err.h"

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * AGW_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t agw_clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t agw_clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

struct date {
    unsigned year, month, day, weekday; /* month and day from 1, weekday 0 = Sunday */
    unsigned hour, minute, second;
};

/* Years are counted from 1 March, so that the leap day comes last; an era is 400 years, 146097 days. */
static struct date date_of(uint64_t seconds)
{
    unsigned days = (unsigned)(seconds / 86400), rest = (unsigned)(seconds % 86400);
    unsigned shifted = days + 719468; /* since 0000-03-01 */
    unsigned era = shifted / 146097, doe = shifted % 146097;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), m = (5 * doy + 2) / 153;
    struct date d = {
        .weekday = (days + 4) % 7, .hour = rest / 3600, .minute = rest / 60 % 60, .second = rest % 60};
    d.day = doy - (153 * m + 2) / 5 + 1;
    d.month = m < 10 ? m + 3 : m - 9;
    d.year = yoe + era * 400 + (d.month <= 2);
    return d;
}

static uint64_t days_of(unsigned year, unsigned month, unsigned day)
{
    year -= month <= 2;
    unsigned era = year / 400, yoe = year % 400;
    unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return (uint64_t)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static char *put_digits(char *at, unsigned value, int width)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + width;
}

static char *put_text(char *at, const char *text, size_t n)
{
    memcpy(at, text, n);
    return at + n;
}

static char *put_time(char *at, const struct date *d)
{
    at = put_digits(at, d->hour, 2);
    *at++ = ':';
    at = put_digits(at, d->minute, 2);
    *at++ = ':';
    return put_digits(at, d->second, 2);
}

void agw_clock_rfc3339(uint64_t wall_ns, char out[25])
{
    struct date d = date_of(wall_ns / AGW_NS_PER_S);
    char *at = put_digits(out, d.year, 4);
    *at++ = '-';
    at = put_digits(at, d.month, 2);
    *at++ = '-';
    at = put_digits(at, d.day, 2);
    *at++ = 'T';
    at = put_time(at, &d);
    *at++ = '.';
    at = put_digits(at, (unsigned)(wall_ns / AGW_NS_PER_MS % 1000), 3);
    *at++ = 'Z';
    *at = 0;
}

void agw_clock_http(uint64_t wall_ns, char out[30])
{
    struct date d = date_of(wall_ns / AGW_NS_PER_S);
    char *at = put_text(out, &"SunMonTueWedThuFriSat"[d.weekday * 3], 3);
    at = put_text(at, ", ", 2);
    at = put_digits(at, d.day, 2);
    *at++ = ' ';
    at = put_text(at, &"JanFebMarAprMayJunJulAugSepOctNovDec"[(d.month - 1) * 3], 3);
    *at++ = ' ';
    at = put_digits(at, d.year, 4);
    *at++ = ' ';
    at = put_time(at, &d);
    put_text(at, " GMT", 5);
}

/* Exactly |width| digits and then |end| (0: nothing) off the front; the value, or -1. */
static int take_number(struct agw_str *s, size_t width, char end)
{
    int value = 0;
    if (s->n < width + (end != 0))
        return -1;
    for (size_t i = 0; i < width; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return -1;
        value = value * 10 + (s->p[i] - '0');
    }
    if (end && (s->p[width] | (end == 't' ? 0x20 : 0)) != end)
        return -1;
    *s = agw_str_from(*s, width + (end != 0));
    return value;
}

/* ".123": digits past the ninth are cut. */
static int take_fraction(struct agw_str *s, uint64_t *ret_ns)
{
    uint64_t ns = 0, unit = AGW_NS_PER_S / 10;
    size_t i = 1;
    if (s->n == 0 || s->p[0] != '.') {
        *ret_ns = 0;
        return 0;
    }
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++, unit /= 10)
        ns += unit * (unsigned)(s->p[i] - '0');
    if (i == 1)
        return AGW_EINVAL;
    *s = agw_str_from(*s, i);
    *ret_ns = ns;
    return 0;
}

/* "Z" or "+hh:mm", which must be all that is left. */
static int take_zone(struct agw_str s, int64_t *ret_seconds)
{
    if (s.n == 1 && (s.p[0] | 0x20) == 'z') {
        *ret_seconds = 0;
        return 0;
    }
    if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-'))
        return AGW_EINVAL;
    bool west = s.p[0] == '-';
    s = agw_str_from(s, 1);
    int hour = take_number(&s, 2, ':'), minute = take_number(&s, 2, 0);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return AGW_EINVAL;
    *ret_seconds = (west ? -1 : 1) * (hour * 3600 + minute * 60);
    return 0;
}

static int days_in_month(int year, int month)
{
    bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;
    return month == 2 ? 28 + leap : 30 + ((month + (month > 7)) & 1);
}

static int take_date(struct agw_str *s, int64_t *ret_days)
{
    int year = take_number(s, 4, '-'), month = take_number(s, 2, '-'), day = take_number(s, 2, 't');
    if (year < 1969 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return AGW_EINVAL;
    *ret_days = (int64_t)days_of((unsigned)year, (unsigned)month, (unsigned)day);
    return 0;
}

int agw_clock_parse_rfc3339(struct agw_str s, uint64_t *ret_wall_ns)
{
    int64_t days, zone;
    uint64_t fraction, ns;
    if (take_date(&s, &days))
        return AGW_EINVAL;
    int hour = take_number(&s, 2, ':'), minute = take_number(&s, 2, ':'), second = take_number(&s, 2, 0);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) /* 60: leap second */
        return AGW_EINVAL;
    if (take_fraction(&s, &fraction) || take_zone(s, &zone))
        return AGW_EINVAL;
    int64_t seconds = days * 86400 + hour * 3600 + minute * 60 + second - zone;
    if (seconds < 0 || __builtin_mul_overflow((uint64_t)seconds, AGW_NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, fraction, &ns))
        return AGW_EINVAL;
    *ret_wall_ns = ns;
    return 0;
}
