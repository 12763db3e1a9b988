#include "proxy/server/connect.h"

#include "http/uri.h"

int agw_connect_target(const struct agw_msg *msg, struct agw_str *ret_host, uint16_t *ret_port)
{
    struct agw_str host, port;
    uint64_t number;
    if (msg->method != AGW_METHOD_CONNECT || msg->upgrade.n > 0)
        return 405;
    if (agw_authority_split(msg->path, &host, &port) || host.n == 0 || agw_str_u64(port, &number) ||
        number == 0 || number > UINT16_MAX)
        return 400;
    if (host.p[0] == '[')
        host = agw_str(host.p + 1, host.n - 2);
    *ret_host = host;
    *ret_port = (uint16_t)number;
    return 0;
}

void agw_connect_refuse(struct agw_stream *s, int status)
{
    struct agw_msg m;
    agw_msg_init(&m, s->arena);
    m.status = status;
    m.length = 0;
    agw_stream_write_head(s, &m, true);
    agw_stream_detach(s);
}
