/* Intrusive doubly linked list. A node is in at most one list; an unlinked node points at itself. */
#ifndef AGW_BASE_LIST_H
#define AGW_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include "base/check.h"

struct agw_list {
    struct agw_list *prev, *next;
};

static inline void agw_list_init(struct agw_list *l)
{
    l->prev = l->next = l;
}

static inline bool agw_list_empty(const struct agw_list *l)
{
    return l->next == l;
}

static inline void agw_list_push(struct agw_list *head, struct agw_list *node) /* at the end */
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void agw_list_push_front(struct agw_list *head, struct agw_list *node)
{
    agw_list_push(head->next, node);
}

static inline void agw_list_remove(struct agw_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    agw_list_init(node);
}

static inline struct agw_list *agw_list_pop(struct agw_list *head) /* the first, or NULL */
{
    struct agw_list *node = head->next;
    if (node == head)
        return NULL;
    agw_list_remove(node);
    return node;
}

/* Moves all nodes of |from| to the empty list |to|: iterate over a list whose callbacks change it. */
static inline void agw_list_move(struct agw_list *to, struct agw_list *from)
{
    agw_list_init(to);
    if (agw_list_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    agw_list_init(from);
}

#define agw_list_entry(node, type, member) agw_container_of(node, type, member)
/* |pos| and |tmp| are struct agw_list *; |pos| may be removed in the body. */
#define agw_list_each(pos, tmp, head)                                                                        \
    for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head); (pos) = (tmp), (tmp) = (pos)->next)

#endif
