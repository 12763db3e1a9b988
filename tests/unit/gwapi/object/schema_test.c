/* What a table of fields refuses, word for word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "gwapi/object/read.h"

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

#define SVC(spec) "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n" spec
#define AT(line, rest) "m.yaml:" line ": Service default/s: " rest "\n"

static void fields(void **state)
{
    expect(SVC("  ports: [{port: 1}]\n"), "");
    expect(SVC("  prots: []\n"), AT("5", "spec.prots: unknown field (did you mean ports?)"));
    expect(SVC("  zzz: 1\n"), AT("5", "spec.zzz: unknown field"));
    expect(SVC("  ports:\n  - {name: a}\n"), AT("6", "spec.ports[0].port: is required"));
    expect(SVC("  ports:\n  - {port: null}\n"), AT("6", "spec.ports[0].port: is required"));
    expect("apiVersion: v1\nkind: Service\nspec: {}\n",
           "m.yaml:1: Service default/?: metadata: is required\n");
}

static void types(void **state)
{
    expect(SVC("  ports: {}\n"), AT("5", "spec.ports: must be a list, is a map"));
    expect(SVC("  ports: [1]\n"), AT("5", "spec.ports[0]: must be a map, is a number"));
    expect(SVC("  ports: [{port: '80'}]\n"), AT("5", "spec.ports[0].port: must be a whole number, is text"));
    expect(SVC("  ports: [{port: 8.5}]\n"),
           AT("5", "spec.ports[0].port: must be a whole number, is a number"));
    expect(SVC("  externalName: 12\n"), AT("5", "spec.externalName: must be text, is a number (quote it)"));
    expect(SVC("  selector: {a: true}\n"), AT("5", "spec.selector.a: must be text, is a boolean (quote it)"));
    expect(SVC("  selector: [a]\n"), AT("5", "spec.selector: must be a map, is a list"));
}

static void values(void **state)
{
    expect(SVC("  ports: [{port: 0}, {port: 65536}]\n"),
           AT("5", "spec.ports[0].port: must be 1 to 65535, is 0")
               AT("5", "spec.ports[1].port: must be 1 to 65535, is 65536"));
    expect(SVC("  type: Foo\n"),
           AT("5", "spec.type: \"Foo\" is not one of ClusterIP, NodePort, LoadBalancer, ExternalName"));
    expect(SVC("  externalName: A_B\n"),
           AT("5", "spec.externalName: \"A_B\" is not a DNS name (a-z, 0-9, - and ., at most "
                   "253 characters)"));
    expect(SVC("  ports: [{port: 1, appProtocol: ''}]\n"),
           AT("5", "spec.ports[0].appProtocol: must have 1 to 317 characters, has 0"));
    expect(SVC("  clusterIPs: [a, b, c]\n"), AT("5", "spec.clusterIPs: must have at most 2 items, has 3"));
    expect("apiVersion: v1\nkind: Service\nmetadata: {name: S}\nspec: {}\n",
           "m.yaml:3: Service default/S: metadata.name: \"S\" is not a DNS name (a-z, 0-9, - and ., at most "
           "253 characters)\n");
}

static void unserved(void **state)
{
    expect("apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayBackend\nmetadata: {name: b}\n"
           "spec:\n  static: {host: a, port: 1}\n  policies:\n    tunnel: {key: x}\n",
           "m.yaml:7: AgentgatewayBackend default/b: spec.policies.tunnel: is not served by this version\n");
}

/* At most 20 of each level are kept. */
static void many(void **state)
{
    struct agw_manifests m;
    struct agw_report r;
    struct agw_report_item *i;
    char yaml[4096] = SVC("");
    unsigned kept = 0, n;

    for (n = 0; n < 100; n++)
        snprintf(yaml + strlen(yaml), sizeof(yaml) - strlen(yaml), "  zzzzzz%u: 1\n", n);
    agw_report_init(&r);
    assert_int_equal(agw_manifests_parse("m.yaml", agw_str_c(yaml), &m, &r), 0);
    for (i = r.first; i; i = i->next)
        kept++;
    assert_int_equal(kept, AGW_REPORT_MAX_ITEMS);
    assert_int_equal(r.count[AGW_REPORT_ERROR], 100);
    agw_manifests_free(&m);
    agw_report_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),   cmocka_unit_test(types), cmocka_unit_test(values),
        cmocka_unit_test(unserved), cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
