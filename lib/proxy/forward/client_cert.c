#include "proxy/forward/client_cert.h"

#include <stdio.h>
#include <stdlib.h>

int agw_client_cert_mode(struct agw_str text, enum agw_client_cert_mode *ret_mode)
{
    static const char *const names[] = {
        [AGW_CLIENT_CERT_SANITIZE] = "sanitize",          [AGW_CLIENT_CERT_SANITIZE_SET] = "sanitize-set",
        [AGW_CLIENT_CERT_APPEND] = "append-forward",      [AGW_CLIENT_CERT_FORWARD] = "forward-only",
        [AGW_CLIENT_CERT_ALWAYS] = "always-forward-only",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (!agw_str_eq(text, agw_str_c(names[i])))
            continue;
        *ret_mode = (enum agw_client_cert_mode)i;
        return 0;
    }
    return AGW_EINVAL;
}

/* --- what is said of a client --- */

static void put(FILE *out, const char *key, struct agw_str value, bool quoted)
{
    if (!agw_header_value_valid(value))
        return; /* a name with a line end in it is nobody's */
    for (size_t i = 0; i < value.n && !quoted; i++)
        quoted = value.p[i] == ',' || value.p[i] == ';' || value.p[i] == '=' || value.p[i] == '"';
    fprintf(out, "%s=%s", key, quoted ? "\"" : "");
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"')
            fputc('\\', out);
        fputc(value.p[i], out);
    }
    fputs(quoted ? "\";" : ";", out);
}

static void put_names(FILE *out, const char *key, enum agw_tls_name_type type, const struct agw_tls_peer *of)
{
    for (size_t i = 0; i < of->name_count; i++)
        if (of->names[i].type == type)
            put(out, key, of->names[i].text, false);
}

static void put_all(FILE *out, const struct agw_tls_peer *self, const struct agw_tls_peer *peer)
{
    put_names(out, "By", AGW_TLS_NAME_URI, self);
    fputs("Hash=", out);
    for (size_t i = 0; i < sizeof(peer->sha256); i++)
        fprintf(out, "%02x", peer->sha256[i]);
    fputc(';', out);
    put(out, "Subject", peer->subject, true);
    put_names(out, "URI", AGW_TLS_NAME_URI, peer);
    put_names(out, "DNS", AGW_TLS_NAME_DNS, peer);
}

int agw_client_cert_describe(const struct agw_tls_peer *self, const struct agw_tls_peer *peer,
                             struct agw_str *ret_text)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return AGW_ENOMEM;
    put_all(out, self, peer);
    bool failed = ferror(out);
    if (fclose(out) || failed) {
        free(text);
        return AGW_ENOMEM;
    }
    *ret_text = agw_str(text, n - 1); /* without the last semicolon */
    return 0;
}

int agw_client_cert_text(const struct agw_filter *tls, struct agw_str *ret_text)
{
    struct agw_arena arena;
    struct agw_tls_peer peer, self = {0};
    *ret_text = agw_str(NULL, 0);
    if (!tls)
        return 0;
    agw_arena_init(&arena, 4096, 0);
    int rc = agw_tls_peer(tls, &arena, &peer);
    bool is_known = rc == 0 && peer.verified;
    if (is_known)
        rc = agw_tls_self(tls, &arena, &self);
    if (is_known && (rc == 0 || rc == AGW_EEOF))
        rc = agw_client_cert_describe(&self, &peer, ret_text);
    agw_arena_free(&arena);
    return rc == AGW_EEOF ? 0 : rc;
}

/* --- the field --- */

/* All lines of what the client sent, and |own|, in one. p is NULL when memory is out. */
static struct agw_str joined(const struct agw_headers *h, struct agw_str own)
{
    struct agw_str all = agw_str("", 0);
    for (uint32_t i = 0; i < h->n && all.p; i++)
        if (h->v[i].id == AGW_HDR_X_FORWARDED_CLIENT_CERT && h->v[i].value.n > 0)
            all = agw_arena_printf(h->arena, "%.*s%s%.*s", AGW_STRF(all), all.n ? "," : "",
                                   AGW_STRF(h->v[i].value));
    return all.p ? agw_arena_printf(h->arena, "%.*s%s%.*s", AGW_STRF(all), all.n ? "," : "", AGW_STRF(own))
                 : all;
}

int agw_client_cert_forward(struct agw_headers *h, enum agw_client_cert_mode mode, struct agw_str own,
                            bool trusted)
{
    bool verified = own.n > 0;
    bool keep = mode == AGW_CLIENT_CERT_ALWAYS ? trusted : verified && mode >= AGW_CLIENT_CERT_APPEND;
    if (!keep)
        agw_headers_remove_id(h, AGW_HDR_X_FORWARDED_CLIENT_CERT);
    if (!verified || (mode != AGW_CLIENT_CERT_SANITIZE_SET && mode != AGW_CLIENT_CERT_APPEND))
        return 0;
    struct agw_str value = joined(h, own);
    return value.p ? agw_headers_set_id(h, AGW_HDR_X_FORWARDED_CLIENT_CERT, value) : AGW_ENOMEM;
}
