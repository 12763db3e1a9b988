/* CPUs this process may use: affinity mask and cgroup v1/v2 quota, and pinning. Threads: any. */
#ifndef AGW_EVENT_CPU_H
#define AGW_EVENT_CPU_H

/* CPUs that the cgroup quotas of this process allow, rounded up; 0 without a quota. |root| is "" but in
 * tests: a directory that stands for "/" and holds proc/self/cgroup and sys/fs/cgroup. */
unsigned agw_cpu_quota(const char *root);
/* min(CPUs in the affinity mask, cgroup quota rounded up), at least 1. */
unsigned agw_cpu_count(void);
/* Pins the calling thread to the |index|-th CPU (modulo) of the process's mask. Returns 0 or AGW_EIO. */
int agw_cpu_pin(unsigned index);

#endif
