/* Certificates and keys that manifests hold. As gwapi/base/translate.h: AGW_ENOMEM, and AGW_EINVAL where it
 * is said. */
#ifndef AGW_GWAPI_BASE_SECRET_H
#define AGW_GWAPI_BASE_SECRET_H

#include "gwapi/base/translate.h"

/* The bytes under |key|: stringData as it is, else data decoded from Base64. AGW_EINVAL when they are not
 * there. */
int agw_gwapi_secret_bytes(struct agw_translate *t, const struct agw_object *o, const char *key,
                           ProtobufCBinaryData *ret_bytes);
/* True if |bytes| hold PEM with "|what|" in it, such as "CERTIFICATE-----". */
bool agw_gwapi_is_pem(const ProtobufCBinaryData *bytes, const char *what);
/* 0 if the TLS library takes the two and the key belongs to the certificate; AGW_EINVAL with *ret_why
 * otherwise. */
int agw_gwapi_check_pair(struct agw_translate *t, const ProtobufCBinaryData *cert,
                         const ProtobufCBinaryData *key, const char **ret_why);
/* Appends |more| to |all|, on a line of its own. */
int agw_gwapi_pem_join(struct agw_translate *t, ProtobufCBinaryData *all, const ProtobufCBinaryData *more);
/* True if |ref| is to a Secret, as without a kind. */
bool agw_gwapi_is_secret_ref(const struct agw_node *ref);
/* Certificate and key of a Secret of type kubernetes.io/tls; AGW_EINVAL with a reason when they are not
 * there. */
int agw_gwapi_tls_secret(struct agw_translate *t, const struct agw_object *secret,
                         ProtobufCBinaryData *ret_cert, ProtobufCBinaryData *ret_key, const char **ret_why);
/* The certificates of a list of references to ConfigMaps (and Secrets) with a ca.crt, joined; empty when none
 * is good. |ret_refusal|: the first that is not, with |kind_reason| for one to another kind. */
int agw_gwapi_ca_refs(struct agw_translate *t, const struct agw_object *from, const struct agw_node *list,
                      const char *kind_reason, ProtobufCBinaryData *ret_pem,
                      struct agw_gwapi_refusal *ret_refusal);

#endif
