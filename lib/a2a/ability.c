#include "a2a/ability.h"

#include "base/check.h"
#include "json/pointer.h"

/* --- what is asked --- */

/* The string |name| of |object|; *ret_text stays as it is if there is none. */
static int read_text(const struct agw_json_doc *doc, uint32_t object, struct agw_str name,
                     struct agw_arena *arena, struct agw_str *ret_text)
{
    uint32_t value = agw_json_get(doc, object, name);
    if (value == 0 || agw_json_type(doc, value) != AGW_JSON_STRING)
        return 0;
    struct agw_str text;
    int rc = agw_json_unescape(doc, value, arena, &text);
    if (rc == 0)
        *ret_text = agw_arena_str(arena, text);
    return rc || ret_text->p ? rc : AGW_ENOMEM;
}

static int read_metadata(const struct agw_json_doc *doc, uint32_t object, struct agw_arena *arena,
                         struct agw_a2a_need *need)
{
    uint32_t metadata = agw_json_get(doc, object, AGW_STR("metadata"));
    int rc = metadata ? read_text(doc, metadata, AGW_STR("skill"), arena, &need->skill) : 0;
    if (metadata && rc == 0)
        rc = read_text(doc, metadata, AGW_STR("skillId"), arena, &need->skill);
    if (metadata && rc == 0)
        rc = read_text(doc, metadata, AGW_STR("tag"), arena, &need->tag);
    return rc;
}

static void add_mode(struct agw_a2a_need *need, struct agw_str mode)
{
    for (uint32_t i = 0; i < need->mode_count; i++)
        if (agw_str_ieq(need->modes[i], mode))
            return;
    if (mode.n > 0 && need->mode_count < AGW_A2A_MODES_MAX)
        need->modes[need->mode_count++] = mode;
}

/* 1.0 has mediaType, 0.3 file.mimeType; what says neither is known by what it holds. */
static int read_part(const struct agw_json_doc *doc, uint32_t part, struct agw_arena *arena,
                     struct agw_a2a_need *need)
{
    uint32_t file = agw_json_get(doc, part, AGW_STR("file"));
    struct agw_str mode = {NULL, 0};
    int rc = read_text(doc, part, AGW_STR("mediaType"), arena, &mode);
    if (rc == 0 && file)
        rc = read_text(doc, file, AGW_STR("mimeType"), arena, &mode);
    if (mode.n == 0 && agw_json_get(doc, part, AGW_STR("text")))
        mode = AGW_STR("text/plain");
    if (mode.n == 0 && agw_json_get(doc, part, AGW_STR("data")))
        mode = AGW_STR("application/json");
    add_mode(need, mode);
    return rc;
}

static int read_message(const struct agw_json_doc *doc, uint32_t message, struct agw_arena *arena,
                        struct agw_a2a_need *need)
{
    int rc = read_metadata(doc, message, arena, need);
    uint32_t parts = agw_json_get(doc, message, AGW_STR("parts"));
    if (parts == 0)
        return rc;
    agw_json_each_item(doc, parts, part)
    {
        if (rc == 0)
            rc = read_part(doc, part, arena, need);
    }
    return rc;
}

int agw_a2a_need_read(const struct agw_a2a_call *call, const struct agw_json_doc *doc,
                      struct agw_arena *arena, struct agw_a2a_need *ret_need)
{
    bool jsonrpc = call->binding == AGW_A2A_JSONRPC;
    uint32_t at = jsonrpc ? agw_json_get(doc, 0, AGW_STR("params")) : 0;
    *ret_need = (struct agw_a2a_need){.streaming = agw_a2a_method_streams(call->method)};
    if ((jsonrpc && at == 0) || agw_json_type(doc, at) != AGW_JSON_OBJECT)
        return 0;
    uint32_t message = agw_json_get(doc, at, AGW_STR("message")),
             configuration = agw_json_get(doc, at, AGW_STR("configuration"));
    ret_need->push =
        configuration && (agw_json_get(doc, configuration, AGW_STR("taskPushNotificationConfig")) ||
                          agw_json_get(doc, configuration, AGW_STR("pushNotificationConfig")));
    int rc = read_text(doc, at, AGW_STR("tenant"), arena, &ret_need->tenant);
    if (rc == 0)
        rc = read_metadata(doc, at, arena, ret_need);
    if (rc == 0 && message)
        rc = read_message(doc, message, arena, ret_need);
    return rc == AGW_EINVAL ? 0 : rc; /* the agent will say what is wrong */
}

/* --- what a card offers --- */

static bool lists(const struct agw_json_doc *doc, uint32_t list, struct agw_str text)
{
    agw_json_each_item(doc, list, item)
    {
        if (agw_json_type(doc, item) == AGW_JSON_STRING && agw_json_is(doc, item, text))
            return true;
    }
    return false;
}

static bool is_true(const struct agw_json_doc *card, const char *name)
{
    const char *const path[] = {"capabilities", name};
    uint32_t value = agw_json_path(card, 0, path, 2);
    return value && agw_json_type(card, value) == AGW_JSON_TRUE;
}

static bool has_skill(const struct agw_json_doc *card, uint32_t skill, const struct agw_a2a_need *need)
{
    uint32_t id = agw_json_get(card, skill, AGW_STR("id")), tags = agw_json_get(card, skill, AGW_STR("tags"));
    if (need->skill.n > 0 &&
        (id == 0 || agw_json_type(card, id) != AGW_JSON_STRING || !agw_json_is(card, id, need->skill)))
        return false;
    return need->tag.n == 0 || (tags && lists(card, tags, need->tag));
}

/* The first skill that is meant; 0: none, or none was asked for. */
static uint32_t find_skill(const struct agw_json_doc *card, const struct agw_a2a_need *need)
{
    uint32_t skills = agw_json_get(card, 0, AGW_STR("skills"));
    if (skills == 0 || (need->skill.n == 0 && need->tag.n == 0))
        return 0;
    agw_json_each_item(card, skills, skill)
    {
        if (has_skill(card, skill, need))
            return skill;
    }
    return 0;
}

/* A card that names no tenant serves them all. */
static bool has_tenant(const struct agw_json_doc *card, struct agw_str tenant)
{
    uint32_t interfaces = agw_json_get(card, 0, AGW_STR("supportedInterfaces"));
    bool named = false;
    if (interfaces == 0 || tenant.n == 0)
        return true;
    agw_json_each_item(card, interfaces, item)
    {
        uint32_t value = agw_json_get(card, item, AGW_STR("tenant"));
        if (value == 0 || agw_json_type(card, value) != AGW_JSON_STRING ||
            agw_json_inside(card, value).n == 0)
            continue;
        named = true;
        if (agw_json_is(card, value, tenant))
            return true;
    }
    return !named;
}

/* "image/png" is taken by "image/png", "image", "image/" and a star, and by a star for all. */
static bool takes(struct agw_str offered, struct agw_str mode)
{
    ptrdiff_t slash = agw_str_find(mode, '/');
    struct agw_str kind = slash < 0 ? mode : agw_str(mode.p, (size_t)slash);
    if (agw_str_ieq(offered, mode) || agw_str_eq(offered, AGW_STR("*/*")) || agw_str_ieq(offered, kind))
        return true;
    return offered.n == kind.n + 2 && agw_str_ieq(agw_str(offered.p, kind.n), kind) &&
           agw_str_ends(offered, AGW_STR("/*"));
}

static bool takes_mode(const struct agw_json_doc *card, uint32_t offered, struct agw_str mode)
{
    bool any = false;
    agw_json_each_item(card, offered, item)
    {
        any = true;
        if (agw_json_type(card, item) == AGW_JSON_STRING && takes(agw_json_inside(card, item), mode))
            return true;
    }
    return !any;
}

/* A skill's own modes count before the card's. */
static bool takes_modes(const struct agw_json_doc *card, uint32_t skill, const struct agw_a2a_need *need)
{
    uint32_t offered = skill ? agw_json_get(card, skill, AGW_STR("inputModes")) : 0;
    if (offered == 0 || card->tokens[offered].next == offered + 1) /* SDKs write an empty list for none */
        offered = agw_json_get(card, 0, AGW_STR("defaultInputModes"));
    for (uint32_t i = 0; offered && i < need->mode_count; i++)
        if (!takes_mode(card, offered, need->modes[i]))
            return false;
    return true;
}

enum agw_a2a_fit agw_a2a_fits(const struct agw_json_doc *card, const struct agw_a2a_need *need)
{
    bool asks = need->skill.n > 0 || need->tag.n > 0;
    uint32_t skill = find_skill(card, need);
    if ((asks && skill == 0) || !has_tenant(card, need->tenant))
        return AGW_A2A_FITS_NOT;
    if ((need->streaming && !is_true(card, "streaming")) ||
        (need->push && !is_true(card, "pushNotifications")) || !takes_modes(card, skill, need))
        return AGW_A2A_FITS_PARTLY;
    return AGW_A2A_FITS;
}
