/* TLS contexts by content, kept from one compile to the next. Threads: the config thread. */
#ifndef AGW_CONFIG_TLS_CACHE_H
#define AGW_CONFIG_TLS_CACHE_H

#include "tls/tls.h"

struct agw_tls_cache;

struct agw_tls_cache *agw_tls_cache_new(void);
void agw_tls_cache_free(struct agw_tls_cache *cache);
/* Begins a run; agw_tls_cache_sweep drops what this run did not ask for and no unit holds. */
void agw_tls_cache_begin(struct agw_tls_cache *cache);
void agw_tls_cache_sweep(struct agw_tls_cache *cache);
/* A context for this content, new or kept, and the counted object to hold as long as it is used (borrowed).
 * AGW_ENOMEM, or as agw_tls_server_new. */
int agw_tls_cache_server(struct agw_tls_cache *cache, const struct agw_tls_server_conf *conf,
                         struct agw_tls_server **ret_server, void **ret_hold, struct agw_error *err);
/* *ret_id tells contexts of different content apart. */
int agw_tls_cache_client(struct agw_tls_cache *cache, const struct agw_tls_client_conf *conf,
                         struct agw_tls_client **ret_client, void **ret_hold, uint64_t *ret_id,
                         struct agw_error *err);

#endif
