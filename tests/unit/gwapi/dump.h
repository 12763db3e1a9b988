/* A set of resources as text, one line each, sorted: tests compare it with what they expect. */
#ifndef TESTS_GWAPI_DUMP_H
#define TESTS_GWAPI_DUMP_H

#include "config/resource.h"

/* Fields that are unset or zero are left out; "kind/key {field=value ...}". The caller frees. */
char *dump_set(const struct agw_resource_set *set);

#endif
