#include "policy/traffic/traffic_int.h"

struct field {
    struct agw_str name, value; /* name in lower case */
    enum agw_hdr id;
};

struct conf {
    struct field *set, *add, *remove;
    uint32_t set_count, add_count, remove_count;
};

/* Fields that the codecs write from what they know of the message: setting them would only break its framing.
 */
static bool is_framing(enum agw_hdr id)
{
    switch (id) {
    case AGW_HDR_CONNECTION:
    case AGW_HDR_CONTENT_LENGTH:
    case AGW_HDR_KEEP_ALIVE:
    case AGW_HDR_PROXY_CONNECTION:
    case AGW_HDR_TE:
    case AGW_HDR_TRAILER:
    case AGW_HDR_TRANSFER_ENCODING:
    case AGW_HDR_UPGRADE:
        return true;
    default:
        return false;
    }
}

static int compile_name(const char *name, const char *what, struct agw_arena *arena, struct field *out,
                        struct agw_error *err)
{
    struct agw_str text = agw_str_c(name);
    if (!agw_header_name_valid(text))
        return agw_error_set(err, AGW_EINVAL, "%s: \"%.100s\" is no header name", what, name);
    out->name = agw_arena_lower(arena, text);
    if (!out->name.p)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    out->id = agw_hdr_lookup(out->name);
    if (is_framing(out->id))
        return agw_error_set(err, AGW_EINVAL, "%s: header \"%s\" is the gateway's own", what, out->name.p);
    return 0;
}

static int compile_list(Pb__Header *const *in, size_t count, const char *what, struct agw_arena *arena,
                        struct field **ret_list, struct agw_error *err)
{
    struct field *list = count ? agw_arena_alloc(arena, count * sizeof(*list)) : NULL;
    if (count && !list)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        int code = compile_name(in[i]->name, what, arena, &list[i], err);
        if (code)
            return code;
        list[i].value = agw_arena_str(arena, agw_str_trim(agw_str_c(in[i]->value)));
        if (!list[i].value.p)
            return agw_error_set(err, AGW_ENOMEM, "out of memory");
        if (!agw_header_value_valid(list[i].value))
            return agw_error_set(err, AGW_EINVAL,
                                 "%s: the value of \"%s\" has characters that no header may have", what,
                                 list[i].name.p);
    }
    *ret_list = list;
    return 0;
}

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__HeaderModifier *in = spec;
    struct conf *c = agw_arena_zalloc(arena, sizeof(*c));
    if (c && in->n_remove)
        c->remove = agw_arena_alloc(arena, in->n_remove * sizeof(*c->remove));
    if (!c || (in->n_remove && !c->remove))
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    int code = compile_list(in->set, in->n_set, "set", arena, &c->set, err);
    if (!code)
        code = compile_list(in->add, in->n_add, "add", arena, &c->add, err);
    for (size_t i = 0; !code && i < in->n_remove; i++)
        code = compile_name(in->remove[i], "remove", arena, &c->remove[i], err);
    if (code)
        return code;
    c->set_count = (uint32_t)in->n_set;
    c->add_count = (uint32_t)in->n_add;
    c->remove_count = (uint32_t)in->n_remove;
    *ret_conf = c;
    return 0;
}

/* Set, then add, then remove. An added value gets a line of its own. AGW_ENOMEM. */
static int apply(const struct conf *c, struct agw_headers *h)
{
    int code = 0;
    for (uint32_t i = 0; !code && i < c->set_count; i++)
        if (c->set[i].id != AGW_HDR_HOST)
            code = agw_headers_set(h, c->set[i].name, c->set[i].value);
    for (uint32_t i = 0; !code && i < c->add_count; i++)
        if (c->add[i].id != AGW_HDR_HOST)
            code = agw_headers_add(h, c->add[i].id, c->add[i].name, c->add[i].value);
    for (uint32_t i = 0; i < c->remove_count; i++)
        agw_headers_remove(h, c->remove[i].name);
    return code;
}

/* Host is not among the fields (http/msg.h): setting it sets the authority. */
static void apply_host(const struct conf *c, struct agw_policy_ctx *ctx)
{
    for (uint32_t i = 0; i < c->set_count; i++) {
        if (c->set[i].id == AGW_HDR_HOST) {
            ctx->req->authority = c->set[i].value;
            ctx->host_set = true;
        }
    }
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    apply_host(conf, ctx);
    if (apply(conf, &ctx->req->headers) == 0)
        return AGW_CONTINUE;
    ctx->resp = NULL;
    return AGW_RESPOND;
}

/* Out of memory leaves the response as it is: half a change is no better than none. */
static void response(const void *conf, struct agw_policy_ctx *ctx)
{
    (void)apply(conf, &ctx->resp->headers);
}

const struct agw_policy_ops agw_policy_request_headers = {
    .kind = AGW_POLICY_REQUEST_HEADERS, .own_conf = true, .compile = compile, .request = request};
const struct agw_policy_ops agw_policy_response_headers = {
    .kind = AGW_POLICY_RESPONSE_HEADERS, .own_conf = true, .compile = compile, .response = response};
const struct agw_policy_ops agw_policy_backend_request_headers = {
    .kind = AGW_POLICY_BACKEND_REQUEST_HEADERS, .own_conf = true, .compile = compile, .request = request};
const struct agw_policy_ops agw_policy_backend_response_headers = {
    .kind = AGW_POLICY_BACKEND_RESPONSE_HEADERS, .own_conf = true, .compile = compile, .response = response};
