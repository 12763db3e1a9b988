/* The client against our own server, over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "xds/client.h"
#include "xds/server.h"

#define WAIT_MS 20000

struct control {
    struct agw_xds_server *server;
    uint16_t port;
    char token[64];         /* the last `authorization` seen */
    const char *want;       /* refused without it; NULL: everybody may */
    _Atomic unsigned tries; /* streams that asked to be let in */
    char nack[256];
    pthread_mutex_t mutex;
};

struct data { /* a data plane */
    struct agw_xds_client *client;
    pthread_t thread;
    char address[64];
    _Atomic unsigned updates, items, removals, opened, gone;
    const char *_Atomic refuse; /* name to answer with an error */
};

/* --- the control plane --- */
static int authorize(void *arg, struct agw_str authorization, struct agw_str role, struct agw_error *err)
{
    struct control *c = arg;
    atomic_fetch_add(&c->tries, 1);
    pthread_mutex_lock(&c->mutex);
    snprintf(c->token, sizeof(c->token), "%.*s", AGW_STRF(authorization));
    pthread_mutex_unlock(&c->mutex);
    assert_true(agw_str_eq(role, AGW_STR("ns~gw")));
    bool welcome = !c->want || agw_str_eq(authorization, agw_str_c(c->want));
    return welcome ? 0 : agw_error_set(err, AGW_EREFUSED, "who are you?");
}

static void on_nack(void *arg, const struct agw_delta_nack *nack)
{
    struct control *c = arg;
    pthread_mutex_lock(&c->mutex);
    snprintf(c->nack, sizeof(c->nack), "%.*s", AGW_STRF(nack->message));
    pthread_mutex_unlock(&c->mutex);
}

static void publish(struct control *c, const char *name, const char *body)
{
    struct agw_error err = {0};
    struct agw_delta_server *d = agw_xds_server_lock(c->server);
    int code = agw_delta_server_put(d, AGW_DELTA_RESOURCE, AGW_STR(""), agw_str_c(name), agw_str_c(body),
                                    NULL, &err);
    agw_xds_server_unlock(c->server);
    assert_int_equal(code, 0);
}

/* On c->port; 0: any. Publishes two resources. */
static void control_start(struct control *c)
{
    struct agw_error err = {0};
    struct agw_xds_server_options o = {.authorize = authorize, .nack = on_nack, .arg = c};
    assert_int_equal(agw_addr_ip(AGW_STR("127.0.0.1"), c->port, &o.address), 0);
    if (agw_xds_server_new(&o, &c->server, &err))
        fail_msg("%s", err.text);
    publish(c, "route/a", "1");
    publish(c, "route/b", "1");
    if (agw_xds_server_start(c->server, &err))
        fail_msg("%s", err.text);
    c->port = agw_xds_server_port(c->server);
}

static void control_init(struct control *c, const char *want)
{
    *c = (struct control){.want = want};
    pthread_mutex_init(&c->mutex, NULL);
    control_start(c);
}

static void control_stop(struct control *c)
{
    agw_xds_server_free(c->server);
    c->server = NULL;
}

/* --- the data plane --- */
static int on_update(void *ctx, const struct agw_delta_update *u, struct agw_delta_answer *a)
{
    struct data *d = ctx;
    const char *refuse = atomic_load(&d->refuse);
    for (size_t i = 0; i < u->item_count; i++)
        if (refuse && agw_str_eq(u->items[i].name, agw_str_c(refuse)))
            agw_delta_answer_error(a, u->items[i].name, AGW_STR("no"));
    atomic_fetch_add(&d->items, (unsigned)u->item_count);
    atomic_fetch_add(&d->removals, (unsigned)u->removed_count);
    atomic_fetch_add(&d->updates, 1);
    return 0;
}

static void on_stream(void *ctx, bool connected, const char *why)
{
    struct data *d = ctx;
    assert_non_null(why);
    atomic_fetch_add(connected ? &d->opened : &d->gone, 1);
}

static uint64_t on_tick(void *ctx, uint64_t now_ns)
{
    return UINT64_MAX;
}

static void *data_main(void *arg)
{
    agw_xds_client_run(((struct data *)arg)->client);
    return NULL;
}

static void data_start(struct data *d, uint16_t port, const char *token)
{
    static const struct agw_xds_client_events events = {on_update, on_stream, on_tick};
    struct agw_error err = {0};
    *d = (struct data){.refuse = NULL};
    snprintf(d->address, sizeof(d->address), "http://127.0.0.1:%u", port);
    struct agw_xds_client_conf conf = {
        .address = d->address, .token = token, .node = {.ns = "ns", .gateway = "gw"}};
    d->client = agw_xds_client_new(&conf, &events, d, &err);
    if (!d->client)
        fail_msg("%s", err.text);
    assert_int_equal(pthread_create(&d->thread, NULL, data_main, d), 0);
}

static void data_stop(struct data *d)
{
    agw_xds_client_stop(d->client);
    pthread_join(d->thread, NULL);
    agw_xds_client_free(d->client);
}

static void await(_Atomic unsigned *value, unsigned at_least)
{
    for (int ms = 0; atomic_load(value) < at_least; ms++) {
        if (ms == WAIT_MS)
            fail_msg("%u, not %u", atomic_load(value), at_least);
        usleep(1000);
    }
}

static void await_text(struct control *c, const char *text, const char *want)
{
    for (int ms = 0;; ms++) {
        pthread_mutex_lock(&c->mutex);
        bool there = strcmp(text, want) == 0;
        pthread_mutex_unlock(&c->mutex);
        if (there)
            return;
        if (ms == WAIT_MS)
            fail_msg("\"%s\" never came", want);
        usleep(1000);
    }
}

static void await_acks(struct control *c, uint64_t count)
{
    struct agw_delta_stats stats = {0};
    for (int ms = 0; stats.acks < count; ms++) {
        agw_xds_server_stats(c->server, &stats);
        if (ms == WAIT_MS)
            fail_msg("%llu ACKs", (unsigned long long)stats.acks);
        usleep(1000);
    }
}

/* --- tests --- */
static void test_updates_and_answers(void **state)
{
    struct control c;
    struct data d;
    control_init(&c, NULL);
    data_start(&d, c.port, NULL);
    await_acks(&c, 2);
    assert_int_equal(atomic_load(&d.items), 2);
    assert_int_equal(atomic_load(&d.opened), 1);
    publish(&c, "route/a", "2");
    await_acks(&c, 3);
    assert_int_equal(atomic_load(&d.items), 3);
    atomic_store(&d.refuse, "route/b");
    publish(&c, "route/b", "2");
    await_text(&c, c.nack, "[{\"key\":\"route/b\",\"error\":\"no\"}]");
    data_stop(&d);
    control_stop(&c);
}

/* What was accepted is not sent again after a restart; what was refused is. */
static void test_a_restarted_control_plane(void **state)
{
    struct control c;
    struct data d;
    control_init(&c, NULL);
    data_start(&d, c.port, NULL);
    await_acks(&c, 2);
    control_stop(&c);
    await(&d.gone, 1);
    control_start(&c);
    await(&d.opened, 2);
    await(&d.updates, 4);
    assert_int_equal(atomic_load(&d.items), 2);
    atomic_store(&d.refuse, "route/b");
    publish(&c, "route/b", "2");
    await(&d.items, 3);
    control_stop(&c);
    atomic_store(&d.refuse, NULL);
    control_start(&c);
    await(&d.items, 4);
    data_stop(&d);
    control_stop(&c);
}

static void write_token(const char *path, const char *token)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(token, out);
    fclose(out);
}

static void test_the_token_is_read_for_each_stream(void **state)
{
    struct control c;
    struct data d;
    char path[] = "/tmp/agw-token-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    control_init(&c, "Bearer one");
    data_start(&d, c.port, path);
    await(&d.gone, 1); /* an empty file is no token */
    assert_int_equal(atomic_load(&c.tries), 0);
    write_token(path, "one\n");
    await(&d.opened, 1);
    control_stop(&c);
    write_token(path, "two");
    c.want = "Bearer two";
    control_start(&c);
    await(&d.opened, 2);
    await_text(&c, c.token, "Bearer two");
    data_stop(&d);
    control_stop(&c);
    unlink(path);
}

/* A server that refuses every stream is not dialled in a loop: 10, 20, 40... ms lie between the attempts. */
static void test_refusals_back_off(void **state)
{
    struct control c;
    struct data d;
    control_init(&c, "Bearer nobody has it");
    data_start(&d, c.port, NULL);
    await(&c.tries, 3);
    usleep(700000);
    assert_in_range(atomic_load(&c.tries), 3, 14);
    assert_int_equal(atomic_load(&d.updates), 0);
    data_stop(&d);
    control_stop(&c);
}

static void test_stop_while_nobody_listens(void **state)
{
    struct control c;
    struct data d;
    control_init(&c, NULL);
    control_stop(&c); /* its port is free now */
    data_start(&d, c.port, NULL);
    await(&d.gone, 1);
    uint64_t from = agw_clock_ns();
    data_stop(&d);
    assert_in_range((agw_clock_ns() - from) / 1000000, 0, 3000);
}

static void test_bad_addresses(void **state)
{
    static const char *const bad[] = {"", "http://", "http://host", "host", "http://host:1/path", ":15010"};
    static const struct agw_xds_client_events events = {on_update, on_stream, on_tick};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct agw_error err = {0};
        struct agw_xds_client_conf conf = {.address = bad[i], .node = {.ns = "ns", .gateway = "gw"}};
        assert_null(agw_xds_client_new(&conf, &events, NULL, &err));
        assert_non_null(strstr(err.text, "XDS_ADDRESS"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates_and_answers),
        cmocka_unit_test(test_a_restarted_control_plane),
        cmocka_unit_test(test_the_token_is_read_for_each_stream),
        cmocka_unit_test(test_refusals_back_off),
        cmocka_unit_test(test_stop_while_nobody_listens),
        cmocka_unit_test(test_bad_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
