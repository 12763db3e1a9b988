/* Types of plain YAML scalars, by YAML 1.2's core schema (section 10.3.2). Threads: any. */
#ifndef AGW_YAML_SCALAR_H
#define AGW_YAML_SCALAR_H

#include "json/tree.h"

/* Finds the type of the plain scalar |text| and, for AGW_NODE_BOOL and AGW_NODE_INT, its value. Integers that
 * do not fit in 64 bits are AGW_NODE_FLOAT. AGW_EINVAL for decimal integers with a leading zero. */
int agw_yaml_scalar(struct agw_str text, enum agw_node_type *ret_type, int64_t *ret_number);

#endif
