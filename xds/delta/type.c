#include "xds/delta/type.h"

static const struct agw_str urls[] = {
#define X(name, url) {url, sizeof(url) - 1},
    AGW_DELTA_TYPE_LIST(X)
#undef X
};

struct agw_str agw_delta_type_url(enum agw_delta_type type)
{
    return urls[type];
}

enum agw_delta_type agw_delta_type_of(struct agw_str url)
{
    unsigned type = 0;
    while (type < AGW_DELTA_TYPES && !agw_str_eq(urls[type], url))
        type++;
    return type;
}
