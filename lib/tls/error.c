#include "tls/tls_int.h"

#include <openssl/err.h>
#include <openssl/pem.h>

/* The first error in the queue is the cause, those after it say where it came through. */
int agw_tls_error(struct agw_error *err, const char *what)
{
    unsigned long e = ERR_get_error();
    int code = ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE ? AGW_ENOMEM : AGW_ETLS;
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    char number[32];

    if (!reason) {
        ERR_error_string_n(e, number, sizeof(number));
        reason = e ? number : "unknown reason";
    }
    if (ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE)
        reason = "no PEM block of the right kind";
    agw_error_set(err, code, "%s: %s", what, reason);
    ERR_clear_error();
    return code;
}
