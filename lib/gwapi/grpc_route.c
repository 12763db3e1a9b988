/* GRPCRoute matches to route matches: a method's name is the path of its requests, /service/method. */
#include "gwapi/gwapi_int.h"

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
static int one_match(struct agw_translate *t, const struct agw_node *match, Pb__RouteMatch **ret_match)
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
    const struct agw_node *list = agw_field(rule, "matches"), *n;
    size_t count = list && list->count ? list->count : 1, i = 0;
    Pb__RouteMatch **matches = agw_gwapi_pointers(t, count);

    if (!matches)
        return AGW_ENOMEM;
    if (!list || list->count == 0) {
        if (one_match(t, NULL, &matches[0]))
            return AGW_ENOMEM;
    }
    agw_node_each (n, list) {
        if (one_match(t, n, &matches[i++]))
            return AGW_ENOMEM;
    }
    *ret_matches = matches;
    *ret_count = count;
    return 0;
}
