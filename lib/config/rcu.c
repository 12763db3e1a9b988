#include "config/rcu.h"

#include <urcu/urcu-qsbr.h>

/* ThreadSanitizer does not see into the library: the two edges that a grace period makes are told to it by
 * hand. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define AGW_TSAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define AGW_TSAN 1
#endif

#ifdef AGW_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static char readers_done, writer_done;
#define RELEASE(edge) __tsan_release(&(edge))
#define ACQUIRE(edge) __tsan_acquire(&(edge))
#else
#define RELEASE(edge) ((void)0)
#define ACQUIRE(edge) ((void)0)
#endif

void agw_rcu_register(void)
{
    urcu_qsbr_register_thread();
    ACQUIRE(writer_done);
}

void agw_rcu_unregister(void)
{
    RELEASE(readers_done);
    urcu_qsbr_unregister_thread();
}

void agw_rcu_offline(void)
{
    RELEASE(readers_done);
    urcu_qsbr_thread_offline();
}

void agw_rcu_online(void)
{
    urcu_qsbr_thread_online();
    ACQUIRE(writer_done);
}

void agw_rcu_quiescent(void)
{
    RELEASE(readers_done);
    urcu_qsbr_quiescent_state();
    ACQUIRE(writer_done);
}

void agw_rcu_synchronize(void)
{
    RELEASE(writer_done);
    urcu_qsbr_synchronize_rcu();
    ACQUIRE(readers_done);
}
