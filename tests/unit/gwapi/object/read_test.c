/* Files and directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "failmalloc.h"
#include "gwapi/object/read.h"

static char dir[] = "/tmp/agw-read-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state)
{
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[256];

    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

#define NS(name) "apiVersion: v1\nkind: Namespace\nmetadata: {name: " name "}\n"

static void directory(void **state)
{
    struct agw_manifests m;
    struct agw_report r;
    char sub[256], want[512];

    agw_report_init(&r);
    assert_int_equal(agw_manifests_read(dir, &m, &r), 0);
    assert_int_equal(m.files, 0);
    assert_int_equal(r.count[AGW_REPORT_WARNING], 1);
    agw_manifests_free(&m);
    agw_report_free(&r);

    put("b.yaml", NS("b"));
    put("a.yml", NS("a") "---\n" NS("c"));
    put("c.json", "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"d\"}}");
    put("README.md", "# not a manifest: [");
    put(".hidden.yaml", "not: a manifest");
    snprintf(sub, sizeof(sub), "%s/sub", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    put("sub/package.json", "{}");
    agw_report_init(&r);
    assert_int_equal(agw_manifests_read(dir, &m, &r), 0);
    assert_null(r.first);
    assert_int_equal(m.files, 3);
    assert_int_equal(m.objects.count, 4);
    agw_manifests_free(&m);

    put("z.yaml", "a: 1\na: 2\n");
    assert_int_equal(agw_manifests_read(dir, &m, &r), 0);
    snprintf(want, sizeof(want), "%s/z.yaml:2:1: the key \"a\" is already set on line 1", dir);
    assert_string_equal(r.first->text.p, want);
    agw_manifests_free(&m);
    agw_report_free(&r);
}

static void one_file(void **state)
{
    struct agw_manifests m;
    struct agw_report r;
    char path[256];

    put("one.txt", NS("a"));
    snprintf(path, sizeof(path), "%s/one.txt", dir);
    agw_report_init(&r);
    assert_int_equal(agw_manifests_read(path, &m, &r), 0);
    assert_int_equal(m.objects.count, 1);
    assert_string_equal(m.objects.first[AGW_KIND_NAMESPACE]->file, path);
    agw_manifests_free(&m);
    agw_report_free(&r);
}

static void unreadable(void **state)
{
    struct agw_manifests m;
    struct agw_report r;
    char path[256], target[256];

    agw_report_init(&r);
    assert_int_equal(agw_manifests_read("/no/such", &m, &r), AGW_EIO);
    assert_string_equal(r.first->text.p, "/no/such: No such file or directory");
    assert_int_equal(agw_manifests_read("/dev/null", &m, &r), AGW_EIO);
    assert_string_equal(r.last->text.p, "/dev/null: not a regular file");
    snprintf(path, sizeof(path), "%s/dangling.yaml", dir);
    snprintf(target, sizeof(target), "%s/nowhere", dir);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(agw_manifests_read(dir, &m, &r), AGW_EIO);
    assert_int_equal(unlink(path), 0);
    agw_report_free(&r);
}

static void out_of_memory(void **state)
{
    long n;

    for (n = 1;; n++) {
        struct agw_manifests m;
        struct agw_report r;
        bool reached;
        int rc;

        agw_report_init(&r);
        failmalloc_at(n);
        rc = agw_manifests_read(dir, &m, &r);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        if (rc == 0)
            agw_manifests_free(&m);
        agw_report_free(&r);
        if (!reached)
            break;
        assert_true(rc == AGW_ENOMEM || r.out_of_memory || rc == 0);
    }
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directory),
        cmocka_unit_test(one_file),
        cmocka_unit_test(unreadable),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
