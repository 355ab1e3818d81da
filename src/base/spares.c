/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/spares.h"

#include "base/asan.h"

void spares_init(struct spares *s, size_t size, size_t max)
{
	*s = (struct spares){.size = size, .max = max};
}

void *spares_take(struct spares *s)
{
	void *object = s->first;

	if (object == NULL)
		return NULL;
	ASAN_UNPOISON(object, s->size);
	s->first = *(void **)object;
	s->n--;
	return object;
}

bool spares_keep(struct spares *s, void *object)
{
	if (s->n == s->max)
		return false;
	*(void **)object = s->first;
	s->first = object;
	s->n++;
	ASAN_POISON(object, s->size);
	return true;
}
