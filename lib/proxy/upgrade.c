/* Upgrades: an exchange that becomes a tunnel of bytes. In HTTP/1.1 that is Upgrade and 101 (RFC 9110 section
 * 7.8), in HTTP/2 extended CONNECT and 200 (RFC 8441). Here both are a GET that asks for an upgrade and an
 * answer with 101; the codecs write what their version has. */
#include "base/rng.h"
#include "proxy/exchange_int.h"
#include "websocket/websocket.h"

/* Protocols that would change the connection, not one exchange on it: a backend that took one would read what
 * follows by other rules than we. Nobody must take up an offer (RFC 9110 section 7.8). */
static bool is_of_connection(struct agw_str protocol)
{
    return agw_str_ieq(protocol, AGW_STR("h2c")) ||
           (protocol.n >= 5 && agw_str_ieq(agw_str(protocol.p, 5), AGW_STR("http/"))) ||
           (protocol.n >= 4 && agw_str_ieq(agw_str(protocol.p, 4), AGW_STR("tls/")));
}

/* True if one of a list's members is; an offer may name several. */
static bool offers_connection(struct agw_str list)
{
    size_t at = 0;
    while (at < list.n) {
        size_t end = at;
        while (end < list.n && list.p[end] != ',')
            end++;
        struct agw_str one = agw_str_trim(agw_str(list.p + at, end - at));
        if (is_of_connection(one))
            return true;
        at = end + 1;
    }
    return false;
}

int agw_exchange_upgrade_begin(struct agw_exchange *x)
{
    struct agw_msg *req = x->req;
    if (req->upgrade.n == 0)
        return 0;
    if (req->version != AGW_HTTP_2 && offers_connection(req->upgrade)) {
        req->upgrade = AGW_STR("");
        agw_headers_remove(&req->headers, AGW_STR("http2-settings"));
        x->req_end = true; /* what follows is the next request */
        return 0;
    }
    x->upgrade_due = true;
    if (!agw_websocket_is(req->upgrade))
        return 0;
    req->upgrade = AGW_STR("websocket");
    if (req->version != AGW_HTTP_2)
        return 0;
    uint64_t nonce[AGW_WEBSOCKET_NONCE / sizeof(uint64_t)];
    for (size_t i = 0; i < AGW_ARRAY_LEN(nonce); i++)
        nonce[i] = agw_rng_next(&x->worker->loop.rng);
    return agw_websocket_add_key(&req->headers, (const unsigned char *)nonce);
}

/* Not taken up: the answer is an ordinary one, and the client has nothing more to say. */
static void refused(struct agw_exchange *x)
{
    agw_chain_clear(&x->held);
    if (x->req->version != AGW_HTTP_2)
        x->req_end = true; /* its connection goes on with the next request */
    if (x->up && !x->req_sent) {
        x->req_sent = true;
        agw_stream_write_end(x->up, NULL);
    }
}

/* 0, or the status of the gateway's own answer, with *ret_why. */
static int check_websocket(struct agw_exchange *x, const char **ret_why)
{
    const struct agw_headers *req = &x->req->headers;
    if (x->resp->version == AGW_HTTP_2) {
        int rc = x->req->version == AGW_HTTP_2 ? 0 : agw_websocket_add_accept(&x->resp->headers, req);
        *ret_why = rc == AGW_ENOMEM ? "out of memory" : "no valid Sec-WebSocket-Key";
        return rc == 0 ? 0 : rc == AGW_ENOMEM ? 503 : 400;
    }
    *ret_why = "the backend's Sec-WebSocket-Accept is wrong";
    return x->req->version != AGW_HTTP_2 || agw_websocket_accepted(&x->resp->headers, req) ? 0 : 502;
}

int agw_exchange_upgrade_answer(struct agw_exchange *x, const char **ret_why)
{
    x->upgrade_due = false;
    if (x->resp->status != 101) {
        refused(x);
        return 0;
    }
    int status = agw_websocket_is(x->req->upgrade) ? check_websocket(x, ret_why) : 0;
    if (status)
        return status;
    if (x->resp->upgrade.n == 0)
        x->resp->upgrade = x->req->upgrade;
    x->upgraded = true;
    return 0;
}
