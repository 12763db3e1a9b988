#include "mcp/transport/spawn.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "failmalloc.h"

static const char *const nothing[] = {NULL};

/* Waits for its end; what it wrote to standard output is in |out|. */
static int finish(struct agw_mcp_spawned *child, char *out, size_t cap)
{
    int status;
    size_t n = 0;
    close(child->in);
    for (;;) {
        struct pollfd p = {.fd = child->out, .events = POLLIN};
        poll(&p, 1, 5000);
        ssize_t k = read(child->out, out + n, cap - 1 - n);
        if (k <= 0)
            break;
        n += (size_t)k;
    }
    out[n] = 0;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    close(child->out);
    close(child->err);
    close(child->pidfd);
    return status;
}

static void arguments_and_environment_are_as_given(void **state)
{
    static const char *const argv[] = {"sh", "-c", "echo \"$A,$B,$SESSION_KEY,$1\"", "sh", "a b", NULL};
    static const char *const env[] = {"A=x=y", NULL};
    struct agw_mcp_spawned child;
    char out[256];
    setenv("A", "old", 1);
    setenv("B", "kept", 1);
    setenv("SESSION_KEY", "secret", 1);
    assert_int_equal(agw_mcp_spawn(argv, env, false, &child, NULL), 0);
    assert_int_equal(finish(&child, out, sizeof out), 0);
    assert_string_equal(out, "x=y,kept,,a b\n");
    assert_int_equal(agw_mcp_spawn(argv, env, true, &child, NULL), 0);
    assert_int_equal(finish(&child, out, sizeof out), 0);
    assert_string_equal(out, "x=y,,,a b\n");
}

static void input_reaches_it_and_nothing_else_of_ours(void **state)
{
    static const char *const argv[] = {"/bin/sh", "-c", "cat; exec ls /proc/self/fd", NULL};
    struct agw_mcp_spawned child;
    char out[256];
    int extra = dup(2); /* not to be inherited, whatever its flags say */
    assert_int_equal(agw_mcp_spawn(argv, nothing, false, &child, NULL), 0);
    assert_int_equal(write(child.in, "hello ", 6), 6);
    assert_int_equal(finish(&child, out, sizeof out), 0);
    assert_string_equal(out, "hello 0\n1\n2\n3\n"); /* 3: the folder that ls reads */
    close(extra);
}

static void programs_that_are_not_there(void **state)
{
    static const struct {
        const char *cmd;
        int rc;
    } cases[] = {
        {"no-such-program", AGW_ENOTFOUND}, {"/no/such/program", AGW_ENOTFOUND}, {"/etc/passwd", AGW_EIO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const argv[] = {cases[i].cmd, NULL};
        struct agw_mcp_spawned child = {0};
        struct agw_error err = {0};
        assert_int_equal(agw_mcp_spawn(argv, nothing, false, &child, &err), cases[i].rc);
        assert_non_null(strstr(err.text, cases[i].cmd));
        assert_int_equal(child.pid, 0);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
        assert_int_equal(errno, ECHILD);
    }
}

static void no_memory(void **state)
{
    static const char *const argv[] = {"true", NULL};
    for (long n = 1;; n++) {
        struct agw_mcp_spawned child;
        char out[16];
        failmalloc_at(n);
        int rc = agw_mcp_spawn(argv, nothing, false, &child, NULL);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        if (rc == 0)
            finish(&child, out, sizeof out);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(arguments_and_environment_are_as_given),
                                       cmocka_unit_test(input_reaches_it_and_nothing_else_of_ours),
                                       cmocka_unit_test(programs_that_are_not_there),
                                       cmocka_unit_test(no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
