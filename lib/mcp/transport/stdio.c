/* A process as a target: a message a line, on its standard input and output. One process a session. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "mcp/framing/lines.h"
#include "mcp/transport/link.h"
#include "mcp/transport/supervisor.h"

#define IOV_MAX_HERE 16
#define UNSENT_MAX (16u << 20) /* bytes that a process does not read */

struct stdio_link {
    struct agw_mcp_link link; /* first */
    struct agw_mcp_supervisor *supervisor;
    struct agw_mcp_key process;
    bool started;
    struct agw_list queue; /* letters that wait for it */
    struct agw_watch in, out;
    int out_fd; /* kept while it is not watched */
    struct agw_chain unsent;
    struct agw_mcp_lines lines;
    bool lost; /* it went away, not we */
};

/* --- to the process --- */

static void broken(struct stdio_link *s, int code)
{
    s->lost |= code == AGW_ERESET;
    agw_mcp_link_broken(&s->link, 0, code);
}

static void flush(struct stdio_link *s)
{
    struct iovec iov[IOV_MAX_HERE];
    while (s->started && s->in.fd >= 0 && !agw_chain_empty(&s->unsent)) {
        int count = agw_chain_iov(&s->unsent, iov, IOV_MAX_HERE);
        ssize_t n = writev(s->in.fd, iov, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            broken(s, AGW_ERESET);
            return;
        }
        agw_chain_consume(&s->unsent, (size_t)n);
    }
}

static void on_writable(struct agw_watch *w, unsigned events)
{
    struct stdio_link *s = agw_container_of(w, struct stdio_link, in);
    if (events & AGW_HANGUP)
        broken(s, AGW_ERESET);
    else
        flush(s);
}

/* Line ends in JSON are white space alone, and would end the message here. */
static void make_one_line(struct agw_block *b)
{
    for (uint32_t i = 0; i < b->len; i++)
        if (b->data[i] == '\n' || b->data[i] == '\r')
            b->data[i] = ' ';
}

static int write_letter(struct stdio_link *s, struct agw_mcp_letter *m)
{
    if (s->unsent.bytes + m->body->len > UNSENT_MAX)
        return AGW_ELIMIT;
    make_one_line(m->body);
    int rc = agw_chain_add(&s->unsent, m->body, m->body->data, m->body->len);
    return rc == 0 ? agw_chain_add_static(&s->unsent, "\n", 1) : rc;
}

static void deliver(struct stdio_link *s, struct agw_mcp_letter *m)
{
    int rc = write_letter(s, m);
    agw_mcp_link_sent(&s->link, m, rc == 0 ? 202 : 0, rc);
    agw_mcp_letter_release(m);
    if (rc == AGW_ENOMEM) /* half a message may stand there */
        broken(s, rc);
    else
        flush(s);
}

static void stdio_send(struct agw_mcp_link *l, struct agw_mcp_letter *m)
{
    struct stdio_link *s = (struct stdio_link *)l;
    m->busy = true;
    if (s->started)
        deliver(s, m);
    else
        agw_list_push(&s->queue, &m->out);
}

/* --- from the process --- */

static int take_bytes(struct stdio_link *s, struct agw_str bytes)
{
    struct agw_block *line;
    int rc;
    while ((rc = agw_mcp_lines_next(&s->lines, &bytes, &line)) == 1)
        agw_mcp_link_message(&s->link, line);
    return rc;
}

/* Level-triggered: one read an event is fair to the rest of the worker. */
static void on_readable(struct agw_watch *w, unsigned events)
{
    struct stdio_link *s = agw_container_of(w, struct stdio_link, out);
    struct agw_block *b = agw_block_get(&s->link.transports->loop->blocks);
    ssize_t n = b ? read(w->fd, b->data, b->cap) : -1;
    bool again = b && n < 0 && (errno == EAGAIN || errno == EINTR);
    int rc = !b      ? AGW_ENOMEM
             : again ? 0
             : n > 0 ? take_bytes(s, agw_str((const char *)b->data, (size_t)n))
                     : AGW_ERESET;
    agw_block_unref(b);
    if (rc == 0)
        return;
    agw_watch_remove(s->link.transports->loop, &s->out);
    broken(s, rc);
}

static void stdio_pause(struct agw_mcp_link *l, bool paused)
{
    struct stdio_link *s = (struct stdio_link *)l;
    if (!s->started || l->broken)
        return;
    if (paused)
        agw_watch_remove(l->transports->loop, &s->out);
    else if (s->out.fd < 0 && agw_watch_add_level(l->transports->loop, &s->out, s->out_fd) != 0)
        broken(s, AGW_ENOMEM);
}

/* --- beginning and end --- */

static void stdio_close(struct agw_mcp_link *l)
{
    struct stdio_link *s = (struct stdio_link *)l;
    struct agw_list *node;
    int in = s->in.fd;
    while ((node = agw_list_pop(&s->queue)))
        agw_mcp_letter_release(agw_list_entry(node, struct agw_mcp_letter, out));
    agw_watch_remove(l->transports->loop, &s->in);
    agw_watch_remove(l->transports->loop, &s->out);
    if (in >= 0)
        close(in);
    if (s->out_fd >= 0)
        close(s->out_fd);
    if (s->started)
        agw_mcp_supervisor_stop(s->supervisor, s->process, !s->lost);
    agw_chain_clear(&s->unsent);
    agw_mcp_lines_free(&s->lines);
    free(s);
}

static const struct agw_mcp_link_ops stdio_ops = {stdio_send, stdio_pause, stdio_close};

static void begin(struct stdio_link *s, struct agw_mcp_job *job)
{
    struct agw_loop *loop = s->link.transports->loop;
    struct agw_list batch, *node;
    s->started = true;
    s->process = job->process;
    s->out_fd = job->out;
    job->out = -1;
    if (agw_watch_add_level(loop, &s->out, s->out_fd) != 0 || agw_watch_add(loop, &s->in, job->in) != 0) {
        broken(s, AGW_ENOMEM);
        return;
    }
    job->in = -1;
    agw_list_move(&batch, &s->queue);
    while ((node = agw_list_pop(&batch)))
        deliver(s, agw_list_entry(node, struct agw_mcp_letter, out));
}

void agw_mcp_job_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct agw_mcp_job *job = (struct agw_mcp_job *)mail;
    struct stdio_link *s = t ? (struct stdio_link *)agw_mcp_link_find(t, &job->link) : NULL;
    if (s && job->kind == AGW_MCP_JOB_STARTED)
        begin(s, job);
    else if (s)
        broken(s, job->kind == AGW_MCP_JOB_FAILED ? job->code : AGW_ERESET);
    else if (t && job->kind == AGW_MCP_JOB_STARTED) /* nobody wants it any more */
        agw_mcp_supervisor_stop(agw_mcp_hub_supervisor(t->hub), job->process, true);
    if (job->in >= 0)
        close(job->in);
    if (job->out >= 0)
        close(job->out);
    free(job);
}

int agw_mcp_stdio_open(struct agw_mcp_call *c, struct agw_mcp_link_name *ret_name)
{
    struct agw_mcp_supervisor *supervisor = agw_mcp_hub_supervisor(c->transports->hub);
    if (!supervisor)
        return AGW_EUNSUPPORTED;
    struct stdio_link *s = calloc(1, sizeof *s);
    if (!s)
        return AGW_ENOMEM;
    s->supervisor = supervisor;
    s->in = (struct agw_watch){.fd = -1, .on_event = on_writable};
    s->out = (struct agw_watch){.fd = -1, .on_event = on_readable};
    s->out_fd = -1;
    agw_list_init(&s->queue);
    agw_chain_init(&s->unsent);
    int rc = agw_mcp_link_init(&s->link, &stdio_ops, c->transports, NULL);
    if (rc != 0) {
        free(s);
        return rc;
    }
    rc = agw_mcp_supervisor_start(supervisor, c->target->stdio, c->target->name, &s->link.name);
    if (rc != 0) {
        broken(s, rc);
        return rc;
    }
    *ret_name = s->link.name;
    return 0;
}
