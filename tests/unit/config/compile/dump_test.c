#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "config/dump.h"
#include "config/compile/fixture.h"

static void test_secrets_are_hidden(void **state)
{
    struct fixture f;
    struct agw_chain chain;
    fx_init(&f, NULL, 0);
    fx_bind(&f, "443/ns/gw", 443);
    Pb__Listener *l = fx_listener(&f, "443/ns/gw", "ns/gw.l", "a.com");
    l->protocol = PB__PROTOCOL__HTTPS;
    l->tls = fx_new(&f, &pb__tlsconfig__descriptor);
    l->tls->cert = (ProtobufCBinaryData){5, (uint8_t *)fx_text(&f, "chain")};
    l->tls->private_key = (ProtobufCBinaryData){12, (uint8_t *)fx_text(&f, "TOP-SECRET-1")};
    fx_add(&f, AGW_RESOURCE_LISTENER, l, NULL);
    Pb__Backend *b = fx_static(&f, "ns", "b", "127.0.0.1", 80);
    Pb__BackendPolicySpec__BackendTLS *tls = fx_new(&f, &pb__backend_policy_spec__backend_tls__descriptor);
    tls->_key_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___KEY_KEY;
    tls->key = (ProtobufCBinaryData){12, (uint8_t *)fx_text(&f, "TOP-SECRET-2")};
    Pb__BackendAuthPolicy *auth = fx_new(&f, &pb__backend_auth_policy__descriptor);
    auth->kind_case = PB__BACKEND_AUTH_POLICY__KIND_KEY;
    auth->key = fx_new(&f, &pb__key__descriptor);
    auth->key->secret = fx_text(&f, "TOP-SECRET-3");
    Pb__BackendPolicySpec *specs[] = {fx_backend_policy(&f, PB__BACKEND_POLICY_SPEC__KIND_BACKEND_TLS, tls),
                                      fx_backend_policy(&f, PB__BACKEND_POLICY_SPEC__KIND_AUTH, auth)};
    b->inline_policies = specs;
    b->n_inline_policies = 2;
    fx_add(&f, AGW_RESOURCE_BACKEND, b, NULL);
    Pb__MCPTarget *target = fx_new(&f, &pb__mcptarget__descriptor);
    char *env[] = {fx_text(&f, "TOKEN=TOP-SECRET-4")};
    target->name = fx_text(&f, "t");
    target->stdio = fx_new(&f, &pb__mcptarget__stdio__descriptor);
    target->stdio->cmd = fx_text(&f, "server");
    target->stdio->env = env;
    target->stdio->n_env = 1;
    Pb__Backend *mcp = fx_static(&f, "ns", "mcp", "", 0);
    mcp->kind_case = PB__BACKEND__KIND_MCP;
    mcp->mcp = fx_new(&f, &pb__mcpbackend__descriptor);
    mcp->mcp->targets = &target;
    mcp->mcp->n_targets = 1;
    fx_add(&f, AGW_RESOURCE_BACKEND, mcp, NULL);
    fx_compile(&f);
    agw_chain_init(&chain);
    assert_int_equal(agw_snapshot_dump(f.snap, &chain, NULL), 0);
    char *text = calloc(1, chain.bytes + 1);
    agw_chain_peek(&chain, text, chain.bytes);
    assert_null(strstr(text, "TOP-SECRET"));
    assert_non_null(strstr(text, "<redacted>"));
    assert_non_null(strstr(text, "\"cmd\":\"server\""));
    assert_non_null(strstr(text, "\"key\":\"ns/gw.l\""));
    assert_non_null(strstr(text, "\"address\":\"[::]:443\""));
    assert_non_null(strstr(text, "\"protocol\":\"HTTPS\""));
    free(text);
    agw_chain_clear(&chain);
    fx_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_secrets_are_hidden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
