#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *agw_err_text(int code)
{
    switch (code) {
    case 0:
        return "no error";
#define X(name, number, text)                                                                                \
    case AGW_E##name:                                                                                        \
        return text;
        AGW_ERR_LIST(X)
#undef X
    default:
        return "unknown error";
    }
}

int agw_error_set(struct agw_error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    char text[sizeof(err->text)]; /* an argument may point into err->text */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    err->code = code;
    memcpy(err->text, text, strlen(text) + 1);
    return code;
}

#define TEXT_SIZE sizeof(((struct agw_error *)0)->text)

static void append(char text[TEXT_SIZE], const char *more)
{
    size_t n = strlen(text), room = TEXT_SIZE - 1 - n, k = strlen(more);
    k = k < room ? k : room;
    memcpy(text + n, more, k);
    text[n + k] = 0;
}

int agw_error_prefix(struct agw_error *err, const char *format, ...)
{
    if (!err)
        return 0;
    char text[sizeof(err->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    append(text, ": ");
    append(text, err->text);
    memcpy(err->text, text, strlen(text) + 1);
    return err->code;
}
