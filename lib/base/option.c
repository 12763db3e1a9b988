#include "base/option.h"

#include <stdio.h>
#include "base/err.h"

int agw_option_bad(const char *program, const char *what, const char *value, const char *reason)
{
    fprintf(stderr, "%s: %s: '%s': %s (see --help)\n", program, what, value, reason);
    return AGW_EINVAL;
}

int agw_option_format(const char *program, const char *what, const char *value, bool *ret_json)
{
    bool json = strcmp(value, "json") == 0;
    if (!json && strcmp(value, "text") != 0)
        return agw_option_bad(program, what, value, "neither text nor json");
    *ret_json = json;
    return 0;
}

int agw_option_level(const char *program, const char *what, const char *value, enum agw_log_level *ret_level)
{
    if (agw_log_level_parse(agw_str_c(value), ret_level))
        return agw_option_bad(program, what, value, "not one of debug, info, warn, error");
    return 0;
}
