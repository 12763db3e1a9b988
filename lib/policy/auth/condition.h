/* Conditions on who asks and for what: the part of CEL that needs no types and no functions of ours, until
 * there is an engine for all of it. docs/configuration.md has the language.
 *
 *     or := and { "||" and }          and := not { "&&" not }          not := "!" not | "(" or ")" | test
 *     test := "true" | "false" | "has" "(" reference ")" | value "==" value | value "!=" value
 *           | value "in" ( "[" string { "," string } "]" | reference )
 *           | reference "." ( "startsWith" | "endsWith" | "contains" ) "(" string ")"
 *     reference := mcp.tool.name, mcp.prompt.target, jwt.sub, jwt["a b"].c, request.headers["x-team"], ...
 *
 * As in CEL what is not there is an error, which "&&" and "||" may absorb. Ownership: a condition lives in
 * the arena given. Threads: parsing on one, evaluating on any. */
#ifndef AGW_POLICY_AUTH_CONDITION_H
#define AGW_POLICY_AUTH_CONDITION_H

#include "base/arena.h"
#include "base/err.h"
#include "config/access.h"

#define AGW_CONDITION_MAX 16384 /* bytes, as the API has it */
#define AGW_CONDITION_DEPTH 32  /* of parentheses and "!": bounds the stack of both halves */

struct agw_condition;

/* AGW_EINVAL, AGW_ELIMIT with where and what; AGW_ENOMEM. */
int agw_condition_parse(struct agw_str text, struct agw_arena *arena,
                        const struct agw_condition **ret_condition, struct agw_error *err);
/* An error of the condition is AGW_RULE_NO. */
enum agw_rule_answer agw_condition_holds(const struct agw_condition *c, const struct agw_caller *caller,
                                         const struct agw_mcp_access *access);

#endif
