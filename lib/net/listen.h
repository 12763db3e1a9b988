/* Listening sockets: one a worker and address, spread by SO_REUSEPORT. Threads: the loop's own. */
#ifndef AGW_NET_LISTEN_H
#define AGW_NET_LISTEN_H

#include "base/err.h"
#include "event/loop.h"
#include "net/addr.h"

struct agw_listen {
    struct agw_watch watch;
    int fd; /* -1 after agw_listen_stop */
    struct agw_loop *loop;
    struct agw_addr addr; /* as bound: a port 0 is filled in */
    /* Takes |fd|, already non-blocking, close-on-exec and TCP_NODELAY. */
    void (*on_accept)(struct agw_listen *l, int fd, const struct agw_addr *peer);
    bool paused; /* out of fds: accepts again after a while */
    struct agw_timer retry;
};

/* Binds and listens (not yet watched), on any thread. AGW_EIO with the address and errno's reason. [::] is
 * dual stack, and 0.0.0.0 where the kernel has no IPv6. A unix path must not exist yet. Returns the fd. */
int agw_listen_socket(const struct agw_addr *addr, struct agw_error *err);
/* The same for an address that nobody else, no other process of this user either, may listen on. */
int agw_listen_socket_alone(const struct agw_addr *addr, struct agw_error *err);
/* Watches |fd| (taken over, closed on failure) on |loop|; accepts a bounded number a turn so that one port
 * starves none. When the process runs out of fds it pauses and tries again after a while. AGW_ENOMEM,
 * AGW_EIO. */
int agw_listen_start(struct agw_listen *l, struct agw_loop *loop, int fd,
                     void (*on_accept)(struct agw_listen *l, int fd, const struct agw_addr *peer));
/* Stops and closes; what is in the accept queue is accepted first, so that a closing port resets nobody.
 * Idempotent. Allowed inside on_accept, but |l| itself must then live until on_accept has returned. */
void agw_listen_stop(struct agw_listen *l);

#endif
