#include "mcp/transport/supervisor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "base/map.h"
#include "mcp/transport/spawn.h"

#define FIRST_DELAY_MS 100
#define WINDOW_MS 10000  /* for AGW_MCP_PROCESS_LINES */
#define RECORDS_MAX 1024 /* programs whose failures are remembered */

/* A program that has failed. */
struct record {
    unsigned failures; /* in a row */
    uint64_t next_ms;  /* not to be started before */
    char command[];    /* key */
};

struct process {
    struct agw_mcp_supervisor *s;
    struct agw_list node;
    struct agw_arena arena;
    struct agw_mcp_link_name link;
    struct agw_mcp_key key;
    const char *const *argv, *const *env;
    bool clear_env;
    struct agw_str name, command;
    struct agw_timer timer; /* waits to start, or for its end */
    struct agw_watch pid_watch, err_watch;
    pid_t pid; /* 0: does not run */
    uint64_t started_ms;
    bool asked, terminated; /* to end; by a signal */
    char line[AGW_MCP_PROCESS_LINE];
    size_t line_n;
    uint64_t window_ms;
    unsigned lines; /* in this window */
};

struct agw_mcp_supervisor {
    struct agw_mcp_hub *hub;
    struct agw_loop loop;
    pthread_t thread;
    struct agw_list processes;
    struct agw_mcp_slots slots;
    struct agw_map records;
    bool ending;
};

/* --- failures --- */

static struct record *record_of(struct agw_mcp_supervisor *s, struct agw_str command, bool make)
{
    struct record *r = agw_map_get(&s->records, command);
    if (r || !make || s->records.count >= RECORDS_MAX || !(r = calloc(1, sizeof *r + command.n + 1)))
        return r;
    memcpy(r->command, command.p, command.n);
    if (agw_map_put(&s->records, agw_str(r->command, command.n), r, NULL) == 0)
        return r;
    free(r);
    return NULL;
}

static void failed(struct process *p)
{
    struct agw_mcp_supervisor *s = p->s;
    struct record *r = record_of(s, p->command, true);
    if (!r)
        return;
    uint64_t delay = FIRST_DELAY_MS << (r->failures < 6 ? r->failures : 6);
    r->failures++;
    r->next_ms =
        s->loop.now_ms + (delay < AGW_MCP_PROCESS_DELAY_MAX_MS ? delay : AGW_MCP_PROCESS_DELAY_MAX_MS);
}

static void forget_failures(struct process *p)
{
    struct record *r = agw_map_take(&p->s->records, p->command);
    free(r);
}

/* --- jobs --- */

static void tell(struct process *p, enum agw_mcp_job_kind kind, int code, int in, int out)
{
    struct agw_mcp_job *job = p->s->ending ? NULL : calloc(1, sizeof *job);
    if (!job) { /* closed pipes tell as well; without any, the session's deadline must do */
        if (in >= 0)
            close(in);
        if (out >= 0)
            close(out);
        return;
    }
    job->mail.deliver = agw_mcp_job_deliver;
    job->kind = kind;
    job->link = p->link;
    job->process = p->key;
    job->code = code;
    job->in = in;
    job->out = out;
    agw_mcp_hub_send(p->s->hub, p->link.worker, &job->mail);
}

static void free_process(struct process *p)
{
    struct agw_mcp_supervisor *s = p->s;
    agw_timer_cancel(&s->loop.timers, &p->timer);
    agw_list_remove(&p->node);
    agw_mcp_slots_remove(&s->slots, p->key);
    agw_arena_free(&p->arena);
    free(p);
    if (s->ending && agw_list_empty(&s->processes))
        agw_loop_stop(&s->loop);
}

static void close_watch(struct process *p, struct agw_watch *w)
{
    int fd = w->fd;
    agw_watch_remove(&p->s->loop, w);
    if (fd >= 0)
        close(fd);
}

/* --- standard error --- */

static void log_line(struct process *p)
{
    uint64_t now = p->s->loop.now_ms;
    if (now - p->window_ms >= WINDOW_MS) {
        if (p->lines > AGW_MCP_PROCESS_LINES)
            agw_warn("mcp", "%.*s[%d]: %u lines left out", AGW_STRF(p->name), (int)p->pid,
                     p->lines - AGW_MCP_PROCESS_LINES);
        p->window_ms = now;
        p->lines = 0;
    }
    for (size_t i = 0; i < p->line_n; i++) /* it is text for a terminal, not orders */
        if ((unsigned char)p->line[i] < 0x20 || p->line[i] == 0x7f)
            p->line[i] = ' ';
    if (p->line_n && ++p->lines <= AGW_MCP_PROCESS_LINES)
        agw_info("mcp", "%.*s[%d]: %.*s", AGW_STRF(p->name), (int)p->pid, (int)p->line_n, p->line);
    p->line_n = 0;
}

static void take_errors(struct process *p, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n')
            log_line(p);
        else if (p->line_n < sizeof p->line) /* the rest of a longer line is dropped */
            p->line[p->line_n++] = text[i];
    }
}

/* False: there is no more, for ever. */
static bool read_errors(struct process *p)
{
    char text[4096];
    ssize_t n = read(p->err_watch.fd, text, sizeof text);
    if (n > 0)
        take_errors(p, text, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_errors(struct agw_watch *w, unsigned events)
{
    struct process *p = agw_container_of(w, struct process, err_watch);
    if (!read_errors(p))
        close_watch(p, w);
}

static void read_rest(struct process *p)
{
    for (int i = 0; p->err_watch.fd >= 0 && i < 64; i++) {
        errno = 0;
        if (!read_errors(p) || errno == EAGAIN)
            return;
    }
}

/* --- the end --- */

static void log_exit(const struct process *p, const siginfo_t *info)
{
    bool clean = p->asked || p->s->ending;
    enum agw_log_level level = clean ? AGW_LOG_DEBUG : AGW_LOG_WARN;
    if (info->si_code == CLD_EXITED)
        agw_log(level, "mcp", "%.*s[%d]: exited with %d", AGW_STRF(p->name), (int)p->pid, info->si_status);
    else
        agw_log(level, "mcp", "%.*s[%d]: ended by signal %d", AGW_STRF(p->name), (int)p->pid,
                info->si_status);
}

static void on_ended(struct agw_watch *w, unsigned events)
{
    struct process *p = agw_container_of(w, struct process, pid_watch);
    siginfo_t info = {0};
    kill(-p->pid, SIGKILL); /* what it has left behind; before its number may be another's */
    if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return;
    read_rest(p);
    log_line(p);
    log_exit(p, &info);
    if (p->s->loop.now_ms - p->started_ms >= AGW_MCP_PROCESS_SHORT_MS)
        forget_failures(p);
    else if (!p->asked)
        failed(p);
    close_watch(p, &p->err_watch);
    close_watch(p, &p->pid_watch);
    p->pid = 0;
    tell(p, AGW_MCP_JOB_EXITED, 0, -1, -1);
    free_process(p);
}

static void on_grace(struct agw_timer *timer)
{
    struct process *p = agw_container_of(timer, struct process, timer);
    kill(-p->pid, p->terminated ? SIGKILL : SIGTERM);
    p->terminated = true;
    agw_timer_set(&p->s->loop.timers, timer, p->s->loop.now_ms + AGW_MCP_PROCESS_GRACE_MS);
}

/* |wanted|: we ask it to. |now|: by a signal. */
static void end_process(struct process *p, bool wanted, bool now)
{
    if (p->pid == 0) { /* it waits for its start */
        free_process(p);
        return;
    }
    p->asked |= wanted;
    agw_timer_cancel(&p->s->loop.timers, &p->timer);
    p->timer.fire = on_grace;
    if (now)
        on_grace(&p->timer);
    else
        agw_timer_set(&p->s->loop.timers, &p->timer, p->s->loop.now_ms + AGW_MCP_PROCESS_GRACE_MS);
}

/* --- the beginning --- */

static int watch(struct process *p, const struct agw_mcp_spawned *child)
{
    p->pid = child->pid;
    p->pid_watch.on_event = on_ended;
    p->err_watch.on_event = on_errors;
    int rc = agw_watch_add_level(&p->s->loop, &p->err_watch, child->err);
    if (rc != 0)
        close(child->err);
    if (rc == 0 && (rc = agw_watch_add_level(&p->s->loop, &p->pid_watch, child->pidfd)) == 0)
        return 0;
    close(child->pidfd);
    close_watch(p, &p->err_watch);
    kill(-p->pid, SIGKILL);
    (void)waitpid(p->pid, NULL, 0);
    p->pid = 0;
    return rc;
}

static void launch(struct process *p)
{
    struct agw_error err = {0};
    struct agw_mcp_spawned child;
    int rc = agw_mcp_spawn(p->argv, p->env, p->clear_env, &child, &err);
    if (rc == 0 && (rc = watch(p, &child)) != 0) {
        close(child.in);
        close(child.out);
    }
    if (rc == 0) {
        p->started_ms = p->window_ms = p->s->loop.now_ms;
        agw_debug("mcp", "%.*s[%d]: started %s", AGW_STRF(p->name), (int)p->pid, p->argv[0]);
        tell(p, AGW_MCP_JOB_STARTED, 0, child.in, child.out);
        return;
    }
    agw_warn("mcp", "%.*s: cannot start: %s", AGW_STRF(p->name), err.code ? err.text : agw_err_text(rc));
    failed(p);
    tell(p, AGW_MCP_JOB_FAILED, rc, -1, -1);
    free_process(p);
}

static void on_due(struct agw_timer *timer)
{
    launch(agw_container_of(timer, struct process, timer));
}

static void begin(struct process *p)
{
    struct agw_mcp_supervisor *s = p->s;
    struct record *r = record_of(s, p->command, false);
    int rc = s->ending ? AGW_ECANCELED : agw_mcp_slots_add(&s->slots, p, AGW_MCP_PROCESSES_MAX, &p->key);
    agw_list_push(&s->processes, &p->node);
    if (rc != 0) {
        if (rc == AGW_ELIMIT)
            agw_warn("mcp", "%.*s: %d processes run already", AGW_STRF(p->name), AGW_MCP_PROCESSES_MAX);
        tell(p, AGW_MCP_JOB_FAILED, rc, -1, -1);
        free_process(p);
    } else if (r && r->next_ms > s->loop.now_ms) {
        agw_info("mcp", "%.*s: starts again in %u ms", AGW_STRF(p->name),
                 (unsigned)(r->next_ms - s->loop.now_ms));
        agw_timer_set(&s->loop.timers, &p->timer, r->next_ms);
    } else {
        launch(p);
    }
}

/* --- from workers --- */

struct order {
    struct agw_post post; /* first */
    struct agw_mcp_supervisor *s;
    struct process *start; /* or ... */
    struct agw_mcp_key stop;
    bool wanted;
};

static void run_order(struct agw_post *post, void *ctx)
{
    struct order *o = (struct order *)post;
    struct process *p = o->start ? o->start : agw_mcp_slots_get(&o->s->slots, o->stop);
    if (o->start)
        begin(p);
    else if (p)
        end_process(p, o->wanted, false);
    free(o);
}

static void free_unborn(struct process *p)
{
    agw_arena_free(&p->arena);
    free(p);
}

static void drop_order(struct agw_post *post)
{
    struct order *o = (struct order *)post;
    if (o->start)
        free_unborn(o->start);
    free(o);
}

static int give_order(struct agw_mcp_supervisor *s, struct process *start, struct agw_mcp_key stop,
                      bool wanted)
{
    struct order *o = calloc(1, sizeof *o);
    if (!o)
        return AGW_ENOMEM;
    *o = (struct order){{.run = run_order, .drop = drop_order}, s, start, stop, wanted};
    agw_loop_post(&s->loop, &o->post);
    return 0;
}

static const char *const *copy_texts(struct agw_arena *arena, const char *const *v)
{
    size_t n = 0;
    while (v[n])
        n++;
    const char **out = agw_arena_zalloc(arena, (n + 1) * sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        if (!(out[i] = agw_arena_str(arena, agw_str_c(v[i])).p))
            return NULL;
    return out;
}

/* What failures are remembered by. */
static struct agw_str join(struct agw_arena *arena, const char *const *argv)
{
    struct agw_str all = AGW_STR("");
    for (; all.p && *argv; argv++)
        all = agw_arena_printf(arena, "%.*s %s", AGW_STRF(all), *argv);
    return all;
}

int agw_mcp_supervisor_start(struct agw_mcp_supervisor *s, const struct agw_mcp_stdio *stdio,
                             struct agw_str name, const struct agw_mcp_link_name *link)
{
    struct process *p = calloc(1, sizeof *p);
    if (!p)
        return AGW_ENOMEM;
    agw_arena_init(&p->arena, 1024, 0);
    agw_list_init(&p->node);
    agw_timer_init(&p->timer, on_due);
    p->s = s;
    p->pid_watch.fd = p->err_watch.fd = -1;
    p->link = *link;
    p->clear_env = stdio->clear_env;
    p->argv = copy_texts(&p->arena, stdio->argv);
    p->env = copy_texts(&p->arena, stdio->env);
    p->name = agw_arena_str(&p->arena, name);
    p->command = join(&p->arena, stdio->argv);
    bool whole = p->argv && p->env && p->name.p && p->command.p;
    if (whole && give_order(s, p, (struct agw_mcp_key){0}, false) == 0)
        return 0;
    free_unborn(p);
    return AGW_ENOMEM;
}

void agw_mcp_supervisor_stop(struct agw_mcp_supervisor *s, struct agw_mcp_key process, bool wanted)
{
    /* Without memory for it: closed pipes end the process, too. */
    (void)give_order(s, NULL, process, wanted);
}

/* --- the thread --- */

static void *run(void *arg)
{
    struct agw_mcp_supervisor *s = arg;
    agw_loop_run(&s->loop);
    return NULL;
}

static void run_end(struct agw_post *post, void *ctx)
{
    struct order *o = (struct order *)post;
    struct agw_mcp_supervisor *s = o->s;
    struct agw_list *node, *tmp;
    s->ending = true;
    if (agw_list_empty(&s->processes))
        agw_loop_stop(&s->loop);
    agw_list_each (node, tmp, &s->processes)
        end_process(agw_list_entry(node, struct process, node), true, true);
}

struct agw_mcp_supervisor *agw_mcp_supervisor_new(struct agw_mcp_hub *hub, struct agw_error *err)
{
    sigset_t all, old;
    struct agw_mcp_supervisor *s = calloc(1, sizeof *s);
    if (!s || agw_loop_init(&s->loop, 0) != 0) {
        free(s);
        agw_error_set(err, AGW_ENOMEM, "supervisor: out of memory");
        return NULL;
    }
    s->hub = hub;
    agw_list_init(&s->processes);
    agw_map_init(&s->records);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        return s;
    agw_loop_free(&s->loop);
    free(s);
    agw_error_set(err, AGW_EIO, "supervisor: cannot start a thread: %s", strerror(rc));
    return NULL;
}

void agw_mcp_supervisor_free(struct agw_mcp_supervisor *s)
{
    struct agw_map_slot *slot;
    uint32_t cursor = 0;
    if (!s)
        return;
    struct order end = {.post = {.run = run_end}, .s = s};
    agw_loop_post(&s->loop, &end.post);
    pthread_join(s->thread, NULL);
    agw_loop_free(&s->loop);
    while ((slot = agw_map_next(&s->records, &cursor)))
        free(slot->value);
    agw_map_free(&s->records);
    agw_mcp_slots_free(&s->slots);
    free(s);
}
