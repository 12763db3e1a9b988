/* What gRPC peers write in fields: a deadline is the same number counted another way; a status that comes out
 * is one; a message that goes out is a field's value and decodes to what went in. */
#include "base/check.h"
#include "base/err.h"
#include "grpc/message.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_timeout(struct agw_str text)
{
    static const char units[] = "HMSmun";
    static const double unit_ms[] = {3600e3, 60e3, 1e3, 1, 1e-3, 1e-6};
    uint32_t ms = 0;

    if (agw_grpc_timeout_ms(text, &ms)) {
        agw_check(ms == 0);
        return;
    }
    agw_check(text.n >= 2 && text.n <= 9 && ms >= 1);
    const char *unit = strchr(units, text.p[text.n - 1]);
    agw_check(unit && *unit);
    double exact = 0;
    for (size_t i = 0; i + 1 < text.n; i++)
        exact = exact * 10 + (text.p[i] - '0');
    exact *= unit_ms[unit - units];
    agw_check(exact >= UINT32_MAX ? ms == UINT32_MAX : ms <= exact + 1 && exact < ms + 1.001);
}

static void check_fields(struct agw_str text, struct agw_arena *arena)
{
    struct agw_msg m;
    agw_msg_init(&m, arena);
    m.version = AGW_HTTP_2;
    agw_check(!agw_headers_add_id(&m.headers, AGW_HDR_CONTENT_TYPE, text));
    agw_check(!agw_headers_add(&m.headers, AGW_HDR_OTHER, AGW_STR("grpc-status"), text));
    agw_check(!agw_grpc_is_request(&m) || text.n >= 16);
    enum agw_grpc_status status = agw_grpc_status_in(&m.headers);
    agw_check(status >= AGW_GRPC_NONE && status <= AGW_GRPC_STATUS_MAX);
    agw_check((agw_grpc_status_text(status).n == 0) == (status == AGW_GRPC_NONE));
}

static void check_reply(struct agw_str text, struct agw_arena *arena)
{
    struct agw_msg m;
    agw_msg_init(&m, arena);
    m.status = 503;
    agw_check(!agw_grpc_make_reply(&m, text));
    const struct agw_header *f = agw_headers_find(&m.headers, AGW_STR("grpc-message"));
    agw_check(!f == (text.n == 0));
    agw_check(agw_grpc_status_in(&m.headers) == AGW_GRPC_UNAVAILABLE);
    if (!f)
        return;
    agw_check(agw_header_value_valid(f->value));
    agw_check(agw_str_eq(agw_percent_decode(f->value, false, arena), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_str text = agw_str((const char *)data, size);
    struct agw_arena arena;

    agw_arena_init(&arena, 1024, 0);
    check_timeout(text);
    check_fields(text, &arena);
    check_reply(text, &arena);
    agw_arena_free(&arena);
    return 0;
}
