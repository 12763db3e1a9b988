/* Command line and environment of the data plane. */
#ifndef AGW_CMD_OPTIONS_H
#define AGW_CMD_OPTIONS_H

#include <stdbool.h>
#include "base/err.h"
#include "base/log.h"
#include "net/addr.h"

struct options {
    const char *config; /* -f: a manifest file or a folder of them */
    bool validate;
    unsigned workers; /* 0: one a CPU */
    bool pin;
    const char *access_log; /* "off", "stdout" or a file */
    bool access_json;
    enum agw_log_level log_level;
    bool log_json;
    struct agw_addr admin, stats, readiness;
    unsigned drain_ms;       /* SIGTERM to the end at the latest */
    const char *session_key; /* 64 hex digits, or NULL: a random one */
};

enum options_result { OPTIONS_RUN, OPTIONS_EXIT_OK, OPTIONS_EXIT_BAD };

/* Reads argv and the environment; prints help, version or what is wrong itself. */
enum options_result options_read(int argc, char **argv, struct options *ret_options);

#endif
