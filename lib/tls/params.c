/* Versions, cipher suites and groups by the names that configurations use. */
#include "tls/tls_int.h"

#include <openssl/err.h>
#include <string.h>

static const struct {
    const char *name, *openssl;
    bool tls13;
} suites[] = {
    {"TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", true},
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", true},
    {"TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", true},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", false},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", false},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", false},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", false},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", false},
};

/* Names as Gateway API's implementations and the wire write them. */
static const struct {
    const char *name, *openssl;
} groups[] = {
    {"X25519", "X25519"},
    {"P-256", "P-256"},
    {"P256", "P-256"},
    {"P-384", "P-384"},
    {"P384", "P-384"},
    {"X25519_MLKEM768", "X25519MLKEM768"},
    {"X25519MLKEM768", "X25519MLKEM768"},
};

static const char *group_of(const char *name)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(groups); i++)
        if (strcmp(groups[i].name, name) == 0)
            return groups[i].openssl;
    return NULL;
}

bool agw_tls_has_group(const char *name)
{
    const char *openssl = group_of(name);
    SSL_CTX *ctx = openssl ? SSL_CTX_new(TLS_method()) : NULL;
    bool has = ctx && SSL_CTX_set1_groups_list(ctx, openssl) == 1;
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return has;
}

/* Joins with ':'. A list that does not fit has names in it more than once. */
static int append(char *list, size_t size, const char *name, struct agw_error *err)
{
    size_t n = strlen(list), more = strlen(name);

    if (n + more + 2 > size)
        return agw_error_set(err, AGW_EINVAL, "TLS: \"%s\" and others are there more than once", name);
    if (n)
        list[n++] = ':';
    memcpy(list + n, name, more + 1);
    return 0;
}

static int add_suite(const char *name, char *old, char *new, size_t size, struct agw_error *err)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(suites); i++)
        if (strcmp(suites[i].name, name) == 0)
            return append(suites[i].tls13 ? new : old, size, suites[i].openssl, err);
    return agw_error_set(err, AGW_EINVAL, "TLS: cipher suite \"%.60s\" is not known", name);
}

/* Suites of one version alone rule out the other version: nothing that was not named is offered. */
static int set_suites(SSL_CTX *ctx, const struct agw_tls_params *p, int *min, int *max, struct agw_error *err)
{
    char old[512] = "", new[512] = "";
    int rc = 0;

    for (size_t i = 0; !rc && i < p->suite_count; i++)
        rc = add_suite(p->suites[i], old, new, sizeof(old), err);
    if (rc || p->suite_count == 0)
        return rc;
    if (!old[0])
        *min = TLS1_3_VERSION;
    if (!new[0])
        *max = TLS1_2_VERSION;
    if (SSL_CTX_set_ciphersuites(ctx, new) != 1 || (old[0] && SSL_CTX_set_cipher_list(ctx, old) != 1))
        return agw_tls_error(err, "TLS cipher suites");
    return 0;
}

int agw_tls_groups_list(const struct agw_tls_params *p, char list[AGW_TLS_GROUPS_MAX], struct agw_error *err)
{
    const char *missing = NULL;

    list[0] = 0;
    for (size_t i = 0; i < p->group_count; i++) {
        const char *openssl = group_of(p->groups[i]);
        if (!openssl)
            return agw_error_set(err, AGW_EINVAL, "TLS: group \"%.60s\" is not known", p->groups[i]);
        if (!agw_tls_has_group(p->groups[i])) {
            missing = p->groups[i];
            continue;
        }
        int rc = append(list, AGW_TLS_GROUPS_MAX, openssl, err);
        if (rc)
            return rc;
    }
    if (missing && !list[0])
        return agw_error_set(err, AGW_EUNSUPPORTED, "TLS: group %s is not in this library (%s)", missing,
                             OpenSSL_version(OPENSSL_VERSION));
    return 0;
}

static int as_openssl(enum agw_tls_version v)
{
    return v == AGW_TLS_1_2 ? TLS1_2_VERSION : v == AGW_TLS_1_3 ? TLS1_3_VERSION : 0;
}

int agw_tls_set_params(SSL_CTX *ctx, const struct agw_tls_params *p, struct agw_error *err)
{
    char list[AGW_TLS_GROUPS_MAX];
    int least = TLS1_2_VERSION, most = 0;
    int rc = agw_tls_groups_list(p, list, err);

    if (!rc)
        rc = set_suites(ctx, p, &least, &most, err);
    if (rc)
        return rc;
    int min = as_openssl(p->min_version), max = as_openssl(p->max_version);
    if (min < least)
        min = least;
    if (most && (!max || max > most))
        max = most;
    if (max && min > max)
        return agw_error_set(err, AGW_EINVAL,
                             "TLS: no version is left between the least and the most, with these suites");
    if (!SSL_CTX_set_min_proto_version(ctx, min) || !SSL_CTX_set_max_proto_version(ctx, max) ||
        (list[0] && SSL_CTX_set1_groups_list(ctx, list) != 1))
        return agw_tls_error(err, "TLS parameters");
    return 0;
}
