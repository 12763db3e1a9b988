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

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

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
    if (ends[0] >= 0 && ends[1] >= 0)
        return 0;
    shut(&ends[0]);
    shut(&ends[1]);
    return AGW_EIO;
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
static void become(const char *path, char *const *argv, char *const *env, const int fds[FDS], int why,
                   pid_t parent)
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
    if (why > 3)
        syscall(SYS_close_range, 3u, (unsigned)why - 1, 0u);
    syscall(SYS_close_range, (unsigned)why + 1, ~0u, 0u); /* |why| itself closes at exec */
    execve(path, argv, env);
}

/* Why the program did not take over, told through a pipe that closes when it does: not by memory, which
 * sanitizers and some systems do not share. 0: it runs. */
static int read_why(int fd)
{
    int why = 0;
    ssize_t n;
    do
        n = read(fd, &why, sizeof why);
    while (n < 0 && errno == EINTR);
    return n == sizeof why ? why : 0;
}

/* 0 or an errno. */
static __attribute__((noinline)) int fork_and_exec(const char *path, const char *const *argv,
                                                   const char **env, const int fds[FDS], pid_t *ret_pid)
{
    int why[2];
    pid_t parent = getpid();
    if (open_pipe(why) != 0)
        return errno;
    pid_t pid = vfork();
    if (pid == 0) {
        become(path, (char *const *)argv, (char *const *)env, fds, why[1], parent);
        int failed = errno ? errno : EIO;
        ssize_t n = write(why[1], &failed, sizeof failed);
        (void)n; /* then it looks like a program that ended at once */
        _exit(127);
    }
    int failed = pid < 0 ? errno : 0;
    close(why[1]);
    if (pid > 0) {
        *ret_pid = pid;
        failed = read_why(why[0]);
    }
    close(why[0]);
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
