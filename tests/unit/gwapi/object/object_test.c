/* Kinds, the index, the order, lists and selectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "gwapi/object/read.h"
#include "yaml/yaml.h"

static void expect(const char *yaml, const char *want)
{
    struct agw_manifests m;
    struct agw_report r;
    struct agw_report_item *i;
    char *got;
    size_t n;
    FILE *out = open_memstream(&got, &n);

    agw_report_init(&r);
    assert_int_equal(agw_manifests_parse("m.yaml", agw_str_c(yaml), &m, &r), 0);
    for (i = r.first; i; i = i->next)
        fprintf(out, "%s\n", i->text.p);
    fclose(out);
    if (strcmp(got, want) != 0)
        fail_msg("got:\n%s\nwant:\n%s", got, want);
    free(got);
    agw_manifests_free(&m);
    agw_report_free(&r);
}

#define NS(name, more) "apiVersion: v1\nkind: Namespace\nmetadata: {name: " name more "}\n---\n"

static void kinds(void **state)
{
    expect("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: n}\n",
           "m.yaml:2: Deployment n/d: kind: left out: it configures no traffic\n");
    expect("apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayParameters\nmetadata: {name: d}\n",
           "m.yaml:2: AgentgatewayParameters d: kind: left out: it configures no traffic\n");
    expect("apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayModel\nmetadata: {name: d}\n",
           "m.yaml:2: AgentgatewayModel d: kind: is not a kind that this version serves\n");
    expect("apiVersion: gateway.networking.k8s.io/v1\nkind: HttpRoute\nmetadata: {name: d}\n",
           "m.yaml:2: HttpRoute d: kind: is not a kind that this version serves\n");
    expect("apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: HTTPRoute\nmetadata: {name: d}\n",
           "m.yaml:1: HTTPRoute d: apiVersion: version v1alpha2 is not served (only v1 v1beta1)\n");
    expect("a: b\n", "m.yaml:1: object ?: not a Kubernetes object: it needs apiVersion and kind\n");
    expect("- a\n", "m.yaml:1: object ?: not a Kubernetes object: it needs apiVersion and kind\n");
    expect("text\n", "m.yaml:1: object ?: not a Kubernetes object: it needs apiVersion and kind\n");
    expect("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n",
           "m.yaml:3: Namespace b/a: metadata.namespace: a Namespace has no namespace\n");
}

static void twice(void **state)
{
    expect(NS("a", "") NS("a", ""), "m.yaml:5: Namespace a: is already in m.yaml:1\n");
    /* the default namespace is the same, written or not */
    expect("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n---\n"
           "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\n",
           "m.yaml:5: Secret default/s: is already in m.yaml:1\n");
}

static void load(const char *yaml, struct agw_manifests *m)
{
    struct agw_report r;

    agw_report_init(&r);
    assert_int_equal(agw_manifests_parse("m.yaml", agw_str_c(yaml), m, &r), 0);
    assert_null(r.first);
    agw_report_free(&r);
}

static void order(void **state)
{
    static const char *const want[] = {"old", "a", "b", "c", "d"};
    struct agw_manifests m;
    const struct agw_object *o;
    int i = 0;

    load(NS("d", "") NS("b", ", creationTimestamp: 2026-01-02T00:00:00Z") NS("c", ", creationTimestamp: null")
             NS("a", ", creationTimestamp: 2026-01-02T00:00:00Z")
                 NS("old", ", creationTimestamp: 2025-01-01T00:00:00Z"),
         &m);
    agw_objects_each(o, &m.objects, AGW_KIND_NAMESPACE) assert_string_equal(o->name.p, want[i++]);
    assert_int_equal(i, 5);
    agw_manifests_free(&m);
}

static void lists(void **state)
{
    struct agw_manifests m;

    load("apiVersion: v1\nkind: List\nitems:\n"
         "- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n"
         "- {apiVersion: v1, kind: Namespace, metadata: {name: n}}\n",
         &m);
    assert_int_equal(m.objects.count, 2);
    assert_non_null(agw_objects_get(&m.objects, AGW_KIND_SECRET, AGW_STR("default"), AGW_STR("s")));
    assert_non_null(agw_objects_get(&m.objects, AGW_KIND_NAMESPACE, AGW_STR("ignored"), AGW_STR("n")));
    assert_null(agw_objects_get(&m.objects, AGW_KIND_SECRET, AGW_STR("other"), AGW_STR("s")));
    agw_manifests_free(&m);
}

static void selectors(void **state)
{
    static const struct {
        const char *selector;
        bool ok;
    } rows[] = {
        {"{}", true},
        {"{matchLabels: {a: x}}", true},
        {"{matchLabels: {a: x, b: y}}", true},
        {"{matchLabels: {a: y}}", false},
        {"{matchLabels: {c: x}}", false},
        {"{matchExpressions: [{key: a, operator: In, values: [w, x]}]}", true},
        {"{matchExpressions: [{key: a, operator: NotIn, values: [x]}]}", false},
        {"{matchExpressions: [{key: c, operator: NotIn, values: [x]}]}", true},
        {"{matchExpressions: [{key: c, operator: In, values: [x]}]}", false},
        {"{matchExpressions: [{key: a, operator: Exists}]}", true},
        {"{matchExpressions: [{key: a, operator: DoesNotExist}]}", false},
        {"{matchLabels: {a: x}, matchExpressions: [{key: c, operator: Exists}]}", false},
    };
    const struct agw_node *docs;
    struct agw_arena arena;
    struct agw_manifests m;
    size_t i;

    load(NS("n", ", labels: {a: x, b: y}"), &m);
    agw_arena_init(&arena, 1024, 0);
    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(agw_yaml_load(agw_str_c(rows[i].selector), &arena, &docs, NULL), 0);
        if (agw_object_selected(m.objects.first[AGW_KIND_NAMESPACE], docs->first) != rows[i].ok)
            fail_msg("%s", rows[i].selector);
    }
    assert_int_equal(agw_yaml_load(AGW_STR("{matchLabels: {a: x}}"), &arena, &docs, NULL), 0);
    assert_false(agw_object_selected(NULL, docs->first));
    agw_arena_free(&arena);
    agw_manifests_free(&m);
}

static void labels(void **state)
{
    const struct agw_object *o;
    struct agw_manifests m;

    load(NS("n", ", labels: {a: x}, annotations: {b.c/d: y}"), &m);
    o = m.objects.first[AGW_KIND_NAMESPACE];
    assert_string_equal(agw_object_label(o, "a").p, "x");
    assert_string_equal(agw_object_annotation(o, "b.c/d").p, "y");
    assert_int_equal(agw_object_label(o, "b").n, 0);
    agw_manifests_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds), cmocka_unit_test(twice),     cmocka_unit_test(order),
        cmocka_unit_test(lists), cmocka_unit_test(selectors), cmocka_unit_test(labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
