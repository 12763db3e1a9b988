/* Limits on what a peer may make us do (RFC 9113 section 10.5). */
#include "h2/h2_int.h"
#include "http/stream.h"

const struct agw_h2_limits agw_h2_default_limits = {
    /* Enough for a browser or an agent's fan-out; a stream costs some 4 KiB before it has a body. */
    .streams = 128,
    /* As large as the head of an HTTP/1.1 request may be, with room for the 32 bytes a field that the RFC
       adds. */
    .header_list = 64 * 1024,
    /* Browsers split cookies into one field a crumb: more fields than HTTP/1.1 has lines. */
    .headers = 256,
    .stream_window = AGW_STREAM_WINDOW,
    /* Sixteen stalled streams before the others feel it; bounds the body bytes a connection makes us hold. */
    .conn_window = 1024 * 1024,
    /* A user who closes a page resets all streams at once, some times in a row. Rapid reset (CVE-2023-44487)
     * needs thousands a second; counted are the resets a peer sends and those its errors make us send. */
    .resets_burst = 512,
    .resets_rate = 64,
    /* A gRPC peer pings with each burst of data, a new connection sends SETTINGS, WINDOW_UPDATE and some
     * PRIORITY. WINDOW_UPDATEs in answer to our DATA are paid for by it (CREDIT). */
    .control_burst = 1024,
    .control_rate = 256,
};

/* WINDOW_UPDATEs that one DATA frame may draw: stream and connection, and a PING that measures bandwidth. */
#define CREDIT 3

static bool take(struct agw_h2_bucket *b, uint32_t burst, uint32_t rate, uint64_t now_ms)
{
    uint64_t gained = rate > 0 ? (now_ms - b->filled_ms) * rate / 1000 : 0;
    if (gained > 0) {
        b->tokens = gained >= burst - b->tokens ? burst : b->tokens + (uint32_t)gained;
        b->filled_ms = b->tokens == burst ? now_ms : b->filled_ms + gained * 1000 / rate;
    }
    if (b->tokens == 0)
        return false;
    b->tokens--;
    return true;
}

void agw_h2_limits_init(struct agw_h2 *h)
{
    h->resets.tokens = h->limits->resets_burst;
    h->control.tokens = h->limits->control_burst;
}

bool agw_h2_count_control(struct agw_h2 *h)
{
    if (take(&h->control, h->limits->control_burst, h->limits->control_rate, h->now_ms))
        return true;
    agw_h2_fail(h, AGW_ELIMIT);
    return false;
}

bool agw_h2_count_reset(struct agw_h2 *h)
{
    if (take(&h->resets, h->limits->resets_burst, h->limits->resets_rate, h->now_ms))
        return true;
    agw_h2_fail(h, AGW_ELIMIT);
    return false;
}

void agw_h2_credit_control(struct agw_h2 *h)
{
    uint32_t burst = h->limits->control_burst;
    h->control.tokens = burst - h->control.tokens < CREDIT ? burst : h->control.tokens + CREDIT;
}
