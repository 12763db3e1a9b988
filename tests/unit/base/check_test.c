#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/check.h"

static void test_true_is_silent(void **state)
{
    int x = 1;
    agw_check(x == 1);
}

static void test_false_aborts_and_says_where(void **state)
{
    int fds[2], status;
    char text[256] = "";
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 2);
        signal(SIGABRT, SIG_DFL);
        agw_check(2 + 2 == 5);
        _exit(0);
    }
    close(fds[1]);
    assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "check_test.c:"));
    assert_non_null(strstr(text, "2 + 2 == 5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_true_is_silent),
        cmocka_unit_test(test_false_aborts_and_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
