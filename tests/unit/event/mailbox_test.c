#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "event/loop.h"

enum { SENDERS = 4, POSTS = 20000 };

struct post {
    struct agw_post post;
    int sender, number;
};

struct counts {
    struct agw_loop loop;
    int next[SENDERS];
    int total;
};

static void on_post(struct agw_post *p, void *ctx)
{
    struct post *post = (struct post *)p;
    struct counts *c = ctx;
    assert_int_equal(post->number, c->next[post->sender]++); /* each sender's posts keep their order */
    free(post);
    if (++c->total == SENDERS * POSTS)
        agw_loop_stop(&c->loop);
}

struct sender {
    pthread_t thread;
    struct counts *counts;
    int index;
};

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < POSTS; i++) {
        struct post *p = malloc(sizeof(*p));
        *p = (struct post){.post.run = on_post, .sender = s->index, .number = i};
        agw_loop_post(&s->counts->loop, &p->post);
        if (i % 1000 == 0)
            usleep(500); /* lets the loop fall asleep now and then */
    }
    return NULL;
}

static void test_nothing_is_lost(void **state)
{
    struct counts c = {0};
    struct sender senders[SENDERS];
    assert_int_equal(agw_loop_init(&c.loop, 0), 0);
    c.loop.ctx = &c;
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.counts = &c, .index = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    agw_loop_run(&c.loop);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    assert_int_equal(c.total, SENDERS * POSTS);
    agw_loop_free(&c.loop);
}

static void *stop_later(void *arg)
{
    usleep(20000);
    agw_loop_stop(arg);
    return NULL;
}

static void test_stop_wakes_a_sleeping_loop(void **state)
{
    struct agw_loop loop;
    pthread_t thread;
    assert_int_equal(agw_loop_init(&loop, 0), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&thread, NULL, stop_later, &loop), 0);
        agw_loop_run(&loop);
        pthread_join(thread, NULL);
    }
    agw_loop_free(&loop);
}

struct ping {
    struct agw_post post;
    struct agw_loop *loop;
    int left;
};

static void on_ping(struct agw_post *p, void *ctx)
{
    struct ping *ping = (struct ping *)p;
    if (ping->left-- > 0)
        agw_loop_post(ping->loop, p);
    else
        agw_loop_stop(ping->loop);
}

static void test_a_post_may_post_to_its_own_loop(void **state)
{
    struct agw_loop loop;
    struct ping ping = {.post.run = on_ping, .loop = &loop, .left = 100};
    assert_int_equal(agw_loop_init(&loop, 0), 0);
    agw_loop_post(&loop, &ping.post);
    agw_loop_run(&loop);
    assert_int_equal(ping.left, -1);
    agw_loop_free(&loop);
}

static unsigned dropped;

static void on_drop(struct agw_post *p)
{
    dropped++;
    free(p);
}

static void never(struct agw_post *p, void *ctx)
{
    fail();
}

static void test_what_never_ran_is_dropped(void **state)
{
    struct agw_loop loop;
    struct agw_post silent = {.run = never};
    assert_int_equal(agw_loop_init(&loop, 0), 0);
    for (int i = 0; i < 3; i++) {
        struct agw_post *p = calloc(1, sizeof *p);
        *p = (struct agw_post){.run = never, .drop = on_drop};
        agw_loop_post(&loop, p);
    }
    agw_loop_post(&loop, &silent);
    agw_loop_free(&loop);
    assert_int_equal(dropped, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost),
        cmocka_unit_test(test_stop_wakes_a_sleeping_loop),
        cmocka_unit_test(test_a_post_may_post_to_its_own_loop),
        cmocka_unit_test(test_what_never_ran_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
