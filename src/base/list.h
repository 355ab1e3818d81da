/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_LIST_H
#define QRELAY_BASE_LIST_H

/*
 * A doubly linked list through nodes that live in their owners.  It owns
 * nothing.  The head and an unlinked node point at themselves, so that unlinking
 * twice is harmless.
 */

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev;
	struct list *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* `node` must be unlinked. */
static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Leaves `node` ready to be linked again. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

static inline struct list *list_first(const struct list *head)
{
	/* In a loop that frees the first one clang does not see that
	 * list_remove() has unlinked it.
	 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	return list_empty(head) ? NULL : head->next;
}

#endif
