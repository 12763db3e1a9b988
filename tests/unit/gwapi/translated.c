#include "translated.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "dump.h"
#include "gwapi/gwapi.h"

static char *findings(const struct agw_gwapi_report *r)
{
    static const char *const levels[] = {"note", "warning", "error"};
    const struct agw_report_item *i;
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    for (i = r->texts.first; i; i = i->next)
        fprintf(out, "%s: %s\n", levels[i->level], i->text.p);
    fclose(out);
    return text;
}

static char *conditions(const struct agw_gwapi_report *r)
{
    const struct agw_gwapi_condition *c;
    const struct agw_gwapi_attached *a;
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    for (c = r->first_condition; c; c = c->next) {
        fprintf(out, "%s %s/%s", c->kind.p, c->ns.p, c->name.p);
        if (c->part.n)
            fprintf(out, ".%s", c->part.p);
        if (c->parent >= 0)
            fprintf(out, "#%d", c->parent);
        fprintf(out, " %s=%s %s\n", c->type, c->status ? "True" : "False", c->reason);
    }
    for (a = r->attached; a; a = a->next)
        fprintf(out, "attached %s%s%s/%s%s%s %u\n", strcmp(a->kind.p, "Gateway") ? a->kind.p : "",
                strcmp(a->kind.p, "Gateway") ? " " : "", a->ns.p, a->name.p, a->listener.n ? "." : "",
                a->listener.p, a->count);
    fclose(out);
    return text;
}

struct translated translate(const char *yaml)
{
    struct agw_gwapi_report report;
    struct agw_resource_set set;
    struct translated t = {0};

    agw_gwapi_report_init(&report);
    t.rc = agw_gwapi_load_text("m.yaml", agw_str_c(yaml), &set, &report);
    t.findings = findings(&report);
    t.conditions = conditions(&report);
    if (t.rc) {
        t.resources = strdup("");
    } else {
        t.resources = dump_set(&set);
        agw_resource_set_free(&set);
    }
    agw_gwapi_report_free(&report);
    return t;
}

void translated_free(struct translated *t)
{
    free(t->resources);
    free(t->findings);
    free(t->conditions);
}

void expect_lines(const char *text, const char *prefix, const char *want)
{
    const char *line, *end;
    char *got;
    size_t n;
    FILE *out = open_memstream(&got, &n);

    for (line = text; *line; line = end) {
        end = strchr(line, '\n') + 1;
        if (strncmp(line, prefix, strlen(prefix)) == 0)
            fwrite(line, 1, (size_t)(end - line), out);
    }
    fclose(out);
    if (strcmp(got, want) != 0)
        fail_msg("got:\n%s\nwant:\n%s", got, want);
    free(got);
}

void expect_resources(const char *yaml, const char *prefix, const char *want)
{
    struct translated t = translate(yaml);

    assert_string_equal(t.findings, "");
    assert_int_equal(t.rc, 0);
    expect_lines(t.resources, prefix, want);
    translated_free(&t);
}

void expect_findings(const char *yaml, const char *want)
{
    struct translated t = translate(yaml);

    assert_string_equal(t.findings, want);
    assert_int_equal(t.rc, strstr(want, "error: ") ? AGW_EINVAL : 0);
    translated_free(&t);
}
