/* Matches of HTTPRoutes and GRPCRoutes. */
#include "gwapi/route/route.h"

/* --- matches --- */

static int path_match(struct agw_translate *t, const struct agw_node *path, Pb__PathMatch **ret_match)
{
    struct agw_str type = agw_field_text(path, "type", AGW_STR("PathPrefix"));
    Pb__PathMatch *m = agw_gwapi_new(t, Pb__PathMatch, pb__path_match__init);
    char *value = agw_gwapi_text(t, agw_field_text(path, "value", AGW_STR("/")));

    if (!m)
        return AGW_ENOMEM;
    if (agw_str_eq(type, AGW_STR("Exact"))) {
        m->kind_case = PB__PATH_MATCH__KIND_EXACT;
        m->exact = value;
    } else if (agw_str_eq(type, AGW_STR("RegularExpression"))) {
        m->kind_case = PB__PATH_MATCH__KIND_REGEX;
        m->regex = value;
    } else {
        m->kind_case = PB__PATH_MATCH__KIND_PATH_PREFIX;
        m->path_prefix = value;
    }
    *ret_match = m;
    return 0;
}

/* Of a header that is named twice, in whatever case, only the first counts. */
static bool named_before(const struct agw_node *list, const struct agw_node *item)
{
    const struct agw_node *n;

    for (n = list->first; n != item; n = n->next) {
        if (agw_str_ieq(agw_node_text(n, "name"), agw_node_text(item, "name")))
            return true;
    }
    return false;
}

int agw_gwapi_header_matches(struct agw_translate *t, const struct agw_node *list, Pb__RouteMatch *out)
{
    const struct agw_node *n;

    if (!list || list->count == 0)
        return 0;
    out->headers = agw_gwapi_pointers(t, list->count);
    if (!out->headers)
        return AGW_ENOMEM;
    agw_node_each (n, list) {
        Pb__HeaderMatch *m;

        if (named_before(list, n))
            continue;
        m = agw_gwapi_new(t, Pb__HeaderMatch, pb__header_match__init);
        if (!m)
            return AGW_ENOMEM;
        m->name = agw_gwapi_text(t, agw_node_text(n, "name"));
        m->exact = agw_gwapi_text(t, agw_node_text(n, "value"));
        m->value_case = agw_field_is(n, "type", "RegularExpression") ? PB__HEADER_MATCH__VALUE_REGEX
                                                                     : PB__HEADER_MATCH__VALUE_EXACT;
        out->headers[out->n_headers++] = m;
    }
    return 0;
}

static int query_matches(struct agw_translate *t, const struct agw_node *list, Pb__RouteMatch *out)
{
    const struct agw_node *n;

    if (!list || list->count == 0)
        return 0;
    out->query_params = agw_gwapi_pointers(t, list->count);
    if (!out->query_params)
        return AGW_ENOMEM;
    agw_node_each (n, list) {
        Pb__QueryMatch *m = agw_gwapi_new(t, Pb__QueryMatch, pb__query_match__init);

        if (!m)
            return AGW_ENOMEM;
        m->name = agw_gwapi_text(t, agw_node_text(n, "name"));
        m->exact = agw_gwapi_text(t, agw_node_text(n, "value"));
        m->value_case = agw_field_is(n, "type", "RegularExpression") ? PB__QUERY_MATCH__VALUE_REGEX
                                                                     : PB__QUERY_MATCH__VALUE_EXACT;
        out->query_params[out->n_query_params++] = m;
    }
    return 0;
}

/* |match| may be NULL: everything. */
static int one_match(struct agw_translate *t, const struct agw_node *match, Pb__RouteMatch **ret_match)
{
    Pb__RouteMatch *m = agw_gwapi_new(t, Pb__RouteMatch, pb__route_match__init);
    struct agw_str method = agw_node_text(match, "method");

    if (!m || path_match(t, agw_field(match, "path"), &m->path) ||
        agw_gwapi_header_matches(t, agw_field(match, "headers"), m) ||
        query_matches(t, agw_field(match, "queryParams"), m))
        return AGW_ENOMEM;
    if (method.n) {
        m->method = agw_gwapi_new(t, Pb__MethodMatch, pb__method_match__init);
        if (!m->method)
            return AGW_ENOMEM;
        m->method->exact = agw_gwapi_text(t, method);
    }
    *ret_match = m;
    return 0;
}

typedef int one_match_fn(struct agw_translate *t, const struct agw_node *match, Pb__RouteMatch **ret_match);

/* |one| of each; a rule without any has one that matches everything. */
static int all_matches(struct agw_translate *t, const struct agw_node *rule, one_match_fn *one,
                       Pb__RouteMatch ***ret_matches, size_t *ret_count)
{
    const struct agw_node *list = agw_field(rule, "matches"), *n;
    size_t count = list && list->count ? list->count : 1, i = 0;
    Pb__RouteMatch **matches = agw_gwapi_pointers(t, count);

    if (!matches)
        return AGW_ENOMEM;
    if (!list || list->count == 0) {
        if (one(t, NULL, &matches[0]))
            return AGW_ENOMEM;
    }
    agw_node_each (n, list) {
        if (one(t, n, &matches[i++]))
            return AGW_ENOMEM;
    }
    *ret_matches = matches;
    *ret_count = count;
    return 0;
}

int agw_gwapi_matches(struct agw_translate *t, const struct agw_node *rule, Pb__RouteMatch ***ret_matches,
                      size_t *ret_count)
{
    return all_matches(t, rule, one_match, ret_matches, ret_count);
}

/* --- GRPCRoute: a method's name is the path of its requests, /service/method --- */
/* A service or a method that a match leaves open. */
#define ANY_NAME "[^/]+"

/* Where the order of routes is by path kind and then by the path's length, these come out as GRPCRoute wants
 * it: both named, the longest service, the longest method, anything. */
static void set_path(struct agw_translate *t, struct agw_str service, struct agw_str method, Pb__PathMatch *m)
{
    if (service.n && method.n) {
        m->kind_case = PB__PATH_MATCH__KIND_EXACT;
        m->exact = agw_gwapi_printf(t, "/%.*s/%.*s", AGW_STRF(service), AGW_STRF(method));
    } else if (service.n) {
        m->kind_case = PB__PATH_MATCH__KIND_PATH_PREFIX;
        m->path_prefix = agw_gwapi_printf(t, "/%.*s", AGW_STRF(service));
    } else {
        m->kind_case = PB__PATH_MATCH__KIND_REGEX;
        m->regex = method.n ? agw_gwapi_printf(t, "/" ANY_NAME "/%.*s", AGW_STRF(method))
                            : agw_gwapi_text(t, AGW_STR("/.*"));
    }
}

static int set_regex(struct agw_translate *t, struct agw_str service, struct agw_str method, Pb__PathMatch *m)
{
    struct agw_str text =
        agw_arena_printf(&t->arena, "/(?:%.*s)/(?:%.*s)", AGW_STRF(service.n ? service : AGW_STR(ANY_NAME)),
                         AGW_STRF(method.n ? method : AGW_STR(ANY_NAME)));

    if (!text.p)
        return AGW_ENOMEM;
    m->kind_case = PB__PATH_MATCH__KIND_REGEX;
    m->regex = (char *)text.p;
    return 0;
}

/* |match| may be NULL: everything. */
static int one_grpc_match(struct agw_translate *t, const struct agw_node *match, Pb__RouteMatch **ret_match)
{
    Pb__RouteMatch *m = agw_gwapi_new(t, Pb__RouteMatch, pb__route_match__init);
    Pb__PathMatch *path = agw_gwapi_new(t, Pb__PathMatch, pb__path_match__init);
    const struct agw_node *n = agw_field(match, "method");
    struct agw_str service = agw_node_text(n, "service"), method = agw_node_text(n, "method");

    if (!m || !path)
        return AGW_ENOMEM;
    if (!agw_field_is(n, "type", "RegularExpression"))
        set_path(t, service, method, path);
    else if (set_regex(t, service, method, path))
        return AGW_ENOMEM;
    m->path = path;
    *ret_match = m;
    return agw_gwapi_header_matches(t, agw_field(match, "headers"), m);
}

int agw_gwapi_grpc_matches(struct agw_translate *t, const struct agw_node *rule,
                           Pb__RouteMatch ***ret_matches, size_t *ret_count)
{
    return all_matches(t, rule, one_grpc_match, ret_matches, ret_count);
}
