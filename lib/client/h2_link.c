#include "client/h2_link.h"

/* Bytes framed ahead of the socket: fills a socket buffer at once and bounds what a slow peer holds. */
#define OUT_MAX (128 * 1024)
/* Bytes read in one go before other connections have their turn. */
#define READ_MAX (256 * 1024)
/* Frames that wait while the socket is full: above, the peer's requests are left in the socket. */
#define BACKLOG_MAX 1024

static void over(struct agw_h2_link *l, int code)
{
    l->over = true;
    l->on_over(l, code);
}

/* Moves what the session has to say to the socket. 0, AGW_EAGAIN, or an error. */
static int write_out(struct agw_h2_link *l)
{
    do {
        int rc = agw_h2_output(l->h2, &l->out.chain, OUT_MAX);
        if (rc == 0 && l->out.chain.bytes > 0)
            rc = agw_output_write(&l->out);
        if (rc)
            return rc;
    } while (agw_h2_want_write(l->h2));
    return 0;
}

static void run_turn(struct agw_task *t)
{
    struct agw_h2_link *l = agw_container_of(t, struct agw_h2_link, task);
    if (l->on_turn)
        l->on_turn(l);
    if (l->over)
        return;
    int rc = write_out(l);
    if (rc && rc != AGW_EAGAIN) {
        over(l, rc);
        return;
    }
    if (rc == 0 && agw_h2_done(l->h2)) {
        over(l, agw_h2_error(l->h2));
        return;
    }
    if (l->reading_paused && agw_h2_backlog(l->h2) < BACKLOG_MAX / 2) {
        l->reading_paused = false;
        agw_conn_want_read(l->conn);
    }
}

static void no_flush(struct agw_output *out, int code)
{
    (void)out;
    (void)code;
}

void agw_h2_link_init(struct agw_h2_link *l, struct agw_conn *conn, struct agw_h2 *h2, struct agw_input *in)
{
    *l = (struct agw_h2_link){.conn = conn, .h2 = h2};
    agw_input_init(&l->in);
    if (in && in->n > 0) {
        l->in = *in;
        agw_input_init(in);
        agw_conn_want_read(conn);
    }
    agw_output_init(&l->out, conn, no_flush);
    agw_task_init(&l->task, run_turn);
}

void agw_h2_link_free(struct agw_h2_link *l, int code)
{
    l->over = true;
    agw_h2_free(l->h2, code);
    l->h2 = NULL;
    agw_task_cancel(&l->task);
    agw_output_free(&l->out);
    agw_input_free(&l->in);
}

/* The session or the socket gave up: what can be said (GOAWAY) is said. */
static void break_off(struct agw_h2_link *l, int code)
{
    write_out(l);
    over(l, code);
}

static int feed(struct agw_h2_link *l)
{
    int rc = agw_h2_input(l->h2, l->in.block, l->in.p, l->in.n, l->conn->loop->now_ms);
    agw_input_take(&l->in, l->in.n);
    return rc;
}

/* Reads until the socket is empty. 0, or why the connection is over. */
static int read_in(struct agw_h2_link *l)
{
    struct agw_conn *c = l->conn;
    size_t total = 0;
    for (;;) {
        if (!c->write_ready && agw_h2_backlog(l->h2) > BACKLOG_MAX) {
            l->reading_paused = true;
            return 0;
        }
        if (total >= READ_MAX) {
            agw_conn_want_read(c);
            return 0;
        }
        int rc = l->in.n > 0 ? 0 : agw_input_fill(&l->in, c, AGW_BLOCK_SIZE);
        if (rc)
            return rc == AGW_EAGAIN ? 0 : rc;
        total += l->in.n;
        rc = feed(l);
        if (rc)
            return rc;
    }
}

void agw_h2_link_readable(struct agw_h2_link *l)
{
    int rc = read_in(l);
    agw_input_free(&l->in); /* nothing is ever left in it: the session takes all */
    if (rc)
        break_off(l, rc);
    else
        agw_h2_link_kick(l);
}

void agw_h2_link_writable(struct agw_h2_link *l)
{
    agw_h2_link_kick(l);
}

int agw_h2_link_check(struct agw_h2_link *l)
{
    int rc = agw_h2_sweep(l->h2);
    if (rc == 0 && l->out.chain.bytes > 0 && l->out.sent == l->sent_before)
        rc = AGW_ETIMEOUT;
    l->sent_before = l->out.sent;
    agw_h2_link_kick(l);
    return rc;
}
