#include "gwapi/object/read.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "yaml/yaml.h"

static int parse(struct agw_manifests *m, const char *file, struct agw_str text, struct agw_report *report)
{
    const struct agw_node *docs = NULL, *doc;
    struct agw_error err = {0};
    int rc;

    m->files++;
    rc = agw_yaml_load(text, &m->arena, &docs, &err);
    if (rc == AGW_ENOMEM)
        return rc;
    if (rc) {
        agw_report_text(report, AGW_REPORT_ERROR, "%s:%s", file, err.text);
        return 0;
    }
    agw_node_each (doc, docs) {
        rc = agw_objects_add(&m->objects, file, doc, report);
        if (rc)
            return rc;
    }
    return 0;
}

/* --- files --- */

static int unreadable(struct agw_report *report, const char *path)
{
    agw_report_text(report, AGW_REPORT_ERROR, "%s: %s", path, strerror(errno));
    return AGW_EIO;
}

/* Reads at most |size| bytes; a file that grows meanwhile is read to its former end. */
static int slurp(int fd, char *out, size_t size, size_t *ret_n)
{
    size_t n = 0;

    while (n < size) {
        ssize_t got = read(fd, out + n, size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return AGW_EIO;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret_n = n;
    return 0;
}

static int read_open_file(struct agw_manifests *m, int fd, const char *file, struct agw_report *report)
{
    struct stat st;
    char *text;
    size_t n;
    int rc;

    if (fstat(fd, &st))
        return unreadable(report, file);
    if (!S_ISREG(st.st_mode)) {
        agw_report_text(report, AGW_REPORT_ERROR, "%s: not a regular file", file);
        return AGW_EIO;
    }
    if (st.st_size > (off_t)AGW_YAML_MAX_BYTES) {
        agw_report_text(report, AGW_REPORT_ERROR, "%s: larger than %u bytes", file, AGW_YAML_MAX_BYTES);
        return 0;
    }
    text = malloc((size_t)st.st_size + 1);
    if (!text)
        return AGW_ENOMEM;
    rc = slurp(fd, text, (size_t)st.st_size, &n);
    rc = rc ? unreadable(report, file) : parse(m, file, agw_str(text, n), report);
    free(text);
    return rc;
}

static int read_file(struct agw_manifests *m, const char *path, struct agw_report *report)
{
    struct agw_str file = agw_arena_str(&m->arena, agw_str_c(path));
    int fd, rc;

    if (!file.p)
        return AGW_ENOMEM;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return unreadable(report, path);
    rc = read_open_file(m, fd, file.p, report);
    close(fd);
    return rc;
}

/* --- directories --- */

static int is_manifest(const struct dirent *e)
{
    struct agw_str name = agw_str_c(e->d_name);

    return name.p[0] != '.' && (agw_str_ends(name, AGW_STR(".yaml")) || agw_str_ends(name, AGW_STR(".yml")) ||
                                agw_str_ends(name, AGW_STR(".json")));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_entry(struct agw_manifests *m, const char *dir, const char *name, struct agw_report *report)
{
    size_t n = strlen(dir);
    struct agw_str path = agw_arena_printf(&m->arena, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);

    return path.p ? read_file(m, path.p, report) : AGW_ENOMEM;
}

static int read_directory(struct agw_manifests *m, const char *path, struct agw_report *report)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_manifest, by_name), i, rc = 0;

    if (count < 0)
        return errno == ENOMEM ? AGW_ENOMEM : unreadable(report, path);
    if (count > AGW_MANIFEST_MAX_FILES) {
        agw_report_text(report, AGW_REPORT_ERROR, "%s: more than %d files", path, AGW_MANIFEST_MAX_FILES);
        rc = AGW_ELIMIT;
    }
    for (i = 0; i < count; i++) {
        if (!rc)
            rc = read_entry(m, path, entries[i]->d_name, report);
        free(entries[i]);
    }
    free(entries);
    if (!rc && count == 0)
        agw_report_text(report, AGW_REPORT_WARNING, "%s: no *.yaml, *.yml or *.json in it", path);
    return rc;
}

/* --- both --- */

static void begin(struct agw_manifests *m)
{
    m->files = 0;
    agw_arena_init(&m->arena, 16384, 0);
    agw_objects_init(&m->objects, &m->arena);
}

/* Frees on failure, hands over otherwise. */
static int finish(struct agw_manifests *m, int rc)
{
    if (rc)
        agw_manifests_free(m);
    else
        agw_objects_sort(&m->objects);
    return rc;
}

int agw_manifests_read(const char *path, struct agw_manifests *ret_manifests, struct agw_report *report)
{
    struct stat st;

    if (stat(path, &st))
        return unreadable(report, path);
    begin(ret_manifests);
    if (S_ISDIR(st.st_mode))
        return finish(ret_manifests, read_directory(ret_manifests, path, report));
    return finish(ret_manifests, read_file(ret_manifests, path, report));
}

int agw_manifests_parse(const char *name, struct agw_str text, struct agw_manifests *ret_manifests,
                        struct agw_report *report)
{
    struct agw_str file;

    begin(ret_manifests);
    file = agw_arena_str(&ret_manifests->arena, agw_str_c(name));
    return finish(ret_manifests, file.p ? parse(ret_manifests, file.p, text, report) : AGW_ENOMEM);
}

void agw_manifests_free(struct agw_manifests *m)
{
    agw_objects_free(&m->objects);
    agw_arena_free(&m->arena);
}
