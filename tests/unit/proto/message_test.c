#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "failmalloc.h"
#include "proto/message.h"
#include "proto/resource.pb-c.h"

static int unpack(const void *data, size_t n, struct agw_arena *a, void **m, struct agw_error *err)
{
    agw_arena_init(a, 256, 1 << 20);
    return agw_proto_unpack(&google__protobuf__value__descriptor, data, n, a, m, err);
}

static void test_depth_is_limited(void **state)
{
    /* Value{list_value{values[Value{...}]}}: two levels a round. */
    unsigned char data[1024];
    size_t at = sizeof(data);
    unsigned levels = 0;
    struct agw_arena a;
    struct agw_error err;
    void *m;
    int code = 0;
    while (!code && at > 8 && levels < 100) {
        size_t n = sizeof(data) - at, m1;
        unsigned char head[6];
        unsigned h = 0;
        head[h++] = levels % 2 ? 0x0a : 0x32; /* ListValue.values = 1, Value.list_value = 6 */
        m1 = n;
        if (m1 >= 128) {
            head[h++] = (unsigned char)(m1 & 127) | 128;
            m1 >>= 7;
        }
        head[h++] = (unsigned char)m1;
        at -= h;
        memcpy(data + at, head, h);
        levels++;
        if (levels % 2 == 0)
            continue;
        code = unpack(data + at, sizeof(data) - at, &a, &m, &err);
        agw_arena_free(&a);
    }
    assert_int_equal(code, AGW_ELIMIT);
    assert_in_range(levels, AGW_PROTO_DEPTH - 1, AGW_PROTO_DEPTH + 3);
}

static void test_text_is_checked(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        int code;
    } cases[] = {
        {"\x1a\x02hi", 4, 0},
        {"\x1a\x00", 2, 0},
        {"\x1a\x02h\xff", 4, AGW_EPROTO}, /* not UTF-8 */
        {"\x1a\x03h\0i", 5, AGW_EPROTO},  /* NUL */
        {"\x1a\x05hi", 4, AGW_EPROTO},    /* cut short */
        {"\x1a", 1, AGW_EPROTO},          /* no length */
        {"\x1b\x1c", 2, AGW_EPROTO},      /* a group */
        {"\x02\x00", 2, AGW_EPROTO},      /* field 0 */
        {"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hi", 13, AGW_EPROTO},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, AGW_EPROTO}, /* varint too long */
        {"\xfa\x07\x02\xff\xff", 5, 0},                                   /* unknown field: any bytes */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct agw_arena a;
        void *m;
        assert_int_equal(unpack(cases[i].bytes, cases[i].n, &a, &m, NULL), cases[i].code);
        agw_arena_free(&a);
    }
}

static void test_wrong_wire_type_is_no_crash(void **state)
{
    struct agw_arena a;
    void *m;
    assert_int_equal(unpack("\x18\x01", 2, &a, &m, NULL), AGW_EPROTO); /* string field sent as varint */
    agw_arena_free(&a);
}

static void test_memory_limit(void **state)
{
    /* 2 bytes each, far more in memory. */
    unsigned char data[4096];
    struct agw_arena a;
    void *m;
    for (size_t i = 0; i < sizeof(data); i += 2) {
        data[i] = 0x0a;
        data[i + 1] = 0;
    }
    agw_arena_init(&a, 256, 20000);
    assert_int_equal(
        agw_proto_unpack(&google__protobuf__list_value__descriptor, data, sizeof(data), &a, &m, NULL),
        AGW_ELIMIT);
    agw_arena_free(&a);
}

static void test_optional_keeps_explicit_default(void **state)
{
    struct agw_arena a;
    agw_arena_init(&a, 256, 0);
    Pb__PolicyTarget__GatewayTarget *t = agw_proto_new(&a, &pb__policy_target__gateway_target__descriptor);
    t->_port_case = PB__POLICY_TARGET__GATEWAY_TARGET___PORT_PORT;
    t->port = 0;
    struct agw_str packed = agw_proto_pack(t, &a);
    void *back;
    assert_non_null(packed.p);
    assert_int_equal(packed.n, 2);
    assert_int_equal(
        agw_proto_unpack(&pb__policy_target__gateway_target__descriptor, packed.p, packed.n, &a, &back, NULL),
        0);
    assert_int_equal(((Pb__PolicyTarget__GatewayTarget *)back)->_port_case, t->_port_case);
    agw_arena_free(&a);
}

static void test_duration(void **state)
{
    Google__Protobuf__Duration d;
    google__protobuf__duration__init(&d);
    assert_int_equal(agw_proto_ms(NULL), 0);
    assert_int_equal(agw_proto_ms(&d), 0);
    d.seconds = 2;
    d.nanos = 1;
    assert_int_equal(agw_proto_ms(&d), 2001);
    d.seconds = -1;
    assert_int_equal(agw_proto_ms(&d), 0);
    d.seconds = INT64_MAX;
    d.nanos = 0;
    assert_int_equal(agw_proto_ms(&d), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_text_is_checked),
        cmocka_unit_test(test_wrong_wire_type_is_no_crash),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_optional_keeps_explicit_default),
        cmocka_unit_test(test_duration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
