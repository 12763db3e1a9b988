/* What a configuration says of the connections of clients that speak HTTP: a part of the snapshot, taken by
 * who serves them (proxy/server/server_conn.h). 0: it does not say, and the gateway's own value holds. */
#ifndef AGW_HTTP_FRONT_H
#define AGW_HTTP_FRONT_H

#include <stdbool.h>
#include <stdint.h>

struct agw_front {
    uint32_t buffer_max;             /* bytes of a body that is held until it is whole */
    uint32_t duration_ms;            /* a connection takes no request after this */
    uint32_t h1_idle_ms, h1_headers; /* between requests; number of fields */
    uint32_t h2_window, h2_conn_window, h2_frame, h2_header_list; /* bytes */
    bool h1_keep_case;               /* names of fields go on to HTTP/1.1 as they came */
    uint32_t h2_ping_ms, h2_pong_ms; /* silence after which the client is asked for life; for its answer */
};

#endif
