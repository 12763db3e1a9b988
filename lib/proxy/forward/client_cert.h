/* X-Forwarded-Client-Cert: who a client is by its certificate, in the form and the modes that Envoy gave it.
 *
 * By=URI of our own certificate;Hash=SHA-256;Subject="...";URI=...;DNS=..., elements with commas between.
 * Ownership: texts as said. Threads: any. */
#ifndef AGW_PROXY_FORWARD_CLIENT_CERT_H
#define AGW_PROXY_FORWARD_CLIENT_CERT_H

#include "http/msg.h"
#include "tls/tls.h"

enum agw_client_cert_mode {
    AGW_CLIENT_CERT_SANITIZE,     /* nobody's word is passed on, and none is added */
    AGW_CLIENT_CERT_SANITIZE_SET, /* ours alone */
    AGW_CLIENT_CERT_APPEND,       /* ours behind that of a client whose certificate is verified */
    AGW_CLIENT_CERT_FORWARD,      /* that of such a client, as it is */
    AGW_CLIENT_CERT_ALWAYS,       /* that of trusted proxies, whatever they connect with */
};

/* AGW_EINVAL: |text| is no mode ("sanitize", "sanitize-set", "append-forward", "forward-only",
 * "always-forward-only"). */
int agw_client_cert_mode(struct agw_str text, enum agw_client_cert_mode *ret_mode);

/* What there is to say of |peer|, by |self|, malloced. AGW_ENOMEM. */
int agw_client_cert_describe(const struct agw_tls_peer *self, const struct agw_tls_peer *peer,
                             struct agw_str *ret_text);
/* The same of the client behind |tls| (NULL: plain), malloced; *ret_text is empty if its
 * certificate is not verified, or there is none. AGW_ENOMEM. */
int agw_client_cert_text(const struct agw_filter *tls, struct agw_str *ret_text);

/* Makes the field of |h| what |mode| says. |own|: the text of the client, which outlives |h|. |trusted|: the
 * peer is a proxy of ours. AGW_ENOMEM. */
int agw_client_cert_forward(struct agw_headers *h, enum agw_client_cert_mode mode, struct agw_str own,
                            bool trusted);

#endif
