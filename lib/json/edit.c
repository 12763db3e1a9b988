#include "json/edit.h"

#include <string.h>
#include "json/writer.h"

void agw_json_edits_init(struct agw_json_edits *e, struct agw_arena *arena)
{
    *e = (struct agw_json_edits){.arena = arena};
}

static int make_room(struct agw_json_edits *e)
{
    if (e->count < e->cap)
        return 0;
    uint32_t cap = e->cap ? e->cap * 2 : 8;
    struct agw_json_edit *v = agw_arena_alloc(e->arena, (size_t)cap * sizeof *v);
    if (!v)
        return AGW_ENOMEM;
    if (e->count > 0)
        memcpy(v, e->v, (size_t)e->count * sizeof *v);
    e->v = v;
    e->cap = cap;
    return 0;
}

int agw_json_edits_add(struct agw_json_edits *e, uint32_t offset, uint32_t length, struct agw_str text)
{
    if (e->error == 0)
        e->error = make_room(e);
    if (e->error != 0)
        return e->error;
    uint32_t at = e->count; /* kept sorted; edits nearly always come in document order */
    while (at > 0 && e->v[at - 1].offset > offset)
        at--;
    memmove(e->v + at + 1, e->v + at, (size_t)(e->count - at) * sizeof *e->v);
    e->v[at] = (struct agw_json_edit){offset, length, text};
    e->count++;
    return 0;
}

int agw_json_edits_token(struct agw_json_edits *e, const struct agw_json_doc *doc, uint32_t token,
                         struct agw_str json)
{
    return agw_json_edits_add(e, doc->tokens[token].offset, doc->tokens[token].length, json);
}

int agw_json_edits_string(struct agw_json_edits *e, const struct agw_json_doc *doc, uint32_t token,
                          struct agw_str s)
{
    struct agw_str parts[] = {AGW_STR("\""), agw_json_escape(s, e->arena), AGW_STR("\"")};
    struct agw_str text = {0};
    if (parts[1].p)
        text = agw_arena_join(e->arena, parts, 3);
    if (!text.p)
        e->error = AGW_ENOMEM;
    return agw_json_edits_token(e, doc, token, text);
}

/* First edit at or after |from|. */
static uint32_t first_at(const struct agw_json_edits *e, uint32_t from)
{
    uint32_t low = 0, high = e->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (e->v[mid].offset < from)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* All replacement texts in one block, in order. */
static struct agw_block *ink(const struct agw_json_edits *e)
{
    size_t n = 0;
    for (uint32_t i = 0; i < e->count; i++)
        n += e->v[i].text.n;
    struct agw_block *b = agw_block_new(n ? n : 1);
    for (uint32_t i = 0; b && i < e->count; i++) {
        if (e->v[i].text.n > 0)
            memcpy(b->data + b->len, e->v[i].text.p, e->v[i].text.n);
        b->len += (uint32_t)e->v[i].text.n;
    }
    return b;
}

int agw_json_edits_apply(const struct agw_json_edits *e, struct agw_str text, struct agw_block *block,
                         struct agw_chain *out)
{
    if (e->error != 0)
        return e->error;
    if (e->count == 0)
        return agw_chain_add(out, block, text.p, text.n);
    struct agw_block *texts = ink(e);
    int rc = texts ? 0 : AGW_ENOMEM;
    uint32_t at = 0;
    size_t used = 0;
    for (uint32_t i = 0; rc == 0 && i < e->count; i++) {
        const struct agw_json_edit *edit = &e->v[i];
        if (edit->offset < at || edit->offset > text.n || edit->length > text.n - edit->offset) {
            rc = AGW_EINVAL;
            break;
        }
        rc = agw_chain_add(out, block, text.p + at, edit->offset - at);
        if (rc == 0)
            rc = agw_chain_add(out, texts, texts->data + used, edit->text.n);
        used += edit->text.n;
        at = edit->offset + edit->length;
    }
    if (rc == 0)
        rc = agw_chain_add(out, block, text.p + at, text.n - at);
    agw_block_unref(texts);
    return rc;
}

int agw_json_edits_write(const struct agw_json_edits *e, struct agw_str text, uint32_t from, uint32_t to,
                         struct agw_json_writer *w)
{
    uint32_t at = from;
    if (e->error != 0)
        return e->error;
    agw_json_raw(w, AGW_STR(""));
    for (uint32_t i = first_at(e, from); i < e->count && e->v[i].offset < to; i++) {
        const struct agw_json_edit *edit = &e->v[i];
        if (edit->offset < at || edit->length > to - edit->offset)
            return AGW_EINVAL;
        agw_json_more(w, agw_str(text.p + at, edit->offset - at));
        agw_json_more(w, edit->text);
        at = edit->offset + edit->length;
    }
    agw_json_more(w, agw_str(text.p + at, to - at));
    return w->error;
}
