/* Any bytes as a YAML stream: no crash, and what loads keeps its invariants. */
#include <stddef.h>
#include <stdint.h>
#include "base/check.h"
#include "yaml/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct agw_node *n, unsigned depth)
{
    const struct agw_node *c, *last = NULL;
    uint32_t count = 0;

    agw_check(depth <= AGW_YAML_MAX_DEPTH + 1 && (n->line > 0 || depth == 0));
    agw_node_each (c, n) {
        agw_check(n->type == AGW_NODE_LIST || n->type == AGW_NODE_MAP);
        agw_check((n->type == AGW_NODE_MAP) == (c->key.p != NULL) && c->parent == n);
        walk(c, depth + 1);
        last = c;
        count++;
    }
    agw_check(n->count == count && n->last == last);
    if (n->type == AGW_NODE_STRING)
        agw_check(n->text.p[n->text.n] == '\0' && strlen(n->text.p) == n->text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct agw_node *docs = NULL;
    struct agw_error err = {0};
    struct agw_arena arena;

    agw_arena_init(&arena, 4096, 64u << 20);
    if (agw_yaml_load(agw_str((const char *)data, size), &arena, &docs, &err) == 0)
        walk(docs, 0);
    else
        agw_check(docs == NULL && err.text[0] != '\0');
    agw_arena_free(&arena);
    return 0;
}
