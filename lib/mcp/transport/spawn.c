#include "mcp/transport/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/check.h"
#include "base/str.h"

extern char **environ;

static const struct agw_str path_name = {"PATH", 4};
static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

/* --- the environment --- */

static struct agw_str name_of(const char *variable)
{
    const char *equals = strchr(variable, '=');
    return agw_str(variable, equals ? (size_t)(equals - variable) : strlen(variable));
}

/* The value of |name| in |env|, NULL when absent. */
static const char *find(const char *const *env, struct agw_str name)
{
    for (; *env; env++)
        if (agw_str_eq(name_of(*env), name))
            return *env + name.n + 1;
    return NULL;
}

static size_t count(const char *const *v)
{
    size_t n = 0;
    while (v[n])
        n++;
    return n;
}

/* The key that seals sessions is nobody else's. */
static bool is_secret(struct agw_str name)
{
    return agw_str_eq(name, AGW_STR("SESSION_KEY"));
}

/* An array to be freed, of pointers that are not. */
static const char **make_environment(const char *const *env, bool clear)
{
    const char *const *own = (const char *const *)environ;
    size_t at = 0, own_count = clear || !own ? 0 : count(own);
    const char **out = calloc(own_count + count(env) + 1, sizeof *out);
    if (!out)
        return NULL;
    for (size_t i = 0; i < own_count; i++) {
        struct agw_str name = name_of(own[i]);
        if (!is_secret(name) && !find(env, name))
            out[at++] = own[i];
    }
    for (; *env; env++)
        out[at++] = *env;
    return out;
}

/* --- the program --- */

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* As execvp looks for it, in the environment that the process will have; to be freed. */
static char *find_program(const char *cmd, const char *const *env)
{
    const char *path = find(env, path_name);
    struct agw_str rest = agw_str_c(path && *path ? path : default_path), dir;
    if (strchr(cmd, '/'))
        return strdup(cmd);
    size_t n = strlen(cmd) + 1; /* with its NUL */
    char *out = malloc(rest.n + n + 2);
    while (out && agw_str_split(&rest, ':', &dir)) {
        if (dir.n == 0)
            dir = AGW_STR(".");
        memcpy(out, dir.p, dir.n);
        out[dir.n] = '/';
        memcpy(out + dir.n + 1, cmd, n);
        if (is_program(out))
            return out;
    }
    if (out)
        *out = 0;
    return out;
}

/* --- pipes --- */

/* Both ends above 2, where the process will have its own. */
static int open_pipe(int ends[2])
{
    int low[2];
    if (pipe2(low, O_CLOEXEC) < 0)
        return AGW_EIO;
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 3);
        close(low[i]);
    }
    return ends[0] < 0 || ends[1] < 0 ? AGW_EIO : 0;
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

enum { IN_READ, IN_WRITE, OUT_READ, OUT_WRITE, ERR_READ, ERR_WRITE, FDS };

static int open_pipes(int fds[FDS])
{
    int rc = 0;
    for (int i = 0; i < FDS; i++)
        fds[i] = -1;
    for (int i = 0; rc == 0 && i < FDS; i += 2)
        rc = open_pipe(&fds[i]);
    if (rc == 0 &&
        (fcntl(fds[IN_WRITE], F_SETFL, O_NONBLOCK) < 0 || fcntl(fds[OUT_READ], F_SETFL, O_NONBLOCK) < 0 ||
         fcntl(fds[ERR_READ], F_SETFL, O_NONBLOCK) < 0))
        rc = AGW_EIO;
    return rc;
}

/* --- vfork --- */

/* In the child, which still runs in our memory: system calls alone. */
static void become(const char *path, char *const *argv, char *const *env, const int fds[FDS], pid_t parent)
{
    sigset_t none;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        return; /* the gateway ended just now */
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(fds[IN_READ], 0) < 0 || dup2(fds[OUT_WRITE], 1) < 0 || dup2(fds[ERR_WRITE], 2) < 0)
        return;
    syscall(SYS_close_range, 3u, ~0u, 0u);
    execve(path, argv, env);
}

/* 0 or an errno. */
static __attribute__((noinline)) int fork_and_exec(const char *path, const char *const *argv,
                                                   const char **env, const int fds[FDS], pid_t *ret_pid)
{
    volatile int failed = 0;
    pid_t parent = getpid();
    pid_t pid = vfork();
    if (pid == 0) {
        become(path, (char *const *)argv, (char *const *)env, fds, parent);
        failed = errno ? errno : EIO;
        _exit(127);
    }
    if (pid < 0)
        return errno;
    *ret_pid = pid;
    return failed;
}

int agw_mcp_spawn(const char *const *argv, const char *const *env, bool clear, struct agw_mcp_spawned *ret,
                  struct agw_error *err)
{
    int fds[FDS], pidfd = -1;
    pid_t pid = -1;
    const char **all = make_environment(env, clear);
    char *path = all ? find_program(argv[0], all) : NULL;
    int rc = open_pipes(fds);
    if (rc != 0) {
        agw_error_set(err, rc, "no pipes: %s", strerror(errno));
    } else if (!path) {
        rc = agw_error_set(err, AGW_ENOMEM, "out of memory");
    } else if (!*path) {
        rc = agw_error_set(err, AGW_ENOTFOUND, "%s is not in PATH", argv[0]);
    } else {
        errno = 0;
        int why = fork_and_exec(path, argv, all, fds, &pid);
        if (why == 0 && (pidfd = (int)syscall(SYS_pidfd_open, pid, 0u)) < 0)
            why = errno;
        if (why != 0)
            rc = agw_error_set(err, why == ENOENT ? AGW_ENOTFOUND : AGW_EIO, "%s: %s", path, strerror(why));
    }
    if (rc == 0) {
        *ret = (struct agw_mcp_spawned){pid, pidfd, fds[IN_WRITE], fds[OUT_READ], fds[ERR_READ]};
        fds[IN_WRITE] = fds[OUT_READ] = fds[ERR_READ] = -1;
    } else if (pid > 0) {
        kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    for (int i = 0; i < FDS; i++)
        shut(&fds[i]);
    free(path);
    free(all);
    return rc;
}
