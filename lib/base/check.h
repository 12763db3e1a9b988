/* Assertions that stay on in production: for our own mistakes, never for what a peer sends. */
#ifndef AGW_BASE_CHECK_H
#define AGW_BASE_CHECK_H

#include <stdnoreturn.h>

/* Prints file, line and expression to stderr and aborts. */
noreturn void agw_check_failed(const char *file, int line, const char *expression);

#define agw_check(x) (__builtin_expect(!!(x), 1) ? (void)0 : agw_check_failed(__FILE__, __LINE__, #x))

#define agw_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define agw_likely(x) __builtin_expect(!!(x), 1)
#define agw_unlikely(x) __builtin_expect(!!(x), 0)
#define AGW_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define AGW_CACHE_LINE 64

#endif
