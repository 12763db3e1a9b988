/* Makes allocations fail on purpose. Linked into every unit test with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,
 * --wrap=reallocarray; sees the calls of the code under test, not those inside shared libraries.
 *
 *     for (long n = 1;; n++) {
 *         failmalloc_at(n);
 *         int r = thing_parse(...);
 *         bool reached = failmalloc_count() >= n;
 *         failmalloc_at(0);
 *         ... r must be right or AGW_ENOMEM, nothing may leak ...
 *         if (!reached)
 *             break;
 *     }
 * Threads: any; the count is shared by all. */
#ifndef FAILMALLOC_H
#define FAILMALLOC_H

/* The n-th allocation from now returns NULL, later ones succeed again; 0 turns it off. Restarts the count. */
void failmalloc_at(long n);
/* As above, and all later ones fail too, until the next call. */
void failmalloc_from(long n);
/* Allocations since the last failmalloc_at or failmalloc_from. */
long failmalloc_count(void);

#endif
