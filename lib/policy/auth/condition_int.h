/* The tree that condition_parse.c makes and condition.c walks. */
#ifndef AGW_POLICY_AUTH_CONDITION_INT_H
#define AGW_POLICY_AUTH_CONDITION_INT_H

#include "policy/auth/condition.h"

enum condition_source {
    CONDITION_TEXT,   /* a string of the condition */
    CONDITION_OBJECT, /* mcp.tool and the like */
    CONDITION_CLAIM,  /* of the token */
    CONDITION_HEADER, /* of the request */
};

struct condition_name {
    struct condition_name *next;
    struct agw_str text;
};

struct condition_value {
    enum condition_source source;
    enum agw_mcp_object object;
    enum { CONDITION_WHOLE, CONDITION_NAME, CONDITION_TARGET } part; /* of the object */
    struct agw_str text;         /* the string; of a header its name in lower case */
    struct condition_name *path; /* of a claim */
};

enum condition_op {
    CONDITION_OR,
    CONDITION_AND,
    CONDITION_NOT,
    CONDITION_TRUE,
    CONDITION_FALSE,
    CONDITION_HAS,
    CONDITION_EQUAL,
    CONDITION_DIFFERS,
    CONDITION_IN_LIST,
    CONDITION_IN_VALUE,
    CONDITION_STARTS,
    CONDITION_ENDS,
    CONDITION_CONTAINS,
};

struct agw_condition {
    enum condition_op op;
    struct agw_condition *first, *next; /* OR, AND, NOT: what it is made of */
    struct condition_value left, right;
    struct condition_name *list;
};

#endif
