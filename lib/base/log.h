/* Process log, for operators: start, config changes, failures that are not one request's. To stderr, one line
 * a record, text or JSON. Not for the request path (that is telemetry/access_log.h).
 * Threads: any; a line is one write(2). */
#ifndef AGW_BASE_LOG_H
#define AGW_BASE_LOG_H

#include <stdbool.h>
#include "base/str.h"

enum agw_log_level { AGW_LOG_DEBUG, AGW_LOG_INFO, AGW_LOG_WARN, AGW_LOG_ERROR };

void agw_log_setup(enum agw_log_level level, bool json);
/* Sets the level at run time; agw_log_level_parse takes "debug", "info", "warn", "error". */
void agw_log_level(enum agw_log_level level);
int agw_log_level_parse(struct agw_str text, enum agw_log_level *ret_level);
/* True if a record of that level would be written: asked once before many. */
bool agw_log_enabled(enum agw_log_level level);
void agw_log(enum agw_log_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define agw_debug(area, ...) agw_log(AGW_LOG_DEBUG, area, __VA_ARGS__)
#define agw_info(area, ...) agw_log(AGW_LOG_INFO, area, __VA_ARGS__)
#define agw_warn(area, ...) agw_log(AGW_LOG_WARN, area, __VA_ARGS__)
#define agw_error_log(area, ...) agw_log(AGW_LOG_ERROR, area, __VA_ARGS__)

#endif
