/* Targets that fail: a fan-out goes on without those that have failed again and again, and whoever asks for a
 * list hears which targets it is without. Calls of one target go to it, whatever became of others. */
#include "base/log.h"
#include "mcp/exchange.h"
#include "mcp/modern/envelope.h"

#define SERVER_ERROR 500

int agw_mcp_check_health(struct agw_mcp_leg *leg)
{
    struct agw_mcp_exchange *x = leg->x;
    if (x->silent)
        return 0; /* who is told something, or let go, should hear of it whenever it can */
    int code = agw_mcp_circuit_check(x->m->circuits, x->backend->serial, leg->target, x->m->loop->now_ms);
    if (code && x->m->metrics) {
        struct agw_str labels[] = {x->backend->name, x->conf->targets[leg->target].name};
        agw_metric_add(agw_metrics_get(x->m->metrics, AGW_METRIC_MCP_SKIPPED, labels), 1);
    }
    return code;
}

/* Why the target failed; 0: it answers, if only to refuse. */
static int failure_of(const struct agw_mcp_leg *leg)
{
    const struct agw_mcp_failure *f = &leg->failure;
    if (!f->set)
        return 0;
    if (f->code == 0 && f->response && f->response->status >= SERVER_ERROR)
        return AGW_EIO;
    return f->code;
}

static void note(struct agw_mcp_leg *leg, int code)
{
    struct agw_mcp_exchange *x = leg->x;
    if (x->silent || leg->skip || code == AGW_ENOMEM)
        return;
    if (!agw_mcp_circuit_note(x->m->circuits, x->backend->serial, leg->target, code, x->m->loop->now_ms))
        return;
    struct agw_str name = x->conf->targets[leg->target].name;
    if (code)
        agw_warn("mcp", "%.*s: target %.*s is left out for a while: %s", AGW_STRF(x->backend->name),
                 AGW_STRF(name), agw_err_text(code));
    else
        agw_info("mcp", "%.*s: target %.*s answers again", AGW_STRF(x->backend->name), AGW_STRF(name));
}

void agw_mcp_note_health(struct agw_mcp_leg *leg)
{
    note(leg, failure_of(leg));
}

void agw_mcp_note_impatience(struct agw_mcp_exchange *x)
{
    if (!x->finish || x->out == AGW_MCP_OUT_ENDED)
        return;
    agw_mcp_each_leg(x, leg)
    {
        bool waits = leg->call.running && !leg->settled;
        if (waits && x->m->loop->now_ms - leg->started_ms >= AGW_MCP_PATIENCE_MS)
            note(leg, AGW_ETIMEOUT);
    }
}

/* Servers of 2026-07-28 send log messages of the level that the request asks for, and no others; those of
 * older revisions send warnings unless they are told otherwise. */
static bool wants_warnings(struct agw_mcp_exchange *x)
{
    static const struct agw_str levels[] = {{"debug", 5}, {"info", 4}, {"notice", 6}, {"warning", 7}};
    static const char *const path[] = {"_meta", "io.modelcontextprotocol/logLevel"};
    if (!x->modern)
        return true;
    uint32_t token = x->message.params ? agw_json_path(&x->doc, x->message.params, path, 2) : 0;
    for (size_t i = 0; token != 0 && i < AGW_ARRAY_LEN(levels); i++)
        if (agw_json_type(&x->doc, token) == AGW_JSON_STRING && agw_json_is(&x->doc, token, levels[i]))
            return true;
    return false;
}

static void warn(struct agw_mcp_exchange *x, uint32_t target, const char *why)
{
    struct agw_json_writer w;
    struct agw_chain body;
    agw_chain_init(&body);
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_string(&w, "method", AGW_STR("notifications/message"));
    agw_json_key(&w, AGW_STR("params"));
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "level", AGW_STR("warning"));
    agw_json_put_string(&w, "logger", AGW_STR("agentgateway"));
    agw_json_key(&w, AGW_STR("data"));
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "target", x->conf->targets[target].name);
    agw_json_put_string(&w, "missingFrom", x->method->name);
    agw_json_put_string(&w, "reason", agw_str_c(why));
    agw_json_end_object(&w);
    agw_json_end_object(&w);
    agw_json_end_object(&w);
    if (agw_json_writer_finish(&w, 0, &body) == 0)
        agw_mcp_reply_event(x, &body, NULL, target, false); /* without memory the list goes alone */
    agw_chain_clear(&body);
}

void agw_mcp_warn_of_missing(struct agw_mcp_exchange *x)
{
    bool wanted = x->conf->count > 1 && wants_warnings(x);
    for (uint32_t i = 0; wanted && i < x->conf->count; i++) {
        const struct agw_mcp_leg *leg = &x->legs[i];
        const struct agw_mcp_failure *f = &leg->failure;
        if (!x->session.peers[i].present)
            warn(x, i, "it did not answer initialize, and is not part of this session");
        else if (f->set && !agw_mcp_lacks_method(leg))
            warn(x, i, f->code ? agw_err_text(f->code) : "it answered with an error");
    }
}
