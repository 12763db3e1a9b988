#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "event/mapped.h"

static size_t page;

/* A page of a file with |text|, mapped privately. */
static char *map_page(const char *text)
{
    char path[] = "/tmp/agw_mapped_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(ftruncate(fd, (off_t)page), 0);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
    char *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_true(at != MAP_FAILED);
    close(fd);
    return at;
}

static bool is_present(const void *at)
{
    uint64_t entry;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)at / page * sizeof(entry))),
                     sizeof(entry));
    close(fd);
    return entry >> 63;
}

static void test_what_is_only_read_is_given_back_and_comes_back(void **state)
{
    char *at = map_page("file");
    assert_int_equal(mprotect(at, page, PROT_READ), 0);
    assert_string_equal(at, "file");
    assert_true(is_present(at));
    assert_int_equal(agw_mapped_trim(), 0);
    assert_false(is_present(at));
    assert_string_equal(at, "file");
    munmap(at, page);
}

/* As relocation does: written first, read-only from then on. */
static void test_what_was_changed_stays_as_it_is(void **state)
{
    char *at = map_page("file");
    memcpy(at, "mine", 4);
    assert_int_equal(mprotect(at, page, PROT_READ), 0);
    assert_int_equal(agw_mapped_trim(), 0);
    assert_string_equal(at, "mine");
    munmap(at, page);
}

static void test_what_can_be_written_is_left_alone(void **state)
{
    char *at = map_page("file");
    assert_string_equal(at, "file");
    assert_int_equal(agw_mapped_trim(), 0);
    assert_true(is_present(at));
    munmap(at, page);
}

int main(void)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_only_read_is_given_back_and_comes_back),
        cmocka_unit_test(test_what_was_changed_stays_as_it_is),
        cmocka_unit_test(test_what_can_be_written_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
