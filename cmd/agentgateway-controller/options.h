/* Command line of the controller. Plain values; texts are argv's. Threads: main. */
#ifndef AGW_CONTROLLER_OPTIONS_H
#define AGW_CONTROLLER_OPTIONS_H

#include <stdbool.h>
#include "base/log.h"
#include "net/addr.h"

struct options {
    const char *manifests; /* a folder, or one file */
    struct agw_addr xds;
    const char *tls_cert, *tls_key; /* both NULL: plaintext */
    bool validate;
    enum agw_log_level log_level;
    bool log_json;
};

enum options_result { OPTIONS_RUN, OPTIONS_EXIT_OK, OPTIONS_EXIT_BAD };

/* Reads argv; prints help, version or what is wrong itself. */
enum options_result options_read(int argc, char **argv, struct options *ret_options);

#endif
