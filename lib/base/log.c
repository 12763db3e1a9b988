#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"

#define MESSAGE_MAX 2048                       /* longer messages are cut */
#define LINE_MAX_BYTES (128 + 6 * MESSAGE_MAX) /* an escaped byte takes at most 6 */

static atomic_int lowest = AGW_LOG_INFO;
static atomic_bool as_json;

static const char level_names[][6] = {"debug", "info", "warn", "error"};

void agw_log_setup(enum agw_log_level level, bool json)
{
    agw_log_level(level);
    atomic_store_explicit(&as_json, json, memory_order_relaxed);
}

void agw_log_level(enum agw_log_level level)
{
    atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

int agw_log_level_parse(struct agw_str text, enum agw_log_level *ret_level)
{
    for (int i = AGW_LOG_DEBUG; i <= AGW_LOG_ERROR; i++) {
        if (agw_str_ieq(text, agw_str_c(level_names[i]))) {
            *ret_level = (enum agw_log_level)i;
            return 0;
        }
    }
    return AGW_EINVAL;
}

/* Control characters would let a message forge lines; bytes that are not UTF-8 would spoil JSON. */
static char *put_escaped(char *at, struct agw_str s, bool json)
{
    static const char hex[16] = "0123456789abcdef";
    bool utf8 = agw_str_is_utf8(s);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (json && (c == '"' || c == '\\')) {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8)) {
            memcpy(at, json ? "\\u00" : "\\x", json ? 4 : 2);
            at += json ? 4 : 2;
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        } else {
            *at++ = (char)c;
        }
    }
    return at;
}

static char *put(char *at, const char *text)
{
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

static char *put_line(char *at, const char *level, struct agw_str area, struct agw_str message, bool json)
{
    char time[25];
    agw_clock_rfc3339(agw_clock_wall_ns(), time);
    at = put(at, json ? "{\"time\":\"" : "");
    at = put(at, time);
    at = put(at, json ? "\",\"level\":\"" : " ");
    at = put(at, level);
    at = put(at, json ? "\",\"area\":\"" : " ");
    at = put_escaped(at, area, json);
    at = put(at, json ? "\",\"message\":\"" : ": ");
    at = put_escaped(at, message, json);
    return put(at, json ? "\"}\n" : "\n");
}

static void write_all(const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(STDERR_FILENO, p, n);
        if (k <= 0)
            return; /* nowhere to report it */
        p += k;
        n -= (size_t)k;
    }
}

bool agw_log_enabled(enum agw_log_level level)
{
    return (int)level >= atomic_load_explicit(&lowest, memory_order_relaxed);
}

void agw_log(enum agw_log_level level, const char *area, const char *format, ...)
{
    char message[MESSAGE_MAX], line[LINE_MAX_BYTES];
    if (!agw_log_enabled(level))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    struct agw_str a = agw_str_c(area);
    a.n = a.n > 16 ? 16 : a.n; /* keeps the line within its buffer */
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    char *end = put_line(line, level_names[level & 3], a, agw_str_c(message), json);
    write_all(line, (size_t)(end - line));
}
