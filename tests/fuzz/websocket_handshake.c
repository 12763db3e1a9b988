/* The two ends of a WebSocket handshake on any key and any answer to it: what one end computes the other
 * takes, and nothing else. The input is the key, a line end, and the accept. */
#include "base/check.h"
#include "base/err.h"
#include "websocket/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_str text = agw_str((const char *)data, size), key = text, accept = AGW_STR("");
    ptrdiff_t cut = agw_str_find(text, '\n');
    struct agw_arena arena;
    struct agw_msg req, resp;

    if (cut >= 0) {
        key = agw_str(text.p, (size_t)cut);
        accept = agw_str_from(text, (size_t)cut + 1);
    }
    agw_arena_init(&arena, 1024, 0);
    agw_msg_init(&req, &arena);
    agw_msg_init(&resp, &arena);
    agw_check(!agw_headers_add(&req.headers, AGW_HDR_OTHER, AGW_STR("sec-websocket-key"), key));
    agw_check(!agw_headers_add(&resp.headers, AGW_HDR_OTHER, AGW_STR("sec-websocket-accept"), accept));
    bool accepted = agw_websocket_accepted(&resp.headers, &req.headers);

    int rc = agw_websocket_add_accept(&resp.headers, &req.headers);
    agw_check(rc == 0 || (rc == AGW_EINVAL && !accepted));
    if (rc == 0) {
        struct agw_str own = agw_headers_find(&resp.headers, AGW_STR("sec-websocket-accept"))->value;
        agw_check(resp.headers.n == 1 && own.n == 28 && agw_header_value_valid(own));
        agw_check(agw_websocket_accepted(&resp.headers, &req.headers));
        agw_check(accepted == agw_str_eq(own, accept));
    }
    agw_check(!agw_websocket_is(text) || text.n == 9);
    if (size >= AGW_WEBSOCKET_NONCE) {
        agw_check(!agw_websocket_add_key(&req.headers, data));
        agw_check(req.headers.n == 1 && !agw_websocket_add_accept(&resp.headers, &req.headers));
    }
    agw_arena_free(&arena);
    return 0;
}
