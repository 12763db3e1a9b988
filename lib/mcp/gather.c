/* Many targets: the same request to each, one answer made of theirs. */
#include "mcp/exchange.h"

#include "base/clock.h"
#include "mcp/bridge/request.h"

/* --- collecting --- */

static void no_memory(struct agw_mcp_exchange *x)
{
    agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
}

static bool session_expired(const struct agw_mcp_leg *leg)
{
    const struct agw_mcp_peer *peer = agw_mcp_leg_peer(leg);
    return leg->failure.response && leg->failure.response->status == 404 && peer && peer->sid.n;
}

/* One failure ends it all: in backends that fail closed, and when a session is gone, which only the client
 * can renew. */
static bool is_fatal(const struct agw_mcp_leg *leg)
{
    if (leg->x->tolerant || (leg->x->modern && agw_mcp_lacks_method(leg)))
        return false;
    return !leg->x->conf->fail_open || session_expired(leg);
}

static void settle(struct agw_mcp_leg *leg)
{
    struct agw_mcp_exchange *x = leg->x;
    if (leg->settled || x->out == AGW_MCP_OUT_ENDED)
        return;
    leg->settled = true;
    agw_mcp_note_health(leg);
    x->waiting--;
    if (leg->failure.response)
        agw_mcp_doubt_era(leg, leg->failure.response->status);
    if (leg->failure.set && agw_mcp_is_older(leg))
        agw_mcp_reply_older(x);
    else if (leg->failure.set && is_fatal(leg))
        agw_mcp_reply_failure(x, leg);
    else if (x->waiting == 0)
        x->finish(x);
}

static void fail(struct agw_mcp_leg *leg, int code)
{
    if (!leg->failure.set) {
        leg->failure.set = true;
        leg->failure.code = code;
    }
    settle(leg);
}

void agw_mcp_add_page(struct agw_mcp_leg *leg, struct agw_mcp_page *page)
{
    *leg->pages_end = page;
    leg->pages_end = &page->next;
    leg->pages_read++;
}

/* Takes the scratch document over. */
static int keep_page(struct agw_mcp_leg *leg, const struct agw_mcp_frame *f, uint32_t result)
{
    struct agw_mcp *m = leg->x->m;
    struct agw_mcp_page *page = agw_arena_zalloc(&leg->x->arena, sizeof *page);
    if (!page)
        return AGW_ENOMEM;
    page->doc = m->scratch;
    page->block = agw_block_ref(f->block);
    page->result = result;
    page->taken_ms = m->loop->now_ms;
    agw_json_doc_init(&m->scratch, 0);
    agw_mcp_add_page(leg, page);
    agw_mcp_keep_list(leg, &page->doc, result);
    return 0;
}

bool agw_mcp_valid_sid(struct agw_str sid)
{
    for (size_t i = 0; i < sid.n; i++)
        if (sid.p[i] < 0x21 || sid.p[i] > 0x7e)
            return false;
    return sid.n <= AGW_MCP_SID_MAX;
}

/* An InitializeResult: our session with this target begins. */
static int join_session(struct agw_mcp_leg *leg)
{
    struct agw_mcp_peer *peer = &leg->x->session.peers[leg->target];
    struct agw_str sid = agw_headers_value(&leg->call.response->headers, AGW_HDR_MCP_SESSION_ID);
    if (!agw_mcp_valid_sid(sid))
        return AGW_EPROTO;
    int rc = agw_mcp_read_initialize(&leg->pages->doc, leg->pages->result, peer);
    if (rc != 0)
        return rc;
    peer->present = true;
    if (leg->bridged) { /* it keeps no session, whichever of its endpoints it is */
        peer->version = AGW_MCP_MODERN;
        return 0;
    }
    peer->sid = sid;
    peer->pin = agw_mcp_call_pin(&leg->call);
    if (peer->version < leg->x->session.version)
        leg->x->session.version = peer->version;
    return 0;
}

static int take_answer(struct agw_mcp_leg *leg, const struct agw_mcp_frame *f,
                       const struct agw_jsonrpc *message)
{
    if (message->kind == AGW_JSONRPC_ERROR) {
        leg->failure.set = true;
        return agw_chain_add(&leg->failure.body, f->block, f->text.p, f->text.n);
    }
    int rc = agw_json_type(&leg->x->m->scratch, message->result) == AGW_JSON_OBJECT ? 0 : AGW_EPROTO;
    if (rc == 0)
        rc = keep_page(leg, f, message->result);
    if (rc == 0 && leg->x->method->way == AGW_MCP_WAY_INITIALIZE)
        rc = join_session(leg);
    return rc;
}

static void gather_head(struct agw_mcp_call *c)
{
    if (c->form == AGW_MCP_FORM_RAW)
        AGW_MCP_LEG(c)->failure.response = c->response;
}

static void gather_frame(struct agw_mcp_call *c, const struct agw_mcp_frame *f)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_jsonrpc message;
    bool final;
    if (leg->x->silent)
        return;
    int rc = agw_mcp_pass(leg, f, false, &message, &final);
    if (rc == 0 && !final)
        return;
    if (rc == 0)
        rc = take_answer(leg, f, &message);
    leg->answered = true;
    if (rc != 0)
        fail(leg, rc);
    else if (!leg->x->drain)
        settle(leg);
}

static void gather_bytes(struct agw_mcp_call *c, struct agw_chain *data)
{
    agw_mcp_keep_error(AGW_MCP_LEG(c), data);
}

static bool next_page(struct agw_mcp_leg *leg);

static void gather_done(struct agw_mcp_call *c, int code)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_mcp_exchange *x = leg->x;
    if (!agw_mcp_leg_over(leg) || leg->settled)
        return;
    if (leg->answered) {
        if (leg->failure.set || !next_page(leg))
            settle(leg);
    } else if (code == 0 && leg->failure.response) {
        leg->failure.set = true;
        settle(leg);
    } else if (code == 0 && x->silent) {
        leg->answered = true;
        settle(leg);
    } else {
        fail(leg, code ? code : AGW_EPROTO);
    }
}

static const struct agw_mcp_call_ops gather_ops = {gather_head, gather_frame, gather_bytes, gather_done};

static void start(struct agw_mcp_leg *leg, enum agw_method method, struct agw_chain *body)
{
    struct agw_mcp_exchange *x = leg->x;
    uint32_t most = x->m->settings.fanout_ms;
    uint32_t ms = x->timeout_ms && x->timeout_ms < most ? x->timeout_ms : most;
    leg->answered = leg->settled = false;
    leg->raw_json = false;
    leg->started_ms = x->m->loop->now_ms;
    leg->skip = agw_mcp_check_health(leg);
    agw_mcp_start_leg(leg, &gather_ops, method, body, ms);
}

static void begin(struct agw_mcp_exchange *x, void (*finish)(struct agw_mcp_exchange *x))
{
    x->finish = finish;
    x->waiting = 0;
}

/* Starts |leg| with the client's message and |edits| (NULL: none). */
static int start_edited(struct agw_mcp_leg *leg, const struct agw_json_edits *edits)
{
    struct agw_chain body;
    int rc = agw_mcp_request_body(leg->x, edits, &body);
    if (rc == 0) {
        leg->x->waiting++;
        start(leg, AGW_METHOD_POST, &body);
    }
    agw_chain_clear(&body);
    return rc;
}

/* The first failure, for when nobody answered. NULL: somebody did. */
static struct agw_mcp_leg *all_failed(struct agw_mcp_exchange *x)
{
    struct agw_mcp_leg *first = NULL;
    agw_mcp_each_leg(x, leg)
    {
        if (leg->used && !leg->failure.set)
            return NULL;
        if (leg->used && !first)
            first = leg;
    }
    return first;
}

/* True: they have, and that is the client's answer. */
static bool refused(struct agw_mcp_exchange *x)
{
    struct agw_mcp_leg *failed = all_failed(x);
    if (failed)
        agw_mcp_reply_failure(x, failed);
    return failed != NULL;
}

/* The pages of all targets that answered, by target and page. */
static struct agw_mcp_part *parts_of(struct agw_mcp_exchange *x, uint32_t *ret_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < x->conf->count; i++)
        count += x->legs[i].pages_read;
    struct agw_mcp_part *parts = agw_arena_alloc(&x->arena, count * sizeof *parts);
    if (!parts)
        return NULL;
    count = 0;
    for (uint32_t i = 0; i < x->conf->count; i++)
        for (struct agw_mcp_page *p = x->legs[i].pages; p && !x->legs[i].failure.set; p = p->next)
            parts[count++] = (struct agw_mcp_part){i, &p->doc, p->result, x->m->loop->now_ms - p->taken_ms};
    *ret_count = count;
    return parts;
}

static void finish_list(struct agw_mcp_exchange *x);
static void finish_find(struct agw_mcp_exchange *x);

static int hide(struct agw_mcp_exchange *x, uint32_t target, struct agw_mcp_page *p)
{
    const struct agw_mcp_rights *rights = &x->client.rights;
    enum agw_mcp_scope scope = x->finish == finish_list   ? AGW_MCP_SCOPE_LISTED
                               : x->finish == finish_find ? AGW_MCP_SCOPE_BARE
                                                          : AGW_MCP_SCOPE_SHOWN;
    int rc =
        agw_mcp_hide_items(rights, x->listing, &p->doc, p->result, x->conf->targets[target].name, &x->arena);
    return rc != 0 ? rc
                   : agw_mcp_hide_unselected(x->conf, target, x->listing, &p->doc, p->result, scope,
                                             rights->count > 0, &x->arena);
}

/* The same of a list, without what the client may not use. */
static struct agw_mcp_part *visible_parts(struct agw_mcp_exchange *x, uint32_t *ret_count)
{
    for (uint32_t i = 0; i < x->conf->count; i++)
        for (struct agw_mcp_page *p = x->legs[i].pages; p && !x->legs[i].failure.set; p = p->next)
            if (hide(x, i, p) != 0)
                return NULL;
    return parts_of(x, ret_count);
}

/* --- initialize --- */

static int edit_version(struct agw_mcp_exchange *x, struct agw_json_edits *edits)
{
    struct agw_str text = {0};
    uint32_t params = x->message.params;
    uint32_t token = params ? agw_json_get(&x->doc, params, AGW_STR("protocolVersion")) : 0;
    if (token == 0 || agw_json_unescape(&x->doc, token, &x->arena, &text) != 0)
        return AGW_EINVAL;
    enum agw_mcp_version v = agw_mcp_version_parse(text);
    bool known = v != AGW_MCP_VERSION_NONE && v <= AGW_MCP_LEGACY_NEWEST;
    x->session.version = known ? v : AGW_MCP_LEGACY_NEWEST;
    return known ? 0
                 : agw_json_edits_string(edits, &x->doc, token, agw_mcp_version_text(AGW_MCP_LEGACY_NEWEST));
}

static int write_initialized(struct agw_mcp_exchange *x, struct agw_chain *ret_body)
{
    uint32_t count;
    struct agw_json_writer w;
    struct agw_mcp_part *parts = parts_of(x, &count);
    if (!parts)
        return AGW_ENOMEM;
    if (x->conf->count == 1) /* the one target speaks for itself */
        return agw_chain_add(ret_body, x->legs[0].pages->block, parts[0].doc->text.p, parts[0].doc->text.n);
    agw_json_writer_init_chain(&w, ret_body, &x->m->loop->blocks);
    int rc = agw_mcp_merge_initialize(x->conf, parts, count, &x->session, x->id, &x->arena, &w);
    return agw_json_writer_finish(&w, rc, NULL);
}

static void finish_initialize(struct agw_mcp_exchange *x)
{
    struct agw_chain body;
    if (refused(x))
        return;
    agw_chain_init(&body);
    int rc = write_initialized(x, &body);
    if (rc == 0 && !x->conf->stateless)
        rc = agw_mcp_session_seal(x->m->seal, x->backend, &x->session, &x->arena, &x->new_session);
    if (rc == AGW_ELIMIT) {
        agw_mcp_reply_error(x, 502, AGW_JSONRPC_INTERNAL,
                            AGW_STR("the targets' session ids are too long together"));
    } else if (rc != 0) {
        no_memory(x);
    } else {
        x->joined = !x->conf->stateless;
        agw_mcp_reply_json(x, 200, &body);
    }
    agw_chain_clear(&body);
}

void agw_mcp_initialize(struct agw_mcp_exchange *x)
{
    struct agw_json_edits edits;
    agw_json_edits_init(&edits, &x->arena);
    x->session.count = x->conf->count;
    x->session.issued_s = x->m->loop->wall_ns / AGW_NS_PER_S;
    x->session.peers = agw_arena_zalloc(&x->arena, x->conf->count * sizeof *x->session.peers);
    int rc = x->session.peers ? edit_version(x, &edits) : AGW_ENOMEM;
    if (rc == 0)
        rc = agw_mcp_client_read(&x->doc, agw_json_get(&x->doc, x->message.params, AGW_STR("capabilities")),
                                 agw_json_get(&x->doc, x->message.params, AGW_STR("clientInfo")), &x->arena,
                                 &x->session.client);
    if (rc == 0)
        rc = agw_mcp_make_legs(x);
    begin(x, finish_initialize);
    for (uint32_t i = 0; rc == 0 && i < x->conf->count; i++)
        rc = start_edited(&x->legs[i], &edits);
    if (rc == AGW_EINVAL)
        agw_mcp_reply_error(x, 200, AGW_JSONRPC_INVALID_PARAMS,
                            AGW_STR("params.protocolVersion must be a string"));
    else if (rc != 0)
        no_memory(x);
}

/* --- lists --- */

static bool takes_part(const struct agw_mcp_exchange *x, uint32_t target, const struct agw_mcp_method *method)
{
    const struct agw_mcp_peer *peer = &x->session.peers[target];
    return peer->present && (peer->caps & method->cap);
}

static int next_cursors(struct agw_mcp_exchange *x, const struct agw_mcp_part *parts, uint32_t count)
{
    int rc = agw_mcp_cursor_init(&x->next, x->conf, &x->arena);
    for (uint32_t p = 0; rc == 0 && !x->drain && p < count; p++)
        rc = agw_mcp_next_cursor(parts[p].doc, parts[p].result, &x->arena, &x->next.at[parts[p].target]);
    return rc;
}

/* What a target failed to add may be there again at once. */
static struct agw_mcp_hints hints_of(struct agw_mcp_exchange *x, const struct agw_mcp_part *parts,
                                     uint32_t count)
{
    struct agw_mcp_hints hints;
    agw_mcp_hints_init(&hints);
    for (uint32_t p = 0; p < count; p++)
        agw_mcp_hints_add(&hints, parts[p].doc, parts[p].result, parts[p].age_ms);
    for (uint32_t i = 0; i < x->conf->count; i++)
        if (x->legs[i].failure.set && !agw_mcp_lacks_method(&x->legs[i]))
            agw_mcp_hints_incomplete(&hints);
    hints.is_private |= x->client.rights.count > 0; /* others may see less, or more */
    return hints;
}

static int write_list(struct agw_mcp_exchange *x, struct agw_chain *ret_body)
{
    uint32_t count;
    struct agw_json_writer w;
    struct agw_mcp_part *parts = visible_parts(x, &count);
    if (!parts || next_cursors(x, parts, count) != 0)
        return AGW_ENOMEM;
    struct agw_str next;
    int rc = agw_mcp_cursor_encode(&x->next, x->conf, &x->arena, &next);
    if (rc != 0)
        return rc;
    struct agw_mcp_hints hints = hints_of(x, parts, count);
    agw_json_writer_init_chain(&w, ret_body, &x->m->loop->blocks);
    rc = agw_mcp_merge_list(x->conf, x->listing, parts, count, x->id, next, x->modern ? &hints : NULL,
                            &x->arena, &w);
    return agw_json_writer_finish(&w, rc, NULL);
}

static void finish_list(struct agw_mcp_exchange *x)
{
    struct agw_chain body;
    if (refused(x))
        return;
    agw_chain_init(&body);
    int rc = write_list(x, &body);
    if (rc == AGW_ELIMIT) {
        agw_mcp_reply_error(x, 502, AGW_JSONRPC_INTERNAL,
                            AGW_STR("the targets' cursors are too long together"));
    } else if (rc != 0) {
        no_memory(x);
    } else {
        agw_mcp_warn_of_missing(x);
        agw_mcp_reply_message(x, &body);
    }
    agw_chain_clear(&body);
}

/* The client's cursor, if it sent one. */
static int read_cursor(struct agw_mcp_exchange *x, bool *ret_present)
{
    struct agw_str text;
    uint32_t token = x->message.params ? agw_json_get(&x->doc, x->message.params, AGW_STR("cursor")) : 0;
    if (token == 0) {
        *ret_present = false;
        return 0;
    }
    int rc = agw_json_unescape(&x->doc, token, &x->arena, &text);
    if (rc == 0)
        rc = agw_mcp_cursor_decode(text, x->conf, &x->arena, &x->cursor);
    *ret_present = true;
    return rc;
}

/* Our own request for a page of the list, when the client asked something else. */
static int start_own_page(struct agw_mcp_leg *leg, struct agw_str cursor)
{
    struct agw_mcp_exchange *x = leg->x;
    struct agw_json_writer w;
    struct agw_chain body;
    agw_chain_init(&body);
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_raw(&w, "id", x->id);
    agw_json_put_string(&w, "method", x->listing->name);
    agw_json_key(&w, AGW_STR("params"));
    agw_json_begin_object(&w);
    if (cursor.p)
        agw_json_put_string(&w, "cursor", cursor);
    int rc = x->modern ? agw_mcp_write_meta(x, &w) : 0;
    if (rc == 0) {
        agw_json_end_object(&w);
        agw_json_end_object(&w);
    }
    rc = agw_json_writer_finish(&w, rc, &body);
    if (rc == 0) {
        x->waiting++;
        leg->own_method = x->listing->name;
        start(leg, AGW_METHOD_POST, &body);
    }
    agw_chain_clear(&body);
    return rc;
}

static int ask_page(struct agw_mcp_leg *leg, struct agw_str cursor)
{
    struct agw_json_edits edits;
    if (leg->x->wanted.n)
        return start_own_page(leg, cursor);
    agw_json_edits_init(&edits, &leg->x->arena);
    int rc = cursor.p ? agw_mcp_set_cursor(&leg->x->doc, &leg->x->message, cursor, &edits) : 0;
    return rc == 0 ? start_edited(leg, &edits) : rc;
}

/* The cursor after the leg's last page. False: it has no further one, or one that is not wanted. */
static bool has_further(struct agw_mcp_leg *leg, struct agw_str *ret_cursor)
{
    struct agw_mcp_exchange *x = leg->x;
    struct agw_mcp_page *last = leg->pages;
    if (!x->drain || leg->pages_read >= AGW_MCP_PAGES_MAX)
        return false;
    while (last->next)
        last = last->next;
    return agw_mcp_next_cursor(&last->doc, last->result, &x->arena, ret_cursor) == 0 && ret_cursor->p;
}

/* Takes what is kept, and asks the target where that ends; x->waiting tells whether it did. */
static int start_page(struct agw_mcp_leg *leg, struct agw_str cursor)
{
    leg->used = true;
    do {
        if (!agw_mcp_take_kept(leg, cursor))
            return ask_page(leg, cursor);
    } while (has_further(leg, &cursor));
    return 0;
}

static int start_list(struct agw_mcp_exchange *x, bool has_cursor)
{
    int rc = agw_mcp_make_legs(x);
    begin(x, finish_list);
    for (uint32_t i = 0; rc == 0 && i < x->conf->count; i++) {
        if (!takes_part(x, i, x->listing) || (has_cursor && !x->cursor.at[i].p))
            continue;
        rc = start_page(&x->legs[i], has_cursor ? x->cursor.at[i] : agw_str(NULL, 0));
    }
    return rc;
}

/* Bare names of several targets: what is listed depends on all of them, so all pages are read at once. */
static bool needs_all_pages(const struct agw_mcp_exchange *x)
{
    if (x->conf->search && x->listing->cap == AGW_MCP_CAP_TOOLS) /* the few that are listed may be anywhere */
        return true;
    return x->conf->count != 1 && x->conf->prefix == AGW_MCP_PREFIX_NEVER &&
           agw_str_eq(x->listing->label, AGW_STR("name"));
}

void agw_mcp_list(struct agw_mcp_exchange *x)
{
    bool has_cursor;
    x->listing = x->method;
    x->drain = needs_all_pages(x);
    int rc = read_cursor(x, &has_cursor);
    if (rc == AGW_EINVAL) {
        agw_mcp_reply_error(x, 200, AGW_JSONRPC_INVALID_PARAMS, AGW_STR("Invalid cursor"));
        return;
    }
    if (rc == 0)
        rc = start_list(x, has_cursor);
    if (rc != 0)
        no_memory(x);
    else if (x->waiting == 0)
        finish_list(x);
}

/* Draining: asks for the page after the last one read. False: there is none to wait for. */
static bool next_page(struct agw_mcp_leg *leg)
{
    struct agw_mcp_exchange *x = leg->x;
    struct agw_str cursor;
    uint32_t waiting = x->waiting;
    if (!has_further(leg, &cursor) || start_page(leg, cursor) != 0 || x->waiting == waiting)
        return false;
    x->waiting = waiting; /* still the same leg that is waited for */
    return true;
}

/* --- whose bare name is it --- */

struct agw_mcp_part *agw_mcp_found_parts(struct agw_mcp_exchange *x, uint32_t *ret_count)
{
    if (refused(x))
        return NULL;
    struct agw_mcp_part *parts = visible_parts(x, ret_count);
    if (!parts)
        no_memory(x);
    return parts;
}

static void finish_find(struct agw_mcp_exchange *x)
{
    uint32_t count, target;
    struct agw_chain body;
    struct agw_mcp_part *parts = agw_mcp_found_parts(x, &count);
    if (!parts)
        return;
    int rc = agw_mcp_find_owner(x->listing, parts, count, x->wanted, &target);
    if (rc != 0) {
        struct agw_str text = agw_arena_printf(&x->arena, "%s: %.*s",
                                               rc == AGW_EEXISTS                     ? "Ambiguous name"
                                               : x->method->cap == AGW_MCP_CAP_TOOLS ? "Unknown tool"
                                                                                     : "Unknown prompt",
                                               AGW_STRF(x->wanted));
        agw_mcp_reply_error(x, 200, AGW_JSONRPC_INVALID_PARAMS, text.p ? text : AGW_STR("Unknown name"));
        return;
    }
    if (agw_mcp_request_body(x, NULL, &body) != 0)
        no_memory(x);
    else
        agw_mcp_relay(x, target, &body);
    agw_chain_clear(&body);
}

void agw_mcp_find(struct agw_mcp_exchange *x, struct agw_str name, void (*finish)(struct agw_mcp_exchange *x))
{
    bool tools = x->method->cap == AGW_MCP_CAP_TOOLS;
    x->wanted = name;
    x->drain = true;
    x->listing = agw_mcp_method_find(tools ? AGW_STR("tools/list") : AGW_STR("prompts/list"));
    begin(x, finish);
    int rc = agw_mcp_make_legs(x);
    for (uint32_t i = 0; rc == 0 && i < x->conf->count; i++)
        if (takes_part(x, i, x->listing))
            rc = start_page(&x->legs[i], agw_str(NULL, 0));
    if (rc != 0)
        no_memory(x);
    else if (x->waiting == 0)
        finish(x);
}

void agw_mcp_find_and_relay(struct agw_mcp_exchange *x, struct agw_str name)
{
    agw_mcp_find(x, name, finish_find);
}

/* --- server/discover --- */

static int write_discovered(struct agw_mcp_exchange *x, struct agw_chain *ret_body)
{
    uint32_t count;
    struct agw_json_writer w;
    struct agw_mcp_part *parts = parts_of(x, &count);
    if (!parts)
        return AGW_ENOMEM;
    struct agw_mcp_hints hints = hints_of(x, parts, count);
    agw_json_writer_init_chain(&w, ret_body, &x->m->loop->blocks);
    int rc = agw_mcp_merge_discover(x->conf, parts, count, &hints, x->id, &x->arena, &w);
    return agw_json_writer_finish(&w, rc, NULL);
}

static void finish_discover(struct agw_mcp_exchange *x)
{
    struct agw_chain body;
    if (refused(x))
        return;
    agw_chain_init(&body);
    int rc = write_discovered(x, &body);
    if (rc == AGW_ENOTFOUND)
        agw_mcp_reply_older(x);
    else if (rc != 0)
        no_memory(x);
    else
        agw_mcp_reply_message(x, &body);
    agw_chain_clear(&body);
}

void agw_mcp_discover(struct agw_mcp_exchange *x)
{
    int rc = agw_mcp_make_legs(x);
    begin(x, finish_discover);
    for (uint32_t i = 0; rc == 0 && i < x->conf->count; i++)
        rc = start_edited(&x->legs[i], NULL);
    if (rc != 0)
        no_memory(x);
}

/* --- no answer but "done" --- */

static void finish_all(struct agw_mcp_exchange *x)
{
    if (!refused(x))
        agw_mcp_reply_empty(x);
}

void agw_mcp_all(struct agw_mcp_exchange *x)
{
    int rc = agw_mcp_make_legs(x);
    begin(x, finish_all);
    for (uint32_t i = 0; rc == 0 && i < x->conf->count; i++)
        if (takes_part(x, i, x->method))
            rc = start_edited(&x->legs[i], NULL);
    if (rc != 0)
        no_memory(x);
    else if (x->waiting == 0)
        finish_all(x);
}

static void finish_accepted(struct agw_mcp_exchange *x)
{
    if (x->tolerant || !refused(x))
        agw_mcp_reply_status(x, 202);
    if (!x->down)
        agw_mcp_exchange_close(x, 0); /* a clean-up of our own */
}

void agw_mcp_notify_one(struct agw_mcp_exchange *x, uint32_t target, struct agw_chain *body)
{
    x->silent = true;
    x->report.target = x->conf->targets[target].name;
    begin(x, finish_accepted);
    struct agw_mcp_leg *leg = agw_mcp_make_leg(x, target);
    if (!leg) {
        no_memory(x);
        return;
    }
    x->waiting = 1;
    start(leg, AGW_METHOD_POST, body);
}

void agw_mcp_notify(struct agw_mcp_exchange *x)
{
    if (x->conf->count != 1 && agw_str_eq(x->message.method, AGW_STR("notifications/tasks/status"))) {
        agw_mcp_reply_status(x,
                             202); /* a task of the client's own: whose it is nobody knows, so nobody hears */
        return;
    }
    int rc = agw_mcp_make_legs(x);
    x->silent = true;
    begin(x, finish_accepted);
    for (uint32_t i = 0; rc == 0 && i < x->conf->count; i++)
        if (x->session.peers[i].present)
            rc = start_edited(&x->legs[i], NULL);
    if (rc != 0)
        no_memory(x);
    else if (x->waiting == 0)
        finish_accepted(x);
}

void agw_mcp_end_session(struct agw_mcp_exchange *x)
{
    x->silent = x->tolerant = true;
    begin(x, finish_accepted);
    if (agw_mcp_make_legs(x) != 0) {
        no_memory(x);
        return;
    }
    for (uint32_t i = 0; i < x->conf->count; i++) {
        if (!x->session.peers[i].present || x->session.peers[i].sid.n == 0)
            continue;
        x->waiting++;
        start(&x->legs[i], AGW_METHOD_DELETE, NULL);
    }
    if (x->waiting == 0)
        finish_accepted(x);
}

/* --- sessions nobody holds --- */

static bool holds_sessions(const struct agw_mcp_session *s)
{
    for (uint32_t i = 0; s->peers && i < s->count; i++)
        if (s->peers[i].present && s->peers[i].sid.n)
            return true;
    return false;
}

static int copy_session(struct agw_mcp_exchange *to, const struct agw_mcp_session *from)
{
    to->session = *from;
    to->session.peers = agw_arena_copy(&to->arena, from->peers, from->count * sizeof *from->peers);
    if (!to->session.peers)
        return AGW_ENOMEM;
    for (uint32_t i = 0; i < from->count; i++) {
        to->session.peers[i].sid = agw_arena_str(&to->arena, from->peers[i].sid);
        if (!to->session.peers[i].sid.p)
            return AGW_ENOMEM;
    }
    return 0;
}

void agw_mcp_abandon_session(struct agw_mcp_exchange *x)
{
    if (!holds_sessions(&x->session))
        return;
    struct agw_mcp_exchange *c = agw_mcp_exchange_new(x->m, x->backend, x->snap);
    if (!c)
        return; /* the targets' own expiry must do */
    if (agw_mcp_act_for(c, x) != 0 || copy_session(c, &x->session) != 0) {
        agw_mcp_exchange_close(c, AGW_ENOMEM);
        return;
    }
    c->timeout_ms = AGW_MCP_CLEANUP_MS;
    agw_mcp_end_session(c);
}
