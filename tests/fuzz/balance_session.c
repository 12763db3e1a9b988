/* What clients bring back of sessions: any cookie field, and any bytes inside an authentic seal. What is read
 * must be within its times. */
#include <string.h>
#include "balance/session.h"
#include "base/check.h"
#include "http/cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct agw_persistence how = {.name = {"s", 1}, .absolute_s = 1000, .idle_s = 100};
static const struct agw_route route = {.key = {"r", 1}};

static void read_cookie(const struct agw_siv *siv, struct agw_str field, struct agw_arena *arena)
{
    struct agw_msg req;
    agw_msg_init(&req, arena);
    agw_check(agw_headers_add_id(&req.headers, AGW_HDR_COOKIE, field) == 0);
    struct agw_session s = agw_session_read(siv, &how, &route, &req, 5000);
    agw_check(s.backend == 0 || (s.begun_s >= 4000 && s.seen_s >= 4900));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct agw_siv *siv;
    static const unsigned char key[32];
    struct agw_arena arena;
    char text[2 + AGW_SIV_SIZE(AGW_SIV_MAX)] = "s=";
    size_t n;
    if (!siv)
        agw_check((siv = agw_siv_new(key, AGW_STR(AGW_SESSION_PURPOSE))));
    agw_arena_init(&arena, 1024, 0);
    struct agw_str in = agw_str((const char *)data, size);
    read_cookie(siv, in, &arena);
    if (size > 0 && size <= AGW_SIV_MAX && agw_siv_close(siv, in, text + 2, &n) == 0)
        read_cookie(siv, agw_str(text, n + 2), &arena);
    agw_arena_free(&arena);
    return 0;
}
