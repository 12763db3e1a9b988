/* Publishing: one pointer, read by workers without locks (userspace RCU, QSBR flavour).
 *
 * A worker registers, tells when it sleeps and wakes and passes a quiescent state once a loop turn; it may
 * use what agw_snapshot_current gave it until then, or longer if it pins it (snapshot.h). Threads: as said at
 * each function. */
#ifndef AGW_CONFIG_RCU_H
#define AGW_CONFIG_RCU_H

void agw_rcu_register(void); /* each reader thread, once */
void agw_rcu_unregister(void);
void agw_rcu_offline(void);   /* before blocking */
void agw_rcu_online(void);    /* after */
void agw_rcu_quiescent(void); /* reader: keeps no pointer past this */
/* Writer: waits until every reader passed a quiescent state. Never on a worker. */
void agw_rcu_synchronize(void);

#endif
