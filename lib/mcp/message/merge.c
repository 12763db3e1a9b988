#include "mcp/message/merge.h"

#include "base/map.h"
#include "mcp/message/names.h"
#include "mcp/virtual/search.h"

#define CURSOR_FORMAT 1
#define CURSOR_HEAD 6 /* format, number of entries, a check of the targets */

/* --- cursors --- */

int agw_mcp_cursor_init(struct agw_mcp_cursor *c, const struct agw_mcp_backend *b, struct agw_arena *arena)
{
    struct agw_str *at = agw_arena_zalloc(arena, b->count * sizeof *at);
    if (!at)
        return AGW_ENOMEM;
    *c = (struct agw_mcp_cursor){at, b->count};
    return 0;
}

/* FNV-1a over the targets' names in order: a cursor must not be read against another set. */
static uint32_t check_of(const struct agw_mcp_backend *b)
{
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < b->count; i++) {
        for (size_t k = 0; k < b->targets[i].name.n; k++)
            h = (h ^ (unsigned char)b->targets[i].name.p[k]) * 16777619u;
        h = (h ^ 0xff) * 16777619u;
    }
    return h;
}

int agw_mcp_cursor_encode(const struct agw_mcp_cursor *c, const struct agw_mcp_backend *b,
                          struct agw_arena *arena, struct agw_str *ret_text)
{
    size_t n = CURSOR_HEAD;
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->at[i].n > UINT16_MAX)
            return AGW_ELIMIT;
        if (c->at[i].p)
            n += 3 + c->at[i].n;
    }
    if (n == CURSOR_HEAD) {
        *ret_text = AGW_STR("");
        return 0;
    }
    if (AGW_BASE64_SIZE(n) > AGW_MCP_CURSOR_MAX)
        return AGW_ELIMIT;
    unsigned char *raw = agw_arena_alloc(arena, n);
    char *text = agw_arena_alloc(arena, AGW_BASE64_SIZE(n));
    if (!raw || !text)
        return AGW_ENOMEM;
    uint32_t check = check_of(b);
    raw[0] = CURSOR_FORMAT;
    raw[1] = 0;
    memcpy(raw + 2, &check, sizeof check);
    n = CURSOR_HEAD;
    for (uint32_t i = 0; i < c->count; i++) {
        struct agw_str at = c->at[i];
        if (!at.p)
            continue;
        raw[1]++;
        raw[n++] = (unsigned char)i;
        raw[n++] = (unsigned char)(at.n & 0xff);
        raw[n++] = (unsigned char)(at.n >> 8);
        if (at.n > 0)
            memcpy(raw + n, at.p, at.n);
        n += at.n;
    }
    *ret_text = agw_str(text, agw_base64_encode(raw, n, true, text));
    return 0;
}

static int decode_entries(const unsigned char *p, size_t n, unsigned entries, struct agw_mcp_cursor *c)
{
    for (; entries > 0; entries--) {
        if (n < 3)
            return AGW_EINVAL;
        size_t length = (size_t)p[1] | (size_t)p[2] << 8;
        if (p[0] >= c->count || c->at[p[0]].p || n - 3 < length)
            return AGW_EINVAL;
        c->at[p[0]] = agw_str((const char *)p + 3, length);
        p += 3 + length;
        n -= 3 + length;
    }
    return n == 0 ? 0 : AGW_EINVAL;
}

int agw_mcp_cursor_decode(struct agw_str text, const struct agw_mcp_backend *b, struct agw_arena *arena,
                          struct agw_mcp_cursor *ret_cursor)
{
    struct agw_mcp_cursor c;
    uint32_t check = check_of(b);
    if (text.n > AGW_MCP_CURSOR_MAX)
        return AGW_EINVAL;
    unsigned char *raw = agw_arena_alloc(arena, text.n / 4 * 3 + 3);
    size_t n;
    if (!raw || agw_mcp_cursor_init(&c, b, arena) != 0)
        return AGW_ENOMEM;
    if (agw_base64_decode(text, true, raw, &n) != 0 || n <= CURSOR_HEAD || raw[0] != CURSOR_FORMAT ||
        memcmp(raw + 2, &check, sizeof check) != 0)
        return AGW_EINVAL;
    int rc = decode_entries(raw + CURSOR_HEAD, n - CURSOR_HEAD, raw[1], &c);
    if (rc == 0)
        *ret_cursor = c;
    return rc;
}

int agw_mcp_next_cursor(const struct agw_json_doc *doc, uint32_t result, struct agw_arena *arena,
                        struct agw_str *ret_cursor)
{
    uint32_t token = agw_json_get(doc, result, AGW_STR("nextCursor"));
    struct agw_str cursor = {0};
    if (token != 0 && agw_json_type(doc, token) == AGW_JSON_STRING) {
        int rc = agw_json_unescape(doc, token, arena, &cursor);
        if (rc != 0)
            return rc;
    }
    *ret_cursor = cursor;
    return 0;
}

int agw_mcp_set_cursor(const struct agw_json_doc *doc, const struct agw_jsonrpc *request,
                       struct agw_str cursor, struct agw_json_edits *edits)
{
    uint32_t params = request->params;
    uint32_t token = params ? agw_json_get(doc, params, AGW_STR("cursor")) : 0;
    if (token != 0)
        return agw_json_edits_string(edits, doc, token, cursor);
    struct agw_str text = agw_json_escape(cursor, edits->arena);
    bool empty = params != 0 && doc->tokens[params].next == params + 1;
    struct agw_str parts[] = {params ? AGW_STR("\"cursor\":\"") : AGW_STR(",\"params\":{\"cursor\":\""), text,
                              params == 0 ? AGW_STR("\"}")
                              : empty     ? AGW_STR("\"")
                                          : AGW_STR("\",")};
    struct agw_str insert = text.p ? agw_arena_join(edits->arena, parts, 3) : text;
    if (!insert.p)
        return edits->error = AGW_ENOMEM;
    uint32_t at = params ? doc->tokens[params].offset + 1 : doc->tokens[0].offset + doc->tokens[0].length - 1;
    return agw_json_edits_add(edits, at, 0, insert);
}

/* --- lists --- */

static bool is_hidden(const struct agw_mcp_part *part, uint32_t item)
{
    return part->doc->tokens[item].flags & AGW_MCP_HIDDEN;
}

/* A name that a rule gives is nobody else's: it is not counted. 0, or the token. */
static uint32_t own_label(const struct agw_mcp_backend *b, const struct agw_mcp_method *method,
                          const struct agw_mcp_part *part, uint32_t item, struct agw_arena *arena)
{
    uint32_t label = agw_json_get(part->doc, item, method->label);
    struct agw_str name;
    if (label == 0 || b->rule_count == 0 || method->cap != AGW_MCP_CAP_TOOLS ||
        agw_json_unescape(part->doc, label, arena, &name) != 0)
        return label;
    const struct agw_mcp_tool_rule *rule = agw_mcp_tool_rule_of(b, part->target, name);
    return rule && rule->rename.n ? 0 : label;
}

struct names {
    struct agw_map owners; /* name -> target + 1, or SHARED */
    struct agw_arena *arena;
};

#define SHARED ((void *)UINTPTR_MAX)

static int count_name(struct names *names, const struct agw_mcp_part *part, uint32_t label)
{
    struct agw_str name;
    if (label == 0 || agw_json_type(part->doc, label) != AGW_JSON_STRING)
        return 0;
    int rc = agw_json_unescape(part->doc, label, names->arena, &name);
    if (rc != 0)
        return rc;
    void *owner = (void *)(uintptr_t)(part->target + 1);
    void *seen = agw_map_get(&names->owners, name);
    return agw_map_put(&names->owners, name, seen && seen != owner ? SHARED : owner, NULL);
}

static int count_names(struct names *names, const struct agw_mcp_backend *b,
                       const struct agw_mcp_method *method, const struct agw_mcp_part *parts, uint32_t count)
{
    for (uint32_t p = 0; p < count; p++) {
        uint32_t list = agw_json_get(parts[p].doc, parts[p].result, method->list);
        if (list == 0)
            continue;
        agw_json_each_item(parts[p].doc, list, item)
        {
            int rc = is_hidden(&parts[p], item)
                         ? 0
                         : count_name(names, &parts[p], own_label(b, method, &parts[p], item, names->arena));
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

/* 1: several targets have the item's name. 0, or AGW_ENOMEM. */
static int is_shared(const struct names *names, const struct agw_mcp_part *part, uint32_t label)
{
    struct agw_str name;
    if (names->owners.count == 0 || label == 0 || agw_json_type(part->doc, label) != AGW_JSON_STRING)
        return 0;
    int rc = agw_json_unescape(part->doc, label, names->arena, &name);
    return rc != 0 ? rc : agw_map_get(&names->owners, name) == SHARED;
}

static int write_item(const struct agw_mcp_backend *b, const struct agw_mcp_method *method,
                      const struct agw_mcp_part *part, uint32_t item, struct agw_arena *arena,
                      struct agw_json_writer *w)
{
    const struct agw_json_token *t = &part->doc->tokens[item];
    struct agw_json_edits edits;
    agw_json_edits_init(&edits, arena);
    int rc = agw_mcp_edit_item(b, part->target, method, part->doc, item, &edits);
    return rc != 0 ? rc : agw_json_edits_write(&edits, part->doc->text, t->offset, t->offset + t->length, w);
}

static int write_items(const struct agw_mcp_backend *b, const struct agw_mcp_method *method,
                       const struct agw_mcp_part *part, const struct names *names, struct agw_json_writer *w)
{
    uint32_t list = agw_json_get(part->doc, part->result, method->list);
    if (list == 0)
        return 0;
    agw_json_each_item(part->doc, list, item)
    {
        if (is_hidden(part, item))
            continue;
        int rc =
            names->owners.count ? is_shared(names, part, own_label(b, method, part, item, names->arena)) : 0;
        if (rc == 0)
            rc = write_item(b, method, part, item, names->arena, w);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void begin_result(struct agw_json_writer *w, struct agw_str id)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_raw(w, "id", id);
    agw_json_key(w, AGW_STR("result"));
    agw_json_begin_object(w);
}

static void end_result(struct agw_json_writer *w)
{
    agw_json_end_object(w);
    agw_json_end_object(w);
}

int agw_mcp_merge_list(const struct agw_mcp_backend *b, const struct agw_mcp_method *method,
                       const struct agw_mcp_part *parts, uint32_t count, struct agw_str id,
                       struct agw_str next, const struct agw_mcp_hints *hints, struct agw_arena *arena,
                       struct agw_json_writer *w)
{
    struct names names = {.arena = arena};
    int rc = 0;
    agw_map_init(&names.owners);
    if (agw_str_eq(method->label, AGW_STR("name")) && b->count != 1 && !agw_mcp_names_prefixed(b))
        rc = count_names(&names, b, method, parts, count);
    if (rc == 0) {
        begin_result(w, id);
        agw_json_key(w, method->list);
        agw_json_begin_array(w);
        if (b->search && method->cap == AGW_MCP_CAP_TOOLS)
            agw_mcp_own_tools_write(b, w);
        for (uint32_t p = 0; rc == 0 && p < count; p++)
            rc = write_items(b, method, &parts[p], &names, w);
        agw_json_end_array(w);
        if (next.n)
            agw_json_put_string(w, "nextCursor", next);
        if (hints)
            agw_mcp_hints_write(hints, w);
        end_result(w);
    }
    agw_map_free(&names.owners);
    return rc != 0 ? rc : w->error;
}

static bool holds(const struct agw_mcp_method *list, const struct agw_mcp_part *part, struct agw_str name)
{
    uint32_t items = agw_json_get(part->doc, part->result, list->list);
    if (items == 0)
        return false;
    agw_json_each_item(part->doc, items, item)
    {
        uint32_t label = agw_json_get(part->doc, item, list->label);
        if (label != 0 && agw_json_is(part->doc, label, name) && !is_hidden(part, item))
            return true;
    }
    return false;
}

int agw_mcp_find_owner(const struct agw_mcp_method *list, const struct agw_mcp_part *parts, uint32_t count,
                       struct agw_str name, uint32_t *ret_target)
{
    uint32_t owner = AGW_MCP_ANY;
    for (uint32_t p = 0; p < count; p++) {
        if (!holds(list, &parts[p], name))
            continue;
        if (owner != AGW_MCP_ANY && owner != parts[p].target)
            return AGW_EEXISTS;
        owner = parts[p].target;
    }
    if (owner == AGW_MCP_ANY)
        return AGW_ENOTFOUND;
    *ret_target = owner;
    return 0;
}

/* --- initialize --- */

static bool flag(const struct agw_json_doc *doc, uint32_t capability, const char *name)
{
    uint32_t token = capability ? agw_json_get(doc, capability, agw_str_c(name)) : 0;
    return token != 0 && agw_json_type(doc, token) == AGW_JSON_TRUE;
}

static uint8_t read_capabilities(const struct agw_json_doc *doc, uint32_t result)
{
    static const struct {
        struct agw_str name;
        uint8_t bit;
    } known[] = {{{"tools", 5}, AGW_MCP_CAP_TOOLS},
                 {{"prompts", 7}, AGW_MCP_CAP_PROMPTS},
                 {{"resources", 9}, AGW_MCP_CAP_RESOURCES},
                 {{"logging", 7}, AGW_MCP_CAP_LOGGING},
                 {{"completions", 11}, AGW_MCP_CAP_COMPLETIONS}};
    uint32_t caps = agw_json_get(doc, result, AGW_STR("capabilities"));
    uint8_t found = 0;
    for (size_t i = 0; caps != 0 && i < sizeof known / sizeof known[0]; i++)
        if (agw_json_get(doc, caps, known[i].name) != 0)
            found |= known[i].bit;
    if (caps != 0 && flag(doc, agw_json_get(doc, caps, AGW_STR("resources")), "subscribe"))
        found |= AGW_MCP_CAP_SUBSCRIBE;
    static const char *const listed[] = {"tasks", "list"};
    if (caps != 0 && agw_json_path(doc, caps, listed, 2) != 0)
        found |= AGW_MCP_CAP_TASKS;
    bool announces = true;
    for (size_t i = 0; i < AGW_ARRAY_LEN(known); i++)
        if (found & known[i].bit & AGW_MCP_CAP_LISTS)
            announces = announces && flag(doc, agw_json_get(doc, caps, known[i].name), "listChanged");
    return found & AGW_MCP_CAP_LISTS && announces ? found | AGW_MCP_CAP_ANNOUNCES : found;
}

int agw_mcp_read_initialize(const struct agw_json_doc *doc, uint32_t result, struct agw_mcp_peer *peer)
{
    uint32_t version = agw_json_get(doc, result, AGW_STR("protocolVersion"));
    enum agw_mcp_version v = AGW_MCP_VERSION_NONE;
    if (version != 0 && agw_json_type(doc, version) == AGW_JSON_STRING)
        v = agw_mcp_version_parse(agw_json_inside(doc, version));
    if (v == AGW_MCP_VERSION_NONE || v > AGW_MCP_LEGACY_NEWEST)
        return AGW_EPROTO;
    peer->version = v;
    peer->caps = read_capabilities(doc, result);
    return 0;
}

static bool any_flag(const struct agw_mcp_part *parts, uint32_t count, const char *capability,
                     const char *name)
{
    const char *const path[] = {"capabilities", capability};
    for (uint32_t p = 0; p < count; p++)
        if (flag(parts[p].doc, agw_json_path(parts[p].doc, parts[p].result, path, 2), name))
            return true;
    return false;
}

static void write_capability(struct agw_json_writer *w, const struct agw_mcp_part *parts, uint32_t count,
                             const char *name, const char *const *flags, uint32_t flag_count)
{
    agw_json_key(w, agw_str_c(name));
    agw_json_begin_object(w);
    for (uint32_t i = 0; i < flag_count; i++)
        if (any_flag(parts, count, name, flags[i]))
            agw_json_put_bool(w, flags[i], true);
    agw_json_end_object(w);
}

/* The gateway's own: where targets may be missing it says so in log messages. */
static uint8_t own_capabilities(const struct agw_mcp_backend *b)
{
    return b->fail_open && b->count > 1 ? AGW_MCP_CAP_LOGGING : 0;
}

static void write_capabilities(struct agw_json_writer *w, const struct agw_mcp_part *parts, uint32_t count,
                               uint8_t caps)
{
    static const char *const flags[] = {"listChanged", "subscribe"};
    if (caps & AGW_MCP_CAP_TOOLS)
        write_capability(w, parts, count, "tools", flags, 1);
    if (caps & AGW_MCP_CAP_PROMPTS)
        write_capability(w, parts, count, "prompts", flags, 1);
    if (caps & AGW_MCP_CAP_RESOURCES)
        write_capability(w, parts, count, "resources", flags, 2);
    if (caps & AGW_MCP_CAP_LOGGING)
        write_capability(w, parts, count, "logging", flags, 0);
    if (caps & AGW_MCP_CAP_COMPLETIONS)
        write_capability(w, parts, count, "completions", flags, 0);
}

/* "[target]\n<text>" paragraphs, each target's words under its name. p NULL: no memory. */
static struct agw_str join_instructions(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts,
                                        uint32_t count, struct agw_arena *arena)
{
    struct agw_str all = AGW_STR("");
    for (uint32_t p = 0; all.p && p < count; p++) {
        struct agw_str text;
        uint32_t token = agw_json_get(parts[p].doc, parts[p].result, AGW_STR("instructions"));
        if (token == 0 || agw_json_type(parts[p].doc, token) != AGW_JSON_STRING)
            continue;
        if (agw_json_unescape(parts[p].doc, token, arena, &text) != 0)
            return agw_str(NULL, 0);
        if (text.n == 0)
            continue;
        struct agw_str pieces[] = {all, all.n ? AGW_STR("\n\n[") : AGW_STR("["),
                                   b->targets[parts[p].target].name, AGW_STR("]\n"), text};
        all = agw_arena_join(arena, pieces, 5);
    }
    return all;
}

/* What a model should know about all of them. p NULL: no memory. */
static struct agw_str all_instructions(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts,
                                       uint32_t count, struct agw_arena *arena)
{
    static const struct agw_str preamble = {
        "Several servers answer here. The name of a tool or prompt begins with its server's name and '_'.",
        96};
    struct agw_str text = join_instructions(b, parts, count, arena);
    struct agw_str pieces[] = {preamble, AGW_STR("\n\n"), text};
    if (!text.p || !agw_mcp_names_prefixed(b))
        return text;
    return text.n ? agw_arena_join(arena, pieces, 3) : preamble;
}

static bool any_task(const struct agw_mcp_part *parts, uint32_t count, const char *const *path, size_t depth)
{
    for (uint32_t p = 0; p < count; p++)
        if (agw_json_path(parts[p].doc, parts[p].result, path, depth) != 0)
            return true;
    return false;
}

/* What of tasks any target has: each call goes to the one that can. */
static void write_tasks(struct agw_json_writer *w, const struct agw_mcp_part *parts, uint32_t count)
{
    static const char *const all[] = {"capabilities", "tasks"},
                             *const list[] = {"capabilities", "tasks", "list"},
                             *const cancel[] = {"capabilities", "tasks", "cancel"},
                             *const call[] = {"capabilities", "tasks", "requests", "tools", "call"};
    if (!any_task(parts, count, all, 2))
        return;
    agw_json_key(w, AGW_STR("tasks"));
    agw_json_begin_object(w);
    if (any_task(parts, count, list, 3))
        agw_json_put_raw(w, "list", AGW_STR("{}"));
    if (any_task(parts, count, cancel, 3))
        agw_json_put_raw(w, "cancel", AGW_STR("{}"));
    if (any_task(parts, count, call, 5))
        agw_json_put_raw(w, "requests", AGW_STR("{\"tools\":{\"call\":{}}}"));
    agw_json_end_object(w);
}

int agw_mcp_merge_initialize(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts,
                             uint32_t count, const struct agw_mcp_session *session, struct agw_str id,
                             struct agw_arena *arena, struct agw_json_writer *w)
{
    uint8_t caps = own_capabilities(b);
    for (uint32_t i = 0; i < session->count; i++)
        if (session->peers[i].present)
            caps |= session->peers[i].caps;
    struct agw_str instructions = all_instructions(b, parts, count, arena);
    if (!instructions.p)
        return AGW_ENOMEM;
    begin_result(w, id);
    agw_json_put_string(w, "protocolVersion", agw_mcp_version_text(session->version));
    agw_json_key(w, AGW_STR("capabilities"));
    agw_json_begin_object(w);
    write_capabilities(w, parts, count, caps);
    if (session->version >= AGW_MCP_2025_11_25)
        write_tasks(w, parts, count);
    agw_json_end_object(w);
    agw_json_key(w, AGW_STR("serverInfo"));
    agw_json_begin_object(w);
    agw_json_put_string(w, "name", AGW_STR("agentgateway"));
    agw_json_put_string(w, "version", agw_str_c(AGW_VERSION));
    agw_json_end_object(w);
    if (instructions.n)
        agw_json_put_string(w, "instructions", instructions);
    end_result(w);
    return w->error;
}

/* --- server/discover --- */

static bool supports(const struct agw_mcp_part *part, enum agw_mcp_version v)
{
    uint32_t list = agw_json_get(part->doc, part->result, AGW_STR("supportedVersions"));
    if (list == 0)
        return false;
    agw_json_each_item(part->doc, list, item)
    {
        if (agw_json_type(part->doc, item) == AGW_JSON_STRING &&
            agw_json_is(part->doc, item, agw_mcp_version_text(v)))
            return true;
    }
    return false;
}

static bool all_support(const struct agw_mcp_part *parts, uint32_t count, enum agw_mcp_version v)
{
    for (uint32_t p = 0; p < count; p++)
        if (!supports(&parts[p], v))
            return false;
    return count > 0;
}

static uint32_t extensions_of(const struct agw_mcp_part *part)
{
    static const char *const path[] = {"capabilities", "extensions"};
    return agw_json_path(part->doc, part->result, path, 2);
}

/* True if a part other than |own| says something else about the extension |name|. */
static bool differs(const struct agw_mcp_part *parts, uint32_t count, uint32_t own, struct agw_str name,
                    struct agw_str settings)
{
    for (uint32_t p = own + 1; p < count; p++) {
        uint32_t other = extensions_of(&parts[p]);
        uint32_t token = other ? agw_json_get(parts[p].doc, other, name) : 0;
        if (token != 0 && !agw_str_eq(agw_json_text(parts[p].doc, token), settings))
            return true;
    }
    return false;
}

static int write_extension(const struct agw_mcp_part *parts, uint32_t count, uint32_t p, uint32_t key,
                           struct names *seen, struct agw_json_writer *w)
{
    struct agw_str name, settings = agw_json_text(parts[p].doc, key + 1);
    int rc = agw_json_unescape(parts[p].doc, key, seen->arena, &name);
    if (rc != 0 || agw_map_get(&seen->owners, name) ||
        (count > 1 && agw_str_eq(name, AGW_STR("io.modelcontextprotocol/tasks"))))
        return rc;
    agw_json_key(w, name);
    agw_json_raw(w, differs(parts, count, p, name, settings) ? AGW_STR("{}") : settings);
    return agw_map_put(&seen->owners, name, SHARED, NULL);
}

static int write_extensions(const struct agw_mcp_part *parts, uint32_t count, struct names *seen,
                            struct agw_json_writer *w)
{
    agw_json_key(w, AGW_STR("extensions"));
    agw_json_begin_object(w);
    for (uint32_t p = 0; p < count; p++) {
        uint32_t own = extensions_of(&parts[p]), n = 0;
        if (own == 0)
            continue;
        agw_json_each_member(parts[p].doc, own, key)
        {
            int rc = n++ < AGW_MCP_EXTENSIONS_MAX ? write_extension(parts, count, p, key, seen, w) : 0;
            if (rc != 0)
                return rc;
        }
    }
    agw_json_end_object(w);
    return 0;
}

static int write_all_capabilities(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts,
                                  uint32_t count, struct agw_arena *arena, struct agw_json_writer *w)
{
    struct names seen = {.arena = arena};
    uint8_t caps = own_capabilities(b);
    bool extended = false;
    for (uint32_t p = 0; p < count; p++) {
        caps |= read_capabilities(parts[p].doc, parts[p].result);
        extended |= extensions_of(&parts[p]) != 0;
    }
    agw_map_init(&seen.owners);
    agw_json_key(w, AGW_STR("capabilities"));
    agw_json_begin_object(w);
    write_capabilities(w, parts, count, caps);
    int rc = extended ? write_extensions(parts, count, &seen, w) : 0;
    if (rc == 0)
        agw_json_end_object(w);
    agw_map_free(&seen.owners);
    return rc;
}

int agw_mcp_merge_discover(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts, uint32_t count,
                           const struct agw_mcp_hints *hints, struct agw_str id, struct agw_arena *arena,
                           struct agw_json_writer *w)
{
    struct agw_str instructions = all_instructions(b, parts, count, arena);
    if (!instructions.p)
        return AGW_ENOMEM;
    if (!all_support(parts, count, AGW_MCP_MODERN))
        return AGW_ENOTFOUND;
    begin_result(w, id);
    agw_json_key(w, AGW_STR("supportedVersions"));
    agw_json_begin_array(w);
    for (int v = AGW_MCP_MODERN; v > AGW_MCP_VERSION_NONE; v--)
        if (all_support(parts, count, (enum agw_mcp_version)v))
            agw_json_string(w, agw_mcp_version_text((enum agw_mcp_version)v));
    agw_json_end_array(w);
    int rc = write_all_capabilities(b, parts, count, arena, w);
    if (rc != 0)
        return rc;
    if (instructions.n)
        agw_json_put_string(w, "instructions", instructions);
    agw_mcp_hints_write(hints, w);
    end_result(w);
    return w->error;
}
