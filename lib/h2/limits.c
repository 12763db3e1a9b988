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
    /* As of HTTP/1.1: browsers and proxies stop at 8 KiB or above. */
    .target = 16384,
    .stream_window = AGW_STREAM_WINDOW,
    /* Sixteen stalled streams before the others feel it; bounds the body bytes a connection makes us hold. */
    .conn_window = 1024 * 1024,
    /* The least there is (RFC 9113 section 4.2): larger ones make other streams wait. */
    .frame = 16384,
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

/* --- bodies that come slowly --- */

static bool awaits_body(const struct agw_h2_stream *st)
{
    /* Window is given back once half of it was consumed: above that the peer may have none. */
    return st->user && st->head_done && !st->remote_end && !st->submitted && !st->extended && !st->unpaced &&
           st->unconsumed <= st->h->limits->stream_window / 2;
}

static void pace(struct agw_h2_stream *st, uint32_t elapsed_ms, uint32_t rate, uint32_t most_ms)
{
    uint64_t gained = rate ? (uint64_t)st->came * 1000 / rate : st->came ? most_ms : 0;
    uint64_t left = st->body_left_ms + gained;
    bool begun = st->body_left_ms > 0;
    st->came = 0;
    if (!begun) {
        st->body_left_ms = most_ms;
    } else if (left <= elapsed_ms) {
        agw_h2_stream_abort(st, AGW_ETIMEOUT);
    } else {
        left -= elapsed_ms;
        st->body_left_ms = left < most_ms ? (uint32_t)left : most_ms;
    }
}

void agw_h2_pace(struct agw_h2 *h, uint32_t elapsed_ms, uint32_t rate, uint32_t most_ms)
{
    struct agw_list *node, *tmp;
    if (h->error || h->mem.failed || most_ms == 0 ||
        nghttp2_session_get_effective_recv_data_length(h->ng) >
            nghttp2_session_get_effective_local_window_size(h->ng) / 2)
        return;
    agw_list_each (node, tmp, &h->open) {
        struct agw_h2_stream *st = agw_list_entry(node, struct agw_h2_stream, open);
        if (awaits_body(st))
            pace(st, elapsed_ms, rate, most_ms);
        else
            st->came = 0;
    }
}

void agw_h2_unpaced(struct agw_h2_stream *st, bool unpaced)
{
    st->unpaced = unpaced;
}

uint64_t agw_h2_section_age(const struct agw_h2 *h, uint64_t now_ms)
{
    return h->section && now_ms > h->section_ms ? now_ms - h->section_ms : 0;
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
