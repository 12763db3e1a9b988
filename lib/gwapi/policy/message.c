/* Messages that a filter and a policy have in common. */
#include "gwapi/policy/policy.h"

static int headers(struct agw_translate *t, const struct agw_node *list, Pb__Header ***ret_headers,
                   size_t *ret_count)
{
    const struct agw_node *n;
    size_t i = 0;

    if (!list || list->count == 0)
        return 0;
    *ret_headers = agw_gwapi_pointers(t, list->count);
    if (!*ret_headers)
        return AGW_ENOMEM;
    agw_node_each (n, list) {
        Pb__Header *h = agw_gwapi_new(t, Pb__Header, pb__header__init);

        if (!h)
            return AGW_ENOMEM;
        h->name = agw_gwapi_text(t, agw_node_text(n, "name"));
        h->value = agw_gwapi_text(t, agw_node_text(n, "value"));
        (*ret_headers)[i++] = h;
    }
    *ret_count = i;
    return 0;
}

Pb__HeaderModifier *agw_gwapi_header_modifier(struct agw_translate *t, const struct agw_node *n)
{
    Pb__HeaderModifier *m = agw_gwapi_new(t, Pb__HeaderModifier, pb__header_modifier__init);

    if (!m || headers(t, agw_field(n, "set"), &m->set, &m->n_set) ||
        headers(t, agw_field(n, "add"), &m->add, &m->n_add))
        return NULL;
    m->remove = agw_gwapi_texts(t, agw_field(n, "remove"), &m->n_remove);
    return m;
}

Pb__CORS *agw_gwapi_cors(struct agw_translate *t, const struct agw_node *n)
{
    Pb__CORS *c = agw_gwapi_new(t, Pb__CORS, pb__cors__init);

    if (!c)
        return NULL;
    c->max_age = agw_gwapi_new(t, Google__Protobuf__Duration, google__protobuf__duration__init);
    if (!c->max_age)
        return NULL;
    c->max_age->seconds = agw_field_int(n, "maxAge", 5);
    c->allow_credentials = agw_field_int(n, "allowCredentials", false);
    c->allow_origins = agw_gwapi_texts(t, agw_field(n, "allowOrigins"), &c->n_allow_origins);
    c->allow_methods = agw_gwapi_texts(t, agw_field(n, "allowMethods"), &c->n_allow_methods);
    c->allow_headers = agw_gwapi_texts(t, agw_field(n, "allowHeaders"), &c->n_allow_headers);
    c->expose_headers = agw_gwapi_texts(t, agw_field(n, "exposeHeaders"), &c->n_expose_headers);
    return c;
}

Pb__Retry *agw_gwapi_retry(struct agw_translate *t, const struct agw_node *n)
{
    const struct agw_node *codes = agw_field(n, "codes"), *code;
    Pb__Retry *r = agw_gwapi_new(t, Pb__Retry, pb__retry__init);

    if (!r)
        return NULL;
    r->attempts = (int32_t)agw_field_int(n, "attempts", 1);
    r->backoff = agw_gwapi_duration(t, agw_node_text(n, "backoff"));
    if (!codes || codes->count == 0)
        return r;
    r->retry_status_codes = agw_arena_alloc(&t->arena, codes->count * sizeof(*r->retry_status_codes));
    if (!r->retry_status_codes)
        return NULL;
    agw_node_each (code, codes)
        r->retry_status_codes[r->n_retry_status_codes++] = (int32_t)code->number;
    return r;
}
