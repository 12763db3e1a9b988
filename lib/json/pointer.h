/* Reading a parsed document: members, items, strings, numbers. Tokens are named by their index in the
 * document.
 *
 * Member look-up compares unescaped names (RFC 8259 section 8.3), so that "na\u006de" cannot pass a check
 * that "name" would not. Index 0 is the root and never a member, hence 0 also says "absent". Threads: one at
 * a time. */
#ifndef AGW_JSON_POINTER_H
#define AGW_JSON_POINTER_H

#include "base/arena.h"
#include "json/tape.h"

/* Value of the first member |name| of the object |object|; 0 when absent or |object| is no object. */
uint32_t agw_json_get(const struct agw_json_doc *doc, uint32_t object, struct agw_str name);
/* As agw_json_get; AGW_EEXISTS if the name stands there twice: readers would disagree about it. *ret_value is
 * 0 when absent. */
int agw_json_get_unique(const struct agw_json_doc *doc, uint32_t object, struct agw_str name,
                        uint32_t *ret_value);
/* Follows |count| member names from |from|; 0 when one is absent. */
uint32_t agw_json_path(const struct agw_json_doc *doc, uint32_t from, const char *const *names,
                       uint32_t count);

/* Items of an array or tokens of an object's keys: first child, or |container|'s next when it is empty. */
static inline uint32_t agw_json_first(const struct agw_json_doc *doc, uint32_t container)
{
    return container + 1;
}
/* for each item |i| of an array token; nothing for other types. */
#define agw_json_each_item(doc, array, i)                                                                    \
    for (uint32_t i = (array) + 1;                                                                           \
         agw_json_type(doc, array) == AGW_JSON_ARRAY && i < (doc)->tokens[array].next;                       \
         i = (doc)->tokens[i].next)
/* for each member of an object token: |k| is its name, |k| + 1 its value. */
#define agw_json_each_member(doc, object, k)                                                                 \
    for (uint32_t k = (object) + 1;                                                                          \
         agw_json_type(doc, object) == AGW_JSON_OBJECT && k < (doc)->tokens[object].next;                    \
         k = (doc)->tokens[k + 1].next)

/* True if the string token, unescaped, equals |s|. */
bool agw_json_is(const struct agw_json_doc *doc, uint32_t string, struct agw_str s);
/* The unescaped string: a view of the text, or a copy in |arena| if it holds escapes. AGW_EINVAL if |token|
 * is no string, AGW_ENOMEM. May hold NUL bytes. */
int agw_json_unescape(const struct agw_json_doc *doc, uint32_t token, struct agw_arena *arena,
                      struct agw_str *ret_text);
/* AGW_EINVAL: no number, or not an integer; AGW_ELIMIT: does not fit. */
int agw_json_to_i64(const struct agw_json_doc *doc, uint32_t token, int64_t *ret_value);

#endif
