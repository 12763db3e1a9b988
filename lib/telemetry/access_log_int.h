/* Inside of the access log: from a record to a line. */
#ifndef AGW_TELEMETRY_ACCESS_LOG_INT_H
#define AGW_TELEMETRY_ACCESS_LOG_INT_H

#include "telemetry/access_log.h"

enum {
#define X(field, max) +max
    AGW_ACCESS_TEXT_BYTES = 0 AGW_ACCESS_TEXTS(X), /* of all texts together */
#undef X
    /* A byte grows to at most 6 (\u0000), names, numbers and quotes fit the rest. */
    AGW_ACCESS_LINE_MAX = 6 * AGW_ACCESS_TEXT_BYTES + 1024,
};

extern const uint16_t agw_access_limits[AGW_ACCESS_TEXT_COUNT];

/* Writes the line with its newline; |out| has room for AGW_ACCESS_LINE_MAX. No text is longer than its limit.
 * Returns the end. */
char *agw_access_format(const struct agw_access_record *r, bool json, char *out);

#endif
