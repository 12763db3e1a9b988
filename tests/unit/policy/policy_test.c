#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "base/check.h"
#include "config/compile/fixture.h"
#include "config/snapshot.h"
#include "failmalloc.h"
#include "policy/table.h"

/* One request through the policies of one route or backend reference. */
struct exchange {
    struct fixture f;
    struct agw_policy_ctx ctx;
    struct agw_msg resp;
    Pb__Route *route;
};

static void begin(struct exchange *x)
{
    *x = (struct exchange){0};
    fx_init(&x->f, agw_policy_table, agw_policy_table_size);
    fx_bind(&x->f, "b", 8080);
    fx_add(&x->f, AGW_RESOURCE_LISTENER, fx_listener(&x->f, "b", "l", ""), NULL);
}

static void traffic(struct exchange *x, Pb__TrafficPolicySpec__KindCase kind, void *message)
{
    fx_route_policy(&x->f, x->route, fx_traffic(&x->f, kind, message));
}

/* Compiles the route and runs the request side. */
static enum agw_verdict request(struct exchange *x, const char *authority, const char *path)
{
    fx_add(&x->f, AGW_RESOURCE_ROUTE, x->route, NULL);
    fx_compile(&x->f);
    const struct agw_listener *l = fx_out_listener(&x->f, "b", "l");
    x->ctx.arena = &x->f.arena;
    x->ctx.req = fx_request(&x->f, "GET", authority, path);
    x->ctx.listener = l;
    x->ctx.port = l->port;
    x->ctx.match = fx_any_match(l);
    x->ctx.route = x->ctx.match->route;
    return agw_policy_request(&x->ctx.route->policies, &x->ctx);
}

static void assert_str(struct agw_str got, const char *want)
{
    if (!agw_str_eq(got, agw_str_c(want)))
        fail_msg("got \"%.*s\", want \"%s\"", AGW_STRF(got), want);
}

static Pb__Header *header(struct fixture *f, const char *name, const char *value)
{
    Pb__Header *h = fx_new(f, &pb__header__descriptor);
    h->name = fx_text(f, name);
    h->value = fx_text(f, value);
    return h;
}

static void test_header_modifier(void **state)
{
    struct exchange x;
    begin(&x);
    struct fixture *f = &x.f;
    x.route = fx_route(f, "l", "r", NULL, 'p', "/");
    Pb__HeaderModifier *m = fx_new(f, &pb__header_modifier__descriptor);
    Pb__Header *set[] = {header(f, "X-Set", " new "), header(f, "Host", "set.example.com")},
               *add[] = {header(f, "X-Add", "b")};
    char *remove[] = {fx_text(f, "X-GONE")};
    m->set = set;
    m->n_set = 2;
    m->add = add;
    m->n_add = 1;
    m->remove = remove;
    m->n_remove = 1;
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER, m);
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_RESPONSE_HEADER_MODIFIER, m);
    assert_int_equal(request(&x, "h", "/"), AGW_CONTINUE);
    assert_str(agw_headers_find(&x.ctx.req->headers, AGW_STR("x-set"))->value, "new");
    assert_str(x.ctx.req->authority, "set.example.com");
    assert_true(x.ctx.host_set);
    agw_msg_init(&x.resp, x.ctx.arena);
    agw_headers_add(&x.resp.headers, AGW_HDR_OTHER, AGW_STR("x-set"), AGW_STR("old1"));
    agw_headers_add(&x.resp.headers, AGW_HDR_OTHER, AGW_STR("x-set"), AGW_STR("old2"));
    agw_headers_add(&x.resp.headers, AGW_HDR_OTHER, AGW_STR("x-add"), AGW_STR("a"));
    agw_headers_add(&x.resp.headers, AGW_HDR_OTHER, AGW_STR("x-gone"), AGW_STR("1"));
    x.ctx.resp = &x.resp;
    agw_policy_response(&x.ctx.route->policies, &x.ctx);
    assert_int_equal(x.resp.headers.n, 3);
    assert_str(agw_headers_find(&x.resp.headers, AGW_STR("x-set"))->value, "new");
    assert_str(x.resp.headers.v[x.resp.headers.n - 1].value, "b"); /* a line of its own */
    assert_null(agw_headers_find(&x.resp.headers, AGW_STR("x-gone")));
    fx_free(f);
}

static void test_bad_headers_are_refused(void **state)
{
    static const struct {
        const char *name, *value;
    } bad[] = {{"x y", "v"},
               {"", "v"},
               {"x", "a\r\nb: c"},
               {"Content-Length", "3"},
               {"transfer-encoding", "chunked"}};
    for (size_t i = 0; i < AGW_ARRAY_LEN(bad); i++) {
        struct exchange x;
        begin(&x);
        x.route = fx_route(&x.f, "l", "r", NULL, 'p', "/");
        traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER,
                fx_set_header(&x.f, bad[i].name, bad[i].value));
        request(&x, "h", "/");
        assert_non_null(fx_note(&x.f, "route/r", "requestHeaderModifier: set"));
        assert_int_equal(x.f.notes.errors, 1);
        fx_free(&x.f);
    }
}

static void test_url_rewrite(void **state)
{
    static const struct {
        const char *match, *prefix, *full, *path, *want;
    } cases[] = {
        {"/strip-prefix", "/", NULL, "/strip-prefix", "/"},
        {"/strip-prefix", "/", NULL, "/strip-prefix/three", "/three"},
        {"/strip-prefix", "", NULL, "/strip-prefix/three?q=1", "/three?q=1"},
        {"/prefix/one", "/one", NULL, "/prefix/one/two", "/one/two"},
        {"/prefix/one/", "/one/", NULL, "/prefix/one/two", "/one/two"},
        {"/prefix/one", "/one", NULL, "/prefix/one?a=b?c", "/one?a=b?c"},
        {"/prefix/one", "/one", NULL, "/prefix/one/", "/one/"},
        {"/", "/v2", NULL, "/x", "/v2/x"},
        {"/full", NULL, "/one", "/full/rest?q", "/one?q"},
        {"/full", NULL, "", "/full/rest", "/"},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct exchange x;
        begin(&x);
        x.route = fx_route(&x.f, "l", "r", NULL, 'p', cases[i].match);
        Pb__UrlRewrite *u = fx_new(&x.f, &pb__url_rewrite__descriptor);
        u->path_case = cases[i].full ? PB__URL_REWRITE__PATH_FULL : PB__URL_REWRITE__PATH_PREFIX;
        u->full = fx_text(&x.f, cases[i].full ? cases[i].full : cases[i].prefix);
        traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_URL_REWRITE, u);
        assert_int_equal(request(&x, "h:80", cases[i].path), AGW_CONTINUE);
        assert_str(x.ctx.req->path, cases[i].want);
        assert_str(x.ctx.req->authority, "h:80");
        fx_free(&x.f);
    }
}

static void test_redirect(void **state)
{
    static const struct {
        const char *scheme, *host;
        unsigned port, status;
        const char *prefix;
        bool tls;
        const char *authority, *path, *want;
        int want_status;
    } cases[] = {
        {"", "", 0, 0, NULL, false, "a.com:8080", "/x?q=1", "http://a.com:8080/x?q=1", 302},
        {"", "b.com", 0, 301, NULL, false, "a.com", "/x", "http://b.com:8080/x", 301},
        {"https", "", 0, 301, NULL, false, "a.com:8080", "/x", "https://a.com/x", 301},
        {"http", "", 0, 0, NULL, true, "a.com", "/x", "http://a.com/x", 302},
        {"https", "", 8443, 0, NULL, false, "a.com", "/x", "https://a.com:8443/x", 302},
        {"https", "", 443, 0, NULL, false, "a.com", "/x", "https://a.com/x", 302},
        {"", "", 80, 308, NULL, false, "a.com", "/x", "http://a.com/x", 308},
        {"", "", 443, 0, NULL, true, "a.com", "/x", "https://a.com/x", 302},
        {"", "", 0, 0, "/new", true, "[::1]:9", "/x/y?z", "https://[::1]:8080/new/y?z", 302},
        {"https", "", 0, 0, NULL, false, "", "/x", "", 400}, /* HTTP/1.0 without Host */
        {"", "b.com", 0, 0, NULL, false, "", "/x", "http://b.com:8080/x", 302},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct exchange x;
        begin(&x);
        x.route = fx_route(&x.f, "l", "r", NULL, 'p', "/x");
        Pb__RequestRedirect *r = fx_new(&x.f, &pb__request_redirect__descriptor);
        r->scheme = fx_text(&x.f, cases[i].scheme);
        r->host = fx_text(&x.f, cases[i].host);
        r->port = cases[i].port;
        r->status = cases[i].status;
        if (cases[i].prefix) {
            r->path_case = PB__REQUEST_REDIRECT__PATH_PREFIX;
            r->prefix = fx_text(&x.f, cases[i].prefix);
        }
        traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_REDIRECT, r);
        x.ctx.tls = cases[i].tls;
        assert_int_equal(request(&x, cases[i].authority, cases[i].path), AGW_RESPOND);
        assert_int_equal(x.ctx.resp->status, cases[i].want_status);
        assert_str(agw_headers_value(&x.ctx.resp->headers, AGW_HDR_LOCATION), cases[i].want);
        fx_free(&x.f);
    }
}

static void add_request(struct exchange *x, const char *name, const char *value)
{
    struct agw_str n = agw_str_c(name);
    agw_headers_add(&x->ctx.req->headers, agw_hdr_lookup(n), n, agw_str_c(value));
}

static char **texts(struct fixture *f, const char *list, size_t *ret_count)
{
    char **out = agw_arena_zalloc(&f->arena, 8 * sizeof(*out));
    struct agw_str rest = agw_str_c(list), part;
    for (*ret_count = 0; *list && agw_str_split(&rest, ' ', &part); (*ret_count)++)
        out[*ret_count] = (char *)agw_arena_str(&f->arena, part).p;
    return out;
}

/* Compiles a CORS policy and sends |method| from |origin|; the head of the answer as the client gets it is in
 * x->ctx.resp afterwards. */
static enum agw_verdict cors(struct exchange *x, const char *origins, const char *names, bool credentials,
                             const char *method, const char *origin)
{
    begin(x);
    x->route = fx_route(&x->f, "l", "r", NULL, 'p', "/");
    Pb__CORS *c = fx_new(&x->f, &pb__cors__descriptor);
    c->allow_origins = texts(&x->f, origins, &c->n_allow_origins);
    c->allow_methods = texts(&x->f, names, &c->n_allow_methods);
    c->allow_headers = texts(&x->f, names, &c->n_allow_headers);
    c->expose_headers = texts(&x->f, "X-1 X-2", &c->n_expose_headers);
    c->allow_credentials = credentials;
    c->max_age = fx_new(&x->f, &google__protobuf__duration__descriptor);
    c->max_age->seconds = 60;
    traffic(x, PB__TRAFFIC_POLICY_SPEC__KIND_CORS, c);
    fx_add(&x->f, AGW_RESOURCE_ROUTE, x->route, NULL);
    fx_compile(&x->f);
    x->ctx.arena = &x->f.arena;
    x->ctx.req = fx_request(&x->f, method, "h", "/");
    x->ctx.match = fx_any_match(fx_out_listener(&x->f, "b", "l"));
    x->ctx.route = x->ctx.match->route;
    if (origin)
        add_request(x, "origin", origin);
    add_request(x, "access-control-request-method", "PUT");
    add_request(x, "access-control-request-headers", "x-a,x-b");
    enum agw_verdict verdict = agw_policy_request(&x->ctx.route->policies, &x->ctx);
    if (verdict == AGW_CONTINUE) {
        agw_msg_init(&x->resp, x->ctx.arena);
        agw_headers_add(&x->resp.headers, AGW_HDR_OTHER, AGW_STR("access-control-allow-origin"),
                        AGW_STR("https://backend.example"));
        x->ctx.resp = &x->resp;
    }
    agw_policy_last(&x->ctx.route->policies, &x->ctx);
    return verdict;
}

static const char *answered(const struct exchange *x, const char *name)
{
    const struct agw_header *h = agw_headers_find(&x->ctx.resp->headers, agw_str_c(name));
    return h ? agw_arena_str((struct agw_arena *)&x->f.arena, h->value).p : "";
}

static void test_cors_origins(void **state)
{
    static const struct {
        const char *origins, *origin, *want;
    } cases[] = {
        {"https://www.foo.com https://*.bar.com", "https://www.foo.com", "https://www.foo.com"},
        {"https://www.foo.com https://*.bar.com", "https://WWW.foo.com", "https://WWW.foo.com"},
        {"https://www.foo.com https://*.bar.com", "https://a.b.bar.com", "https://a.b.bar.com"},
        {"https://*.bar.com", "https://bar.com", ""},
        {"https://*.bar.com", "https://.bar.com", ""},
        {"https://*.bar.com", "http://a.bar.com", ""},
        {"https://*.bar.com", "https://a.bar.com:444", ""},
        {"https://*.bar.com", "https://evil.com/.bar.com", ""},
        {"https://*.bar.com:444", "https://a.bar.com:444", "https://a.bar.com:444"},
        {"https://*", "https://a.b", "https://a.b"},
        {"https://*", "https://a.b:1", ""},
        {"https://foo.com", "https://foo.com.evil", ""},
        {"https://foo.com", "null", ""},
        {"https://foo.com", NULL, ""},
        {"*", "null", "*"},
        {"*", "https://a.b:1", "*"},
        {"*", NULL, ""},
        {"", "https://foo.com", ""},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct exchange x;
        assert_int_equal(cors(&x, cases[i].origins, "GET", false, "GET", cases[i].origin), AGW_CONTINUE);
        assert_string_equal(answered(&x, "access-control-allow-origin"), cases[i].want);
        assert_string_equal(answered(&x, "access-control-expose-headers"), *cases[i].want ? "X-1, X-2" : "");
        assert_string_equal(answered(&x, "access-control-allow-methods"), "");
        assert_string_equal(answered(&x, "vary"), *cases[i].origins == '*' ? "" : "origin");
        fx_free(&x.f);
    }
}

static void test_cors_preflight(void **state)
{
    struct exchange x;
    assert_int_equal(cors(&x, "https://a.b", "GET POST", false, "OPTIONS", "https://a.b"), AGW_RESPOND);
    assert_int_equal(x.ctx.resp->status, 200);
    assert_string_equal(answered(&x, "access-control-allow-origin"), "https://a.b");
    assert_string_equal(answered(&x, "access-control-allow-methods"), "GET, POST");
    assert_string_equal(answered(&x, "access-control-allow-headers"), "GET, POST");
    assert_string_equal(answered(&x, "access-control-max-age"), "60");
    assert_string_equal(answered(&x, "access-control-allow-credentials"), "");
    fx_free(&x.f);
    cors(&x, "*", "*", false, "OPTIONS", "https://a.b");
    assert_string_equal(answered(&x, "access-control-allow-origin"), "*");
    assert_string_equal(answered(&x, "access-control-allow-methods"), "*");
    assert_string_equal(answered(&x, "access-control-allow-headers"), "*");
    fx_free(&x.f);
    cors(&x, "*", "*", true, "OPTIONS", "https://a.b"); /* "*" would be a name then */
    assert_string_equal(answered(&x, "access-control-allow-origin"), "https://a.b");
    assert_string_equal(answered(&x, "access-control-allow-methods"), "PUT");
    assert_string_equal(answered(&x, "access-control-allow-headers"), "x-a,x-b");
    assert_string_equal(answered(&x, "access-control-allow-credentials"), "true");
    fx_free(&x.f);
    assert_int_equal(cors(&x, "https://a.b", "*", true, "OPTIONS", "https://c.d"), AGW_RESPOND);
    assert_int_equal(x.ctx.resp->headers.n, 1); /* Vary alone */
    fx_free(&x.f);
    assert_int_equal(cors(&x, "*", "*", false, "OPTIONS", NULL), AGW_CONTINUE);
    fx_free(&x.f);
}

static void test_bad_cors_is_refused(void **state)
{
    static const char *const bad[][2] = {{"a.b", "GET"},          {"https://a*b*", "GET"},
                                         {"https://", "GET"},     {"*://a.b", "GET"},
                                         {"https://a,b", "GET"},  {"*", "G@T"},
                                         {"https://a.b c", "GET"}};
    for (size_t i = 0; i < AGW_ARRAY_LEN(bad); i++) {
        struct exchange x;
        cors(&x, bad[i][0], bad[i][1], false, "OPTIONS", "https://a.b");
        assert_non_null(fx_note(&x.f, "route/r", "policy cors: allow_"));
        assert_int_equal(fx_backend(&x.f, &x.ctx.route->backends[0])->kind, AGW_BACKEND_INVALID);
        fx_free(&x.f);
    }
}

static void test_bad_specs_are_errors(void **state)
{
    struct exchange x;
    begin(&x);
    x.route = fx_route(&x.f, "l", "r", NULL, 'p', "/");
    Pb__RequestRedirect *r = fx_new(&x.f, &pb__request_redirect__descriptor);
    r->status = 200;
    Pb__UrlRewrite *u = fx_new(&x.f, &pb__url_rewrite__descriptor);
    u->path_case = PB__URL_REWRITE__PATH_FULL;
    u->full = fx_text(&x.f, "/a b");
    Pb__DirectResponse *d = fx_new(&x.f, &pb__direct_response__descriptor);
    d->status = 600;
    Pb__Timeout *t = fx_new(&x.f, &pb__timeout__descriptor);
    t->request = fx_new(&x.f, &google__protobuf__duration__descriptor);
    t->request->seconds = -1;
    Pb__Retry *again = fx_new(&x.f, &pb__retry__descriptor);
    int32_t status = 399;
    again->retry_status_codes = &status;
    again->n_retry_status_codes = 1;
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_RETRY, again);
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_REDIRECT, r);
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_URL_REWRITE, u);
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_DIRECT_RESPONSE, d);
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_TIMEOUT, t);
    assert_int_equal(request(&x, "h", "/"), AGW_CONTINUE); /* nothing runs: the route is refused */
    assert_int_equal(x.f.notes.errors, 5);
    assert_int_equal(fx_backend(&x.f, &x.ctx.route->backends[0])->kind, AGW_BACKEND_INVALID);
    fx_free(&x.f);
}

static void test_delay(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {{"250", 250},        {"250ms", 250},    {"1m30s", 90000}, {"0", 0},
                 {"0s", 0},           {"", -1},          {"soon", -1},     {"1.5s", -1},
                 {"duration(1)", -1}, {"1s 1s", -1},     {"-1", -1},       {"1h1s", -1},
                 {" 1h ", 3600000},   {"123456789", -1}, {"1s5", -1}};
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct exchange x;
        begin(&x);
        x.route = fx_route(&x.f, "l", "r", NULL, 'p', "/");
        Pb__Delay *d = fx_new(&x.f, &pb__delay__descriptor);
        d->duration = fx_text(&x.f, cases[i].text);
        Pb__DirectResponse *after = fx_new(&x.f, &pb__direct_response__descriptor);
        after->status = 204;
        traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_DELAY, d);
        traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_DIRECT_RESPONSE, after);
        enum agw_verdict v = request(&x, "h", "/");
        if (x.f.notes.errors != (cases[i].ms < 0))
            fail_msg("\"%s\"", cases[i].text);
        if (cases[i].ms > 0) {
            assert_int_equal(v, AGW_WAIT);
            assert_int_equal(x.ctx.wait_ms, cases[i].ms);
            v = agw_policy_request(&x.ctx.route->policies, &x.ctx); /* goes on behind it */
        }
        assert_int_equal(v, cases[i].ms < 0 ? AGW_CONTINUE : AGW_RESPOND);
        assert_int_equal(x.ctx.resume, 0);
        fx_free(&x.f);
    }
}

static void test_retry(void **state)
{
    struct exchange x;
    begin(&x);
    x.route = fx_route(&x.f, "l", "r", NULL, 'p', "/");
    Pb__Retry *r = fx_new(&x.f, &pb__retry__descriptor);
    int32_t codes[] = {400, 463, 464, 503, 599};
    r->retry_status_codes = codes;
    r->n_retry_status_codes = AGW_ARRAY_LEN(codes);
    r->attempts = 3;
    r->backoff = fx_new(&x.f, &google__protobuf__duration__descriptor);
    r->backoff->nanos = 5000000;
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_RETRY, r);
    assert_int_equal(request(&x, "h", "/"), AGW_CONTINUE);
    assert_int_equal(x.ctx.retry->attempts, 3);
    assert_int_equal(x.ctx.retry->backoff_ms, 5);
    unsigned found = 0;
    for (int status = 100; status < 1000; status++)
        found += agw_retry_has(x.ctx.retry, status);
    for (size_t i = 0; i < AGW_ARRAY_LEN(codes); i++)
        assert_true(agw_retry_has(x.ctx.retry, codes[i]));
    assert_int_equal(found, AGW_ARRAY_LEN(codes));
    fx_free(&x.f);
    for (int i = 0; i < 3; i++) { /* neither is left out in silence */
        begin(&x);
        x.route = fx_route(&x.f, "l", "r", NULL, 'p', "/");
        r = fx_new(&x.f, &pb__retry__descriptor);
        r->condition = fx_text(&x.f, i == 0 ? "true" : "");
        r->precondition = fx_text(&x.f, i == 1 ? "true" : "");
        r->attempts = i == 2 ? -1 : 1;
        traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_RETRY, r);
        request(&x, "h", "/");
        assert_int_equal(x.f.notes.errors, 1);
        assert_non_null(fx_note(&x.f, "route/r", "policy retry: "));
        fx_free(&x.f);
    }
}

static Pb__RequestMirrors *mirror_to(struct fixture *f, const char *backend, double percentage)
{
    Pb__RequestMirrors *all = fx_new(f, &pb__request_mirrors__descriptor);
    Pb__RequestMirrors__Mirror *m = fx_new(f, &pb__request_mirrors__mirror__descriptor);
    m->percentage = percentage;
    m->backend = fx_new(f, &pb__backend_reference__descriptor);
    m->backend->kind_case = PB__BACKEND_REFERENCE__KIND_BACKEND;
    m->backend->backend = fx_text(f, backend);
    all->mirrors = agw_arena_copy(&f->arena, &m, sizeof(struct agw_backend *));
    all->n_mirrors = 1;
    return all;
}

static void test_mirrors(void **state)
{
    struct exchange x;
    begin(&x);
    struct fixture *f = &x.f;
    fx_add(f, AGW_RESOURCE_BACKEND, fx_static(f, "ns", "b", "127.0.0.1", 80), NULL);
    fx_add(f, AGW_RESOURCE_BACKEND, fx_static(f, "ns", "copy", "127.0.0.1", 81), NULL);
    x.route = fx_route(f, "l", "r", NULL, 'p', "/");
    Pb__RouteBackend *ref = fx_ref(f, x.route, "ns/b", 1);
    Pb__BackendPolicySpec *own = fx_backend_policy(f, PB__BACKEND_POLICY_SPEC__KIND_REQUEST_MIRROR,
                                                   mirror_to(f, "ns/missing", 33.3333));
    ref->backend_policies = &own;
    ref->n_backend_policies = 1;
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_MIRROR, mirror_to(f, "ns/copy", 100));
    assert_int_equal(request(&x, "h", "/"), AGW_CONTINUE);
    const struct agw_route *r = x.ctx.route;
    assert_int_equal(r->mirrors.count, 1);
    assert_int_equal(r->mirrors.v[0].share, AGW_MIRROR_ALL);
    assert_str(agw_snapshot_backend(f->snap, r->mirrors.v[0].backend)->name, "ns/copy");
    assert_int_equal(r->backends[0].mirrors.count, 1);
    assert_int_equal(r->backends[0].mirrors.v[0].share, 333333);
    assert_int_equal(agw_snapshot_backend(f->snap, r->backends[0].mirrors.v[0].backend)->kind,
                     AGW_BACKEND_INVALID);
    assert_int_equal(fx_backend(f, &r->backends[0])->kind, AGW_BACKEND_STATIC);
    fx_free(f);
    begin(&x); /* a share that is none */
    x.route = fx_route(f, "l", "r", NULL, 'p', "/");
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_MIRROR, mirror_to(f, "ns/copy", 101));
    request(&x, "h", "/");
    assert_non_null(fx_note(f, "route/r", "policy requestMirror: mirrors[0]: percentage 101"));
    assert_int_equal(x.ctx.route->mirrors.count, 0);
    fx_free(f);
    begin(&x); /* a place where mirrors are not served */
    Pb__Backend *b = fx_static(f, "ns", "b", "127.0.0.1", 80);
    own = fx_backend_policy(f, PB__BACKEND_POLICY_SPEC__KIND_REQUEST_MIRROR, mirror_to(f, "ns/copy", 1));
    b->inline_policies = &own;
    b->n_inline_policies = 1;
    fx_add(f, AGW_RESOURCE_BACKEND, b, NULL);
    x.route = fx_route(f, "l", "r", NULL, 'p', "/");
    fx_ref(f, x.route, "ns/b", 1);
    request(&x, "h", "/");
    assert_non_null(fx_note(f, "backend/ns/b", "no effect here"));
    assert_int_equal(x.f.notes.errors, 0);
    fx_free(f);
}

static void test_direct_response_and_timeout(void **state)
{
    struct exchange x;
    begin(&x);
    x.route = fx_route(&x.f, "l", "r", NULL, 'p', "/");
    Pb__DirectResponse *d = fx_new(&x.f, &pb__direct_response__descriptor);
    d->status = 503;
    d->body = (ProtobufCBinaryData){4, (uint8_t *)fx_text(&x.f, "shut")};
    Pb__Timeout *t = fx_new(&x.f, &pb__timeout__descriptor);
    t->request = fx_new(&x.f, &google__protobuf__duration__descriptor);
    t->request->nanos = 500000001;
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_DIRECT_RESPONSE, d);
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_TIMEOUT, t);
    assert_int_equal(request(&x, "h", "/"), AGW_RESPOND);
    assert_int_equal(x.ctx.resp->status, 503);
    assert_int_equal(x.ctx.resp->length, 4);
    assert_str(x.ctx.resp_body, "shut");
    assert_int_equal(x.ctx.route->request_timeout_ms, 501);
    assert_int_equal(x.ctx.route->backend_timeout_ms, 0);
    fx_free(&x.f);
}

/* AUTO is the default; NONE, a rewrite or a set Host keep it from happening. */
static void test_host_of_named_backends(void **state)
{
    for (int kept = 0; kept < 2; kept++) {
        struct exchange x;
        begin(&x);
        fx_add(&x.f, AGW_RESOURCE_BACKEND, fx_static(&x.f, "ns", "b", "up.example.com", 80), NULL);
        x.route = fx_route(&x.f, "l", "r", NULL, 'p', "/");
        fx_ref(&x.f, x.route, "ns/b", 1);
        if (kept)
            traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_HOST_REWRITE,
                    fx_new(&x.f, &pb__traffic_policy_spec__host_rewrite__descriptor));
        assert_int_equal(request(&x, "client.example.com", "/"), AGW_CONTINUE);
        x.ctx.backend = fx_backend(&x.f, &x.ctx.route->backends[0]);
        assert_int_equal(agw_policy_request(&x.ctx.backend->policies, &x.ctx), AGW_CONTINUE);
        assert_str(x.ctx.req->authority, kept ? "client.example.com" : "up.example.com");
        fx_free(&x.f);
    }
}

static const struct agw_backend *with_backend_policy(struct exchange *x, Pb__BackendPolicySpec__KindCase kind,
                                                     void *message)
{
    Pb__Backend *b = fx_static(&x->f, "ns", "b", "up.example.com", 8443);
    Pb__BackendPolicySpec *spec = fx_backend_policy(&x->f, kind, message);
    b->inline_policies = &spec;
    b->n_inline_policies = 1;
    fx_add(&x->f, AGW_RESOURCE_BACKEND, b, NULL);
    x->route = fx_route(&x->f, "l", "r", NULL, 'p', "/");
    fx_ref(&x->f, x->route, "ns/b", 1);
    assert_int_equal(request(x, "h", "/"), AGW_CONTINUE);
    return x->ctx.backend = fx_backend(&x->f, &x->ctx.route->backends[0]);
}

static void test_backend_http(void **state)
{
    struct exchange x;
    begin(&x);
    Pb__BackendPolicySpec__BackendHTTP *h = fx_new(&x.f, &pb__backend_policy_spec__backend_http__descriptor);
    h->version = PB__BACKEND_POLICY_SPEC__BACKEND_HTTP__HTTP_VERSION__HTTP2;
    h->request_timeout = fx_new(&x.f, &google__protobuf__duration__descriptor);
    h->request_timeout->seconds = 3;
    const struct agw_backend *b = with_backend_policy(&x, PB__BACKEND_POLICY_SPEC__KIND_BACKEND_HTTP, h);
    assert_int_equal(b->endpoints[0]->http, AGW_UPSTREAM_HTTP2);
    x.ctx.backend_timeout_ms = 5000;
    assert_int_equal(agw_policy_request(&b->policies, &x.ctx), AGW_CONTINUE);
    assert_int_equal(x.ctx.backend_timeout_ms, 3000);
    fx_free(&x.f);
}

static void test_backend_tls(void **state)
{
    struct exchange x;
    begin(&x);
    Pb__BackendPolicySpec__BackendTLS *t = fx_new(&x.f, &pb__backend_policy_spec__backend_tls__descriptor);
    t->verification = PB__BACKEND_POLICY_SPEC__BACKEND_TLS__VERIFICATION_MODE__INSECURE_ALL;
    const struct agw_backend *b = with_backend_policy(&x, PB__BACKEND_POLICY_SPEC__KIND_BACKEND_TLS, t);
    assert_int_equal(b->kind, AGW_BACKEND_STATIC);
    assert_non_null(b->endpoints[0]->tls);
    assert_int_equal(b->endpoints[0]->http, AGW_UPSTREAM_ALPN);
    fx_free(&x.f);
}

static void test_bad_backend_tls_never_falls_back(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct exchange x;
        begin(&x);
        Pb__BackendPolicySpec__BackendTLS *t =
            fx_new(&x.f, &pb__backend_policy_spec__backend_tls__descriptor);
        Pb__TLSConfig__KeyExchangeGroup group = 77;
        t->_root_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___ROOT_ROOT;
        t->root = (ProtobufCBinaryData){4, (uint8_t *)fx_text(&x.f, "junk")}; /* 0: bad roots */
        if (i == 1)
            t->root.len = 0;
        if (i == 2)
            t->verification = 77;
        if (i == 3) {
            t->root.len = 0;
            t->_root_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___ROOT__NOT_SET;
            t->key_exchange_groups = &group;
            t->n_key_exchange_groups = 1;
        }
        const struct agw_backend *b = with_backend_policy(&x, PB__BACKEND_POLICY_SPEC__KIND_BACKEND_TLS, t);
        assert_int_equal(b->kind, AGW_BACKEND_INVALID);
        assert_int_equal(b->endpoint_count, 0);
        assert_int_equal(x.f.notes.errors,
                         i != 1); /* no roots at all: a reference of somebody's leads nowhere */
        assert_int_equal(x.f.notes.warnings, i == 1);
        fx_free(&x.f);
    }
}

static void test_out_of_memory_answers(void **state)
{
    struct exchange x;
    begin(&x);
    x.route = fx_route(&x.f, "l", "r", NULL, 'p', "/x");
    Pb__RequestRedirect *r = fx_new(&x.f, &pb__request_redirect__descriptor);
    r->path_case = PB__REQUEST_REDIRECT__PATH_PREFIX;
    r->prefix = fx_text(&x.f, "/y");
    traffic(&x, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_REDIRECT, r);
    request(&x, "h", "/x");
    for (long at = 1;; at++) {
        struct agw_arena small;
        agw_arena_init(&small, 256, 0);
        x.ctx.arena = &small;
        failmalloc_at(at);
        enum agw_verdict v = agw_policy_request(&x.ctx.route->policies, &x.ctx);
        bool reached = failmalloc_count() >= at;
        failmalloc_at(0);
        assert_int_equal(v, AGW_RESPOND);
        assert_int_equal(x.ctx.resp == NULL, reached);
        agw_arena_free(&small);
        if (!reached)
            break;
    }
    fx_free(&x.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_modifier),
        cmocka_unit_test(test_bad_headers_are_refused),
        cmocka_unit_test(test_url_rewrite),
        cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_cors_origins),
        cmocka_unit_test(test_cors_preflight),
        cmocka_unit_test(test_bad_cors_is_refused),
        cmocka_unit_test(test_bad_specs_are_errors),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_mirrors),
        cmocka_unit_test(test_direct_response_and_timeout),
        cmocka_unit_test(test_host_of_named_backends),
        cmocka_unit_test(test_backend_http),
        cmocka_unit_test(test_backend_tls),
        cmocka_unit_test(test_bad_backend_tls_never_falls_back),
        cmocka_unit_test(test_out_of_memory_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
