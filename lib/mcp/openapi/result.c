#include "mcp/openapi/result.h"

#include <stdio.h>
#include <stdlib.h>

static struct agw_str essence(struct agw_str media)
{
    struct agw_str rest = media, type = {0};
    return agw_str_split(&rest, ';', &type) ? type : AGW_STR("");
}

static bool begins(struct agw_str s, struct agw_str prefix)
{
    return s.n >= prefix.n && agw_str_ieq(agw_str(s.p, prefix.n), prefix);
}

static bool is_json(struct agw_str type)
{
    return agw_str_ieq(type, AGW_STR("application/json")) || agw_str_ends(type, AGW_STR("+json"));
}

static bool is_text(const struct agw_openapi_answer *a, struct agw_str type)
{
    bool text = type.n == 0 || begins(type, AGW_STR("text/")) || is_json(type) ||
                agw_str_ends(type, AGW_STR("+xml")) || agw_str_ieq(type, AGW_STR("application/xml")) ||
                agw_str_ieq(type, AGW_STR("application/x-www-form-urlencoded"));
    return text && agw_str_is_utf8(a->body);
}

static void begin_content(struct agw_json_writer *w, const char *type)
{
    agw_json_key(w, AGW_STR("content"));
    agw_json_begin_array(w);
    agw_json_begin_object(w);
    agw_json_put_string(w, "type", agw_str_c(type));
}

static void end_content(struct agw_json_writer *w, bool error)
{
    agw_json_end_object(w);
    agw_json_end_array(w);
    if (error)
        agw_json_put_bool(w, "isError", true);
}

static void text_content(struct agw_json_writer *w, struct agw_str text, bool error)
{
    begin_content(w, "text");
    agw_json_put_string(w, "text", text);
    end_content(w, error);
}

void agw_openapi_failure(struct agw_json_writer *w, struct agw_str reason)
{
    text_content(w, reason, true);
}

static int put_base64(struct agw_json_writer *w, const char *key, struct agw_str body)
{
    char *text = malloc(AGW_BASE64_SIZE(body.n) + 3);
    if (!text)
        return AGW_ENOMEM;
    text[0] = '"';
    size_t n = agw_base64_encode(body.p, body.n, false, text + 1) + 1;
    text[n++] = '"';
    agw_json_put_raw(w, key, agw_str(text, n));
    free(text);
    return 0;
}

static int bytes_content(const struct agw_openapi_tool *t, const struct agw_openapi_answer *a,
                         struct agw_str type, struct agw_json_writer *w)
{
    bool image = begins(type, AGW_STR("image/")), audio = begins(type, AGW_STR("audio/"));
    struct agw_str mime = type.n ? type : AGW_STR("application/octet-stream");
    int rc;
    begin_content(w, image ? "image" : audio ? "audio" : "resource");
    if (image || audio) {
        agw_json_put_string(w, "mimeType", mime);
        rc = put_base64(w, "data", a->body);
    } else {
        char uri[AGW_OPENAPI_NAME_MAX + 16];
        int n = snprintf(uri, sizeof uri, "openapi:%.*s", AGW_STRF(t->name));
        agw_json_key(w, AGW_STR("resource"));
        agw_json_begin_object(w);
        agw_json_put_string(w, "uri", agw_str(uri, (size_t)n));
        agw_json_put_string(w, "mimeType", mime);
        rc = put_base64(w, "blob", a->body);
        agw_json_end_object(w);
    }
    end_content(w, false);
    return rc;
}

/* The status, and what the server says about it. Redirects are errors: they would lead out of the target. */
static int status_content(const struct agw_openapi_answer *a, struct agw_str type, const char *why,
                          bool error, struct agw_json_writer *w)
{
    char head[128];
    bool body = a->body.n > 0 && is_text(a, type);
    int n = snprintf(head, sizeof head, "HTTP %d %s%s%s", a->status, agw_http_reason(a->status), why,
                     body ? "\n" : "");
    char *text = malloc((size_t)n + a->body.n);
    if (!text)
        return AGW_ENOMEM;
    memcpy(text, head, (size_t)n);
    if (body)
        memcpy(text + n, a->body.p, a->body.n);
    text_content(w, agw_str(text, (size_t)n + (body ? a->body.n : 0)), error);
    free(text);
    return 0;
}

int agw_openapi_result(const struct agw_openapi_tool *t, const struct agw_openapi_answer *a,
                       struct agw_json_doc *doc, struct agw_json_writer *w)
{
    struct agw_str type = essence(a->media);
    if (a->status >= 300)
        return status_content(a, type, "", true, w);
    int rc = is_json(type) && a->body.n ? agw_json_parse(doc, a->body, NULL) : AGW_EINVAL;
    if (rc == AGW_ENOMEM)
        return rc;
    bool json = rc == 0, object = json && agw_json_type(doc, 0) == AGW_JSON_OBJECT;
    if (t->has_output && !object)
        return status_content(a, type, ": not the JSON object that the document promises", true, w);
    if (!json && a->body.n && !is_text(a, type))
        return bytes_content(t, a, type, w);
    if (a->body.n == 0)
        return status_content(a, type, "", false, w);
    text_content(w, a->body, false);
    if (json) {
        agw_json_key(w, AGW_STR("structuredContent"));
        if (!object) {
            agw_json_begin_object(w);
            agw_json_key(w, AGW_STR("data"));
        }
        agw_json_raw(w, agw_json_text(doc, 0));
        if (!object)
            agw_json_end_object(w);
    }
    return 0;
}
