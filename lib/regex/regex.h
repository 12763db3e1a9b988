/* Regular expressions in linear time (RE2 syntax) behind a C interface. Text is UTF-8.
 * Ownership: new / free. Threads: immutable after compile; any thread matches. */
#ifndef AGW_REGEX_REGEX_H
#define AGW_REGEX_REGEX_H

#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"

struct agw_regex;

/* AGW_EINVAL with RE2's reason; AGW_ELIMIT when the program would take more than 1 MiB; AGW_ENOMEM. */
int agw_regex_new(struct agw_str pattern, struct agw_regex **ret_regex, struct agw_error *err);
void agw_regex_free(struct agw_regex *r); /* NULL is fine */
/* True if the whole of |s| matches; linear in |s|. */
bool agw_regex_full(const struct agw_regex *r, struct agw_str s);

#endif
