/* Error codes and error detail.
 *
 * Functions that can fail return 0 or a negative enum agw_err, or a pointer or NULL. Where a person will read
 * the reason, a struct agw_error * takes it; it may be NULL. `ret_` arguments are untouched on failure.
 * Ownership: struct agw_error is a plain value of the caller. Threads: any. */
#ifndef AGW_BASE_ERR_H
#define AGW_BASE_ERR_H

#define AGW_ERR_LIST(X)                                                                                      \
    X(AGAIN, 1, "not ready, try again")                                                                      \
    X(NOMEM, 2, "out of memory")                                                                             \
    X(EOF, 3, "end of stream")                                                                               \
    X(IO, 4, "input/output error")                                                                           \
    X(PROTO, 5, "protocol error")                                                                            \
    X(LIMIT, 6, "limit exceeded")                                                                            \
    X(INVAL, 7, "invalid argument or value")                                                                 \
    X(NOTFOUND, 8, "not found")                                                                              \
    X(EXISTS, 9, "already exists")                                                                           \
    X(TIMEOUT, 10, "timed out")                                                                              \
    X(REFUSED, 11, "connection refused")                                                                     \
    X(RESET, 12, "connection or stream reset by the peer")                                                   \
    X(TLS, 13, "TLS failure")                                                                                \
    X(DNS, 14, "name does not resolve")                                                                      \
    X(CANCELED, 15, "canceled")                                                                              \
    X(CLOSED, 16, "closed")                                                                                  \
    X(UNSUPPORTED, 17, "not supported")

enum agw_err {
#define X(name, number, text) AGW_E##name = -(number),
    AGW_ERR_LIST(X)
#undef X
};

struct agw_error {
    int code; /* a negative enum agw_err, 0 when nothing was set */
    char text[508];
};

/* The fixed text of a code; "unknown error" for others. Never NULL. */
const char *agw_err_text(int code);

/* Fills |err| (if not NULL) with |code| and the formatted reason, cut at its size. Returns |code|. */
int agw_error_set(struct agw_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts the formatted text and ": " before what |err| already says; keeps the code. Returns err->code. */
int agw_error_prefix(struct agw_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
