/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_TOOLS_MAILDIR_H
#define QRELAY_TOOLS_MAILDIR_H

/*
 * Delivery to a Maildir (https://cr.yp.to/proto/maildir.html): a mail is in new/
 * whole and on the disk, or it is nowhere.
 */

#include "base/attr.h"

struct mail;

struct maildir {
	int tmp;          /* owned; -1 when empty */
	int new;          /* owned; -1 when empty */
	unsigned counter; /* of the names given */
};

#define MAILDIR_EMPTY ((struct maildir){.tmp = -1, .new = -1})

/* Opens the Maildir at `path`, makes it and its tmp, new, cur where they lack.
 * -errno. */
MUSTCHECK int maildir_open(const char *path, struct maildir *ret_maildir);

/* Idempotent. */
void maildir_close(struct maildir *d);

/* Enough for a delivered mail's name, with its NUL. */
#define MAILDIR_NAME_MAX 128

/*
 * Delivers `m`, which need not be sealed and is afterwards, below a Return-Path
 * and one Delivered-To a recipient.  0 with the name in new/, or -errno with
 * no file left.
 */
MUSTCHECK int maildir_deliver(struct maildir *d, struct mail *m,
			      char ret_name[MAILDIR_NAME_MAX]);

#endif
