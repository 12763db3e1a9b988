/* What the readers of command lines share: values that several commands take, and the words for a bad one.
 * Threads: main. Errors: AGW_EINVAL, and a line on stderr that names the option and the reason. */
#ifndef AGW_BASE_OPTION_H
#define AGW_BASE_OPTION_H

#include "base/log.h"

/* Says that |value| of the option or variable |what| of |program| is bad. AGW_EINVAL. */
int agw_option_bad(const char *program, const char *what, const char *value, const char *reason);
/* "text" or "json". */
int agw_option_format(const char *program, const char *what, const char *value, bool *ret_json);
int agw_option_level(const char *program, const char *what, const char *value, enum agw_log_level *ret_level);

#endif
