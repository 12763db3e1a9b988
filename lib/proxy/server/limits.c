/* What a connection of a client may do, and for how long. */
#include <stdlib.h>
#include "proxy/server/server_conn.h"

const struct agw_server_limits agw_server_default_limits = {
    .idle_ms =
        75000, /* longer than common clients and proxies in front keep theirs (60 s), so they close first */
    .head_ms = 15000,          /* a slow phone sends its head in this; a slow-loris gives up its slot */
    .stall_ms = 60000,         /* a reader that takes nothing for a minute is gone */
    .body_ms = 60000,          /* and so is a sender: what nginx waits between two reads */
    .stream_idle_ms = 3600000, /* as relayed connections: event streams are quiet for long */
    .body_rate = 240,          /* bytes a second: a bad modem is ten times faster */
    .pong_ms = 20000,          /* what implementations of HTTP/2 commonly wait */
    .h1 = &agw_h1_default_limits,
    .h2 = &agw_h2_default_limits,
};

struct own {
    struct agw_server_limits l;
    struct agw_h1_limits h1;
    struct agw_h2_limits h2;
};

static void set(uint32_t *to, uint32_t value)
{
    if (value)
        *to = value;
}

struct agw_server_limits *agw_server_limits_new(const struct agw_server_limits *base,
                                                const struct agw_front *f, bool h2)
{
    struct own *o = malloc(sizeof(*o));
    if (!o)
        return NULL;
    *o = (struct own){*base, *base->h1, *base->h2};
    o->l.h1 = &o->h1;
    o->l.h2 = &o->h2;
    set(&o->l.duration_ms, f->duration_ms);
    set(&o->l.buffer_max, f->buffer_max);
    if (!h2)
        set(&o->l.idle_ms, f->h1_idle_ms);
    set(&o->l.ping_ms, f->h2_ping_ms);
    set(&o->l.pong_ms, f->h2_pong_ms);
    set(&o->h1.headers, f->h1_headers);
    o->h1.keep_case = f->h1_keep_case;
    set(&o->h2.stream_window, f->h2_window);
    set(&o->h2.conn_window, f->h2_conn_window);
    set(&o->h2.frame, f->h2_frame);
    set(&o->h2.header_list, f->h2_header_list);
    return &o->l;
}
