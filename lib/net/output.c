#include "net/output.h"

#define FLUSH_IOV 64 /* slices a writev: 64 blocks are 1 MiB, more than a socket buffer takes */

static void flush(struct agw_task *t)
{
    struct agw_output *out = agw_container_of(t, struct agw_output, flush);
    if (!out->conn->ready)
        return;
    int rc = agw_output_write(out);
    out->on_flush(out, rc == AGW_EAGAIN ? 0 : rc);
}

void agw_output_init(struct agw_output *out, struct agw_conn *conn,
                     void (*on_flush)(struct agw_output *out, int code))
{
    agw_chain_init(&out->chain);
    out->conn = conn;
    out->sent = 0;
    out->on_flush = on_flush;
    agw_task_init(&out->flush, flush);
}

void agw_output_free(struct agw_output *out)
{
    agw_task_cancel(&out->flush);
    agw_chain_clear(&out->chain);
}

int agw_output_write(struct agw_output *out)
{
    while (out->chain.bytes > 0) {
        struct iovec iov[FLUSH_IOV];
        int count = agw_chain_iov(&out->chain, iov, FLUSH_IOV);
        ssize_t n = agw_conn_writev(out->conn, iov, count);
        if (n < 0)
            return (int)n;
        out->sent += (uint64_t)n;
        agw_chain_consume(&out->chain, (size_t)n);
    }
    return 0;
}
