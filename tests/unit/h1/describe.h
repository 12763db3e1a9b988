/* Says in one line what a parse gave, for comparing with what a table expects. */
#ifndef TESTS_UNIT_H1_DESCRIBE_H
#define TESTS_UNIT_H1_DESCRIBE_H

#include "h1/h1.h"

#define DESCRIBE_MAX 8192

/* Into |out|: "<status> <reason>" for an error |r|, else start line, framing and fields, as in parse_test.c's
 * tables. */
void describe(int r, const struct agw_h1_head *head, const struct agw_msg *msg, bool is_response,
              char out[DESCRIBE_MAX]);
/* The fields, each as "[name: value]". */
void describe_fields(const struct agw_headers *headers, char *out, size_t size);

#endif
