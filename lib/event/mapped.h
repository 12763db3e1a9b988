/* Pages of the program and its libraries that are mapped and not needed any more.
 *
 * Starting touches much more of them than serving does: initialisers, relocation, and what the kernel maps
 * around each page. They count as memory of the process. Threads: any but workers (it reads /proc). */
#ifndef AGW_EVENT_MAPPED_H
#define AGW_EVENT_MAPPED_H

/* Gives back the pages of read-only file mappings that this process has not changed; those in use come back
 * from the page cache at their next touch. 0, or AGW_EIO when /proc does not tell the mappings. */
int agw_mapped_trim(void);

#endif
