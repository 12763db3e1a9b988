#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "event/watch.h"

static char room[64];

static const char *in(const char *name)
{
    static char path[2][160];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", room, name);
    return path[turn];
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    const char *base = getenv("TMPDIR");
    snprintf(room, sizeof(room), "%s/watch-XXXXXX", base && strlen(base) < 40 ? base : "/tmp");
    return mkdtemp(room) ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = {"a", "b", "sub/c", "sub"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        remove(in(names[i]));
    return rmdir(room);
}

static void assert_changed(struct agw_file_watch *w)
{
    struct pollfd fd = {.fd = w->fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 5000), 1);
    assert_true(agw_file_watch_changed(w));
    assert_false(agw_file_watch_changed(w)); /* told once */
}

static void test_folder(void **state)
{
    struct agw_file_watch w;
    assert_int_equal(agw_file_watch_open(&w, room, NULL), 0);
    assert_false(agw_file_watch_changed(&w));
    put("a", "1");
    assert_changed(&w);
    assert_int_equal(rename(in("a"), in("b")), 0);
    assert_changed(&w);
    assert_int_equal(remove(in("b")), 0);
    assert_changed(&w);
    assert_int_equal(mkdir(in("sub"), 0700), 0);
    assert_changed(&w); /* and watches it from now on */
    put("sub/c", "1");
    assert_changed(&w);
    agw_file_watch_close(&w);
    assert_int_equal(w.fd, -1);
    agw_file_watch_close(&w); /* once more is fine */
}

static void test_file(void **state)
{
    struct agw_file_watch w;
    char path[160];
    put("a", "1");
    snprintf(path, sizeof(path), "%s", in("a"));
    assert_int_equal(agw_file_watch_open(&w, path, NULL), 0);
    put("b", "2");
    assert_changed(&w);
    assert_int_equal(rename(in("b"), in("a")), 0); /* as editors do: another inode */
    assert_changed(&w);
    put("a", "3");
    assert_changed(&w);
    agw_file_watch_close(&w);
}

static void test_absent(void **state)
{
    struct agw_file_watch w;
    struct agw_error err = {0};
    assert_int_equal(agw_file_watch_open(&w, in("none/none"), &err), AGW_EIO);
    assert_non_null(strstr(err.text, "none/none"));
    assert_int_equal(w.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
