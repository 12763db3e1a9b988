#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

noreturn void agw_check_failed(const char *file, int line, const char *expression)
{
    dprintf(2, "%s:%d: check failed: %s\n", file, line, expression);
    abort();
}
