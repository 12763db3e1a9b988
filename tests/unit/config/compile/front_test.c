/* Frontend policies about HTTP and TCP: which one counts, and what it may say. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "config/compile/fixture.h"
#include "failmalloc.h"

static Pb__Policy *made[8];
static unsigned made_count;

/* A frontend policy of gateway ns/gw, or of its |port| or |listener|, to be filled before compile(). */
static Pb__FrontendPolicySpec *add(struct fixture *f, const char *key, unsigned port, const char *listener)
{
    Pb__Policy *p = fx_new(f, &pb__policy__descriptor);
    Pb__PolicyTarget__GatewayTarget *to = fx_new(f, &pb__policy_target__gateway_target__descriptor);
    p->key = fx_text(f, key);
    p->target = fx_new(f, &pb__policy_target__descriptor);
    p->target->kind_case = PB__POLICY_TARGET__KIND_GATEWAY;
    p->target->gateway = to;
    to->name = fx_text(f, "gw");
    to->namespace_ = fx_text(f, "ns");
    if (port) {
        to->_port_case = PB__POLICY_TARGET__GATEWAY_TARGET___PORT_PORT;
        to->port = port;
    }
    if (listener) {
        to->_listener_case = PB__POLICY_TARGET__GATEWAY_TARGET___LISTENER_LISTENER;
        to->listener = fx_text(f, listener);
    }
    p->kind_case = PB__POLICY__KIND_FRONTEND;
    p->frontend = fx_new(f, &pb__frontend_policy_spec__descriptor);
    made[made_count++] = p;
    return p->frontend;
}

static Pb__FrontendPolicySpec__HTTP *http(struct fixture *f, Pb__FrontendPolicySpec *spec, unsigned headers)
{
    Pb__FrontendPolicySpec__HTTP *h = fx_new(f, &pb__frontend_policy_spec__http__descriptor);
    h->_http1_max_headers_case = PB__FRONTEND_POLICY_SPEC__HTTP___HTTP1_MAX_HEADERS_HTTP1_MAX_HEADERS;
    h->http1_max_headers = headers;
    spec->kind_case = PB__FRONTEND_POLICY_SPEC__KIND_HTTP;
    spec->http = h;
    return h;
}

static Google__Protobuf__Duration *seconds(struct fixture *f, int s)
{
    Google__Protobuf__Duration *d = fx_new(f, &google__protobuf__duration__descriptor);
    d->seconds = s;
    return d;
}

static void compile(struct fixture *f)
{
    while (made_count > 0)
        fx_add(f, AGW_RESOURCE_POLICY, made[--made_count], NULL);
    fx_compile(f);
}

static void begin(struct fixture *f)
{
    fx_init(f, NULL, 0);
    fx_bind(f, "plain", 80);
    Pb__Bind *b = fx_new(f, &pb__bind__descriptor);
    b->key = fx_text(f, "tls");
    b->port = 443;
    b->protocol = PB__BIND__PROTOCOL__TLS;
    fx_add(f, AGW_RESOURCE_BIND, b, NULL);
    fx_add(f, AGW_RESOURCE_LISTENER, fx_listener(f, "plain", "p", ""), NULL);
    Pb__Listener *l = fx_listener(f, "tls", "t", "");
    l->protocol = PB__PROTOCOL__HTTPS;
    l->tls = fx_new(f, &pb__tlsconfig__descriptor);
    fx_add(f, AGW_RESOURCE_LISTENER, l, NULL);
}

static const struct agw_front *plain(const struct fixture *f)
{
    return &agw_snapshot_bind(f->snap, AGW_STR("plain"))->front;
}

static void test_the_closest_counts(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    http(&f, add(&f, "a", 0, NULL), 10);
    http(&f, add(&f, "b", 80, NULL), 20);
    http(&f, add(&f, "c", 0, "p"), 30);
    http(&f, add(&f, "d", 0, "t"), 40);
    compile(&f);
    assert_int_equal(plain(&f)->h1_headers, 20); /* the listener of a plain connection is not known */
    assert_int_equal(fx_out_listener(&f, "tls", "t")->front.h1_headers, 40);
    assert_int_equal(f.notes.errors, 0);
    fx_free(&f);
}

static void test_all_fields(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    Pb__FrontendPolicySpec__HTTP *h = http(&f, add(&f, "a", 0, NULL), 10);
    h->_max_buffer_size_case = PB__FRONTEND_POLICY_SPEC__HTTP___MAX_BUFFER_SIZE_MAX_BUFFER_SIZE;
    h->max_buffer_size = 1;
    h->_http2_window_size_case = PB__FRONTEND_POLICY_SPEC__HTTP___HTTP2_WINDOW_SIZE_HTTP2_WINDOW_SIZE;
    h->http2_window_size = 2;
    h->_http2_connection_window_size_case =
        PB__FRONTEND_POLICY_SPEC__HTTP___HTTP2_CONNECTION_WINDOW_SIZE_HTTP2_CONNECTION_WINDOW_SIZE;
    h->http2_connection_window_size = 3;
    h->_http2_frame_size_case = PB__FRONTEND_POLICY_SPEC__HTTP___HTTP2_FRAME_SIZE_HTTP2_FRAME_SIZE;
    h->http2_frame_size = 20000;
    h->_http2_max_header_size_case =
        PB__FRONTEND_POLICY_SPEC__HTTP___HTTP2_MAX_HEADER_SIZE_HTTP2_MAX_HEADER_SIZE;
    h->http2_max_header_size = 4;
    h->http1_idle_timeout = seconds(&f, 5);
    h->http2_keepalive_interval = seconds(&f, 6);
    h->http2_keepalive_timeout = seconds(&f, 7);
    h->max_connection_duration = seconds(&f, 8);
    compile(&f);
    const struct agw_front *got = plain(&f);
    assert_int_equal(got->buffer_max, 1);
    assert_int_equal(got->h2_window, 2);
    assert_int_equal(got->h2_conn_window, 3);
    assert_int_equal(got->h2_frame, 20000);
    assert_int_equal(got->h2_header_list, 4);
    assert_int_equal(got->h1_idle_ms, 5000);
    assert_int_equal(got->h2_ping_ms, 6000);
    assert_int_equal(got->h2_pong_ms, 7000);
    assert_int_equal(got->duration_ms, 8000);
    assert_int_equal(f.notes.errors, 0);
    fx_free(&f);
}

static void test_out_of_bounds(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    Pb__FrontendPolicySpec__HTTP *h = http(&f, add(&f, "a", 80, NULL), 5000);
    h->_http2_frame_size_case = PB__FRONTEND_POLICY_SPEC__HTTP___HTTP2_FRAME_SIZE_HTTP2_FRAME_SIZE;
    h->http2_frame_size = 100;
    h->http1_header_case = PB__FRONTEND_POLICY_SPEC__HTTP__HTTPHEADER_CASE__PRESERVE;
    compile(&f);
    assert_int_equal(plain(&f)->h1_headers, 4096);
    assert_int_equal(plain(&f)->h2_frame, 16384);
    assert_non_null(fx_note(&f, "policy/a", "http1_max_headers: 5000 is not from 1 to 4096: taken as 4096"));
    assert_non_null(fx_note(&f, "policy/a", "http2_frame_size"));
    assert_true(plain(&f)->h1_keep_case);
    fx_free(&f);
}

static void test_keepalives(void **state)
{
    struct fixture f;
    (void)state;
    for (unsigned retries = 3; retries < 300; retries += 200) {
        begin(&f);
        Pb__FrontendPolicySpec *spec = add(&f, "a", 0, NULL);
        Pb__KeepaliveConfig *k = fx_new(&f, &pb__keepalive_config__descriptor);
        k->time = seconds(&f, 9);
        k->interval = seconds(&f, 100000);
        k->_retries_case = PB__KEEPALIVE_CONFIG___RETRIES_RETRIES;
        k->retries = retries;
        spec->kind_case = PB__FRONTEND_POLICY_SPEC__KIND_TCP;
        spec->tcp = fx_new(&f, &pb__frontend_policy_spec__tcp__descriptor);
        spec->tcp->keepalives = k;
        compile(&f);
        const struct agw_keepalive *got = &agw_snapshot_bind(f.snap, AGW_STR("tls"))->keepalive;
        assert_int_equal(got->on, retries == 3);
        assert_int_equal(got->idle_s, got->on ? 9 : 0);
        assert_int_equal(got->interval_s, got->on ? AGW_KEEPALIVE_MAX_S : 0);
        assert_int_equal(got->probes, got->on ? 3 : 0);
        assert_int_equal(fx_note(&f, "policy/a", "tcp: keepalives.retries 203 is more than 127") != NULL,
                         !got->on);
        fx_free(&f);
    }
}

static void test_without_memory(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    http(&f, add(&f, "a", 0, NULL), 5000);
    http(&f, add(&f, "d", 0, "t"), 40);
    compile(&f);
    for (long at = 1;; at++) {
        struct agw_snapshot *snap = NULL;
        struct agw_compile_options none = {0};
        failmalloc_at(at);
        struct agw_compiler *c = agw_compiler_new(&none);
        int code = c ? agw_compiler_run(c, f.store, 0, &snap, &f.notes) : AGW_ENOMEM;
        bool reached = failmalloc_count() >= at;
        failmalloc_at(0);
        assert_true(code == 0 || code == AGW_ENOMEM);
        agw_snapshot_free(snap);
        agw_compiler_free(c);
        if (!reached)
            break;
    }
    fx_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_closest_counts), cmocka_unit_test(test_all_fields),
        cmocka_unit_test(test_out_of_bounds),      cmocka_unit_test(test_keepalives),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
