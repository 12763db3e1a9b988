#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "failmalloc.h"
#include "page.h"
#include "telemetry/access_log.h"

#define S AGW_STR

static char path[64], moved[80];

static int setup(void **state)
{
    snprintf(path, sizeof(path), "/tmp/agw-access-XXXXXX");
    int fd = mkstemp(path);
    close(fd);
    snprintf(moved, sizeof(moved), "%s.1", path);
    return fd < 0;
}

static int teardown(void **state)
{
    unlink(path);
    unlink(moved);
    return 0;
}

static struct agw_access_log *start(unsigned workers, size_t ring_bytes)
{
    struct agw_access_log_options o = {.workers = workers, .path = path, .ring_bytes = ring_bytes};
    struct agw_access_log *log = NULL;
    struct agw_error err = {0};
    assert_int_equal(agw_access_log_start(&o, &log, &err), 0);
    return log;
}

static char *read_file(const char *name)
{
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    char *text = malloc(n + 1);
    rewind(f);
    assert_int_equal(fread(text, 1, n, f), n);
    text[n] = 0;
    fclose(f);
    return text;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void write_number(struct agw_access_log *log, unsigned worker, unsigned number, size_t path_bytes)
{
    static const char long_path[4096] = {[0 ... 4095] = 'p'};
    struct agw_access_record r = {
        .status = number, .method = S("GET"), .path = agw_str(long_path, path_bytes)};
    agw_access_log_write(log, worker, &r);
}

static void test_stop_writes_what_is_left(void **state)
{
    struct agw_access_log *log = start(1, 0);
    write_number(log, 0, 200, 1);
    write_number(log, 0, 404, 0);
    assert_int_equal(agw_access_log_dropped(log), 0);
    agw_access_log_stop(log);
    char *text = read_file(path);
    assert_non_null(strstr(text, " method=GET path=p status=200 "));
    assert_non_null(strstr(text, " method=GET status=404 "));
    assert_int_equal(count_lines(text), 2);
    free(text);
}

static void test_null_is_off(void **state)
{
    agw_access_log_write(NULL, 0, &(struct agw_access_record){0});
    agw_access_log_stop(NULL);
}

static void test_lines_come_without_a_stop(void **state)
{
    struct agw_access_log *log = start(1, 0);
    struct stat st = {0};
    write_number(log, 0, 200, 1);
    for (int i = 0; i < 200 && st.st_size == 0; i++) {
        usleep(10000);
        assert_int_equal(stat(path, &st), 0);
    }
    assert_true(st.st_size > 0);
    agw_access_log_stop(log);
}

static void test_long_texts_are_cut_at_characters(void **state)
{
    struct agw_access_log *log = start(1, 0);
    static char text[5000];
    for (size_t i = 0; i + 1 < sizeof(text); i += 2) {
        text[i] = (char)0xc3;
        text[i + 1] = (char)0xbc;
    }
    struct agw_access_record r = {
        .path = agw_str(text, 5000), .host = agw_str(text + 1, 3), .protocol = agw_str_c("x")};
    r.method = agw_str("mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm\xc3\xbc", 33); /* the 32nd byte is half a character */
    agw_access_log_write(log, 0, &r);
    agw_access_log_stop(log);
    char *line = read_file(path), *at = strstr(line, "path=\"");
    assert_int_equal(strcspn(at + 6, "\""), 2046);
    assert_non_null(strstr(line, " method=mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm host="));
    free(line);
}

enum { WORKERS = 3, RECORDS = 20000 };

struct worker {
    struct agw_access_log *log;
    unsigned index;
    pthread_t thread;
};

static void *write_many(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < RECORDS; i++)
        write_number(w->log, w->index, w->index * 1000000 + i, (i * 7) % 1500);
    return NULL;
}

/* Every record is in the file, in its worker's order, or counted. Small rings: they wrap and overflow. */
static void test_all_records_or_their_count(void **state)
{
    struct agw_access_log *log = start(WORKERS, 1);
    struct worker w[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        w[i] = (struct worker){.log = log, .index = i};
        assert_int_equal(pthread_create(&w[i].thread, NULL, write_many, &w[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(w[i].thread, NULL);
    uint64_t dropped = agw_access_log_dropped(log);
    agw_access_log_stop(log);
    char *text = read_file(path), *at = text;
    long last[WORKERS] = {-1, -1, -1};
    uint64_t lines = 0;
    while (*at) {
        char *status = strstr(at, "status="), *end = strchr(at, '\n');
        long number = strtol(status + 7, NULL, 10);
        size_t path_bytes = (size_t)(number % 1000000) * 7 % 1500;
        assert_true(number % 1000000 > last[number / 1000000]);
        last[number / 1000000] = number % 1000000;
        char *p = memmem(at, (size_t)(end - at), "path=", 5);
        assert_int_equal(p ? strspn(p + 5, "p") : 0, path_bytes);
        lines++;
        at = end + 1;
    }
    assert_int_equal(lines + dropped, WORKERS * RECORDS);
    assert_true(lines > 100);
    free(text);
}

/* stdout is a pipe that nobody reads. */
static void test_a_stuck_reader_costs_records_not_time(void **state)
{
    int fds[2], saved = dup(1);
    assert_int_equal(pipe(fds), 0);
    fflush(stdout);
    dup2(fds[1], 1);
    struct agw_access_log_options o = {.workers = 1, .ring_bytes = 1, .json = true};
    struct agw_access_log *log = NULL;
    assert_int_equal(agw_access_log_start(&o, &log, NULL), 0);
    uint64_t start_ns = agw_clock_ns();
    for (unsigned i = 0; i < 3000; i++)
        write_number(log, 0, i, 500);
    assert_true(agw_clock_ns() - start_ns < AGW_NS_PER_S);
    assert_true(agw_access_log_dropped(log) > 1000);
    agw_access_log_stop(log); /* gives up after a while */
    dup2(saved, 1);
    close(saved);
    close(fds[0]);
    close(fds[1]);
    assert_true(agw_clock_ns() - start_ns < 20 * AGW_NS_PER_S);
}

static void test_a_closed_reader_is_no_signal(void **state)
{
    int fds[2], saved = dup(1);
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(pipe(fds), 0);
    fflush(stdout);
    dup2(fds[1], 1);
    close(fds[0]);
    struct agw_access_log_options o = {.workers = 1};
    struct agw_access_log *log = NULL;
    assert_int_equal(agw_access_log_start(&o, &log, NULL), 0);
    write_number(log, 0, 200, 1);
    for (int i = 0; i < 200 && agw_access_log_dropped(log) == 0; i++)
        usleep(10000);
    assert_int_equal(agw_access_log_dropped(log), 1);
    agw_access_log_stop(log);
    dup2(saved, 1);
    close(saved);
    close(fds[1]);
}

static void test_reopen(void **state)
{
    struct agw_access_log *log = start(1, 0);
    struct stat st = {0};
    write_number(log, 0, 201, 1);
    for (int i = 0; i < 200 && st.st_size == 0; i++) {
        usleep(10000);
        stat(path, &st);
    }
    assert_int_equal(rename(path, moved), 0);
    agw_access_log_reopen(log);
    for (int i = 0; i < 200 && access(path, F_OK) < 0; i++)
        usleep(10000);
    write_number(log, 0, 202, 1);
    agw_access_log_stop(log);
    char *old = read_file(moved), *new = read_file(path);
    assert_non_null(strstr(old, "status=201"));
    assert_null(strstr(old, "status=202"));
    assert_non_null(strstr(new, "status=202"));
    free(old);
    free(new);
}

static void test_a_file_that_cannot_be_opened(void **state)
{
    struct agw_access_log_options o = {.workers = 1, .path = "/nonexistent/dir/access.log"};
    struct agw_access_log *log = NULL;
    struct agw_error err = {0};
    assert_int_equal(agw_access_log_start(&o, &log, &err), AGW_EIO);
    assert_null(log);
    assert_non_null(strstr(err.text, "/nonexistent/dir/access.log: No such file"));
}

static void test_out_of_memory(void **state)
{
    struct agw_access_log_options o = {.workers = 2, .path = path};
    for (long n = 1;; n++) {
        struct agw_access_log *log = NULL;
        struct agw_error err = {0};
        failmalloc_at(n);
        int r = agw_access_log_start(&o, &log, &err);
        bool done = failmalloc_count() < n;
        failmalloc_at(0);
        assert_int_equal(r, done ? 0 : AGW_ENOMEM);
        if (done) {
            agw_access_log_stop(log);
            return;
        }
        assert_int_equal(err.code, AGW_ENOMEM);
    }
}

static void test_metrics_tell_what_was_dropped(void **state)
{
    struct agw_metrics_registry *r = agw_metrics_registry_new(1);
    struct agw_access_log *log = start(1, 1);
    agw_access_log_export(log, r);
    for (unsigned i = 0; i < 20000; i++)
        write_number(log, 0, i, 2000);
    assert_true(agw_access_log_dropped(log) > 0);
    assert_true(value_of(r, "agentgateway_access_log_dropped_total") == (double)agw_access_log_dropped(log));
    agw_access_log_stop(log);
    agw_metrics_registry_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stop_writes_what_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_null_is_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines_come_without_a_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_texts_are_cut_at_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_records_or_their_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stuck_reader_costs_records_not_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_closed_reader_is_no_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reopen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_opened, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics_tell_what_was_dropped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
