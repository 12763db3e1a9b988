#include "a2a/watch.h"

void agw_a2a_watch_init(struct agw_a2a_watch *w, const struct agw_msg *req)
{
    w->call = agw_a2a_call_read(req);
    agw_a2a_scan_request(&w->request, &w->call);
    agw_a2a_scan_answer(&w->answer, &w->call, false);
}

static void scan(struct agw_a2a_scan *s, const struct agw_chain *data)
{
    for (uint32_t i = 0; i < data->count; i++) {
        const struct agw_slice *piece = agw_chain_at(data, i);
        agw_a2a_scan_bytes(s, piece->p, piece->n);
    }
}

void agw_a2a_watch_request(struct agw_a2a_watch *w, const struct agw_chain *data)
{
    if (w->call.binding != AGW_A2A_NONE)
        scan(&w->request, data);
}

void agw_a2a_watch_head(struct agw_a2a_watch *w, const struct agw_msg *resp)
{
    struct agw_str type = agw_headers_value(&resp->headers, AGW_HDR_CONTENT_TYPE);
    agw_a2a_scan_answer(&w->answer, &w->call, agw_str_starts(type, AGW_STR("text/event-stream")));
}

void agw_a2a_watch_answer(struct agw_a2a_watch *w, const struct agw_chain *data)
{
    if (w->call.binding != AGW_A2A_NONE)
        scan(&w->answer, data);
}

static struct agw_str first_of(struct agw_str a, struct agw_str b)
{
    return a.n > 0 ? a : b;
}

struct agw_a2a_call agw_a2a_watch_call(const struct agw_a2a_watch *w)
{
    struct agw_a2a_call call = w->call;
    if (call.binding == AGW_A2A_JSONRPC)
        call.method = agw_a2a_method_find(agw_a2a_text(&w->request.found.method), &call.old);
    return call;
}

bool agw_a2a_watch_asks_card(const struct agw_a2a_watch *w)
{
    return w->call.binding == AGW_A2A_JSONRPC && agw_a2a_watch_call(w).method == AGW_A2A_GET_EXTENDED_CARD;
}

struct agw_a2a_summary agw_a2a_watch_summary(const struct agw_a2a_watch *w)
{
    const struct agw_a2a_found *asked = &w->request.found, *told = &w->answer.found;
    struct agw_a2a_call call = agw_a2a_watch_call(w);
    return (struct agw_a2a_summary){
        .method = agw_a2a_method_name(&call),
        .task = first_of(call.task, first_of(agw_a2a_text(&told->task), agw_a2a_text(&asked->task))),
        .context = first_of(agw_a2a_text(&told->context), agw_a2a_text(&asked->context)),
        .state = told->state,
        .error = told->error,
    };
}
