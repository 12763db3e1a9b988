/* A folder that stands for the root of a file system, for one test. */
#ifndef TESTS_EVENT_ROOT_H
#define TESTS_EVENT_ROOT_H

extern char root[64];

int root_make(void **state);
int root_remove(void **state);
/* Writes the file |path| below it, with the folders above the file. */
void put(const char *path, const char *text);

#endif
