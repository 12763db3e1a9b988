#include "json/tree.h"
#include <stdio.h>

const struct agw_node *agw_node_get(const struct agw_node *map, const char *key)
{
    const struct agw_node *n;
    struct agw_str k = agw_str_c(key);

    if (!map || map->type != AGW_NODE_MAP)
        return NULL;
    agw_node_each (n, map) {
        if (agw_str_eq(n->key, k))
            return n;
    }
    return NULL;
}

struct agw_str agw_node_text(const struct agw_node *map, const char *key)
{
    const struct agw_node *n = agw_node_get(map, key);

    if (!n || n->type != AGW_NODE_STRING)
        return (struct agw_str){0};
    return n->text;
}

static uint32_t index_of(const struct agw_node *n)
{
    const struct agw_node *c;
    uint32_t i = 0;

    agw_node_each (c, n->parent) {
        if (c == n)
            break;
        i++;
    }
    return i;
}

size_t agw_node_path(const struct agw_node *top, const struct agw_node *n, char *out, size_t size)
{
    size_t at;
    int put;

    out[0] = '\0';
    if (!n || n == top || !n->parent)
        return 0;
    at = agw_node_path(top, n->parent, out, size);
    if (n->parent->type == AGW_NODE_LIST)
        put = snprintf(out + at, size - at, "[%u]", index_of(n));
    else
        put = snprintf(out + at, size - at, "%s%.*s", at ? "." : "", AGW_STRF(n->key));
    if (put < 0)
        return at;
    return (size_t)put < size - at ? at + (size_t)put : size - 1;
}
