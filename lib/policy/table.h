/* All policies of this build, for the compiler (config/compile/compile.h). */
#ifndef AGW_POLICY_TABLE_H
#define AGW_POLICY_TABLE_H

#include <stddef.h>
#include "config/policy.h"

extern const struct agw_policy_ops *const agw_policy_table[];
extern const size_t agw_policy_table_size;

#endif
