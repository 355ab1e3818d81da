/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_PROTO_MAIL_H
#define QRELAY_PROTO_MAIL_H

/*
 * A mail: envelope, message, and the headers we add; and the vectors that put it
 * on a wire.  The message stays in the blocks it was received into.
 *
 * A mail is received (by qmqp_request), changed (sender, headers), then sealed,
 * then sent.  Nothing may change once it is sealed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/buffer.h"
#include "base/chain.h"

enum mail_form {
	MAIL_QMQP, /* a QMQP request (https://cr.yp.to/proto/qmqp.html) */
	MAIL_RAW,  /* headers and body alone */
};

struct mail {
	/* what was received; the message lies within it */
	struct chain chain;
	size_t message_offset;
	size_t message_size;
	bool crlf;      /* its first line ends with CR LF */
	bool continues; /* its first byte is a space or a TAB */

	struct buffer sender;     /* without framing; may be empty */
	struct buffer recipients; /* netstrings, one behind the other */
	size_t n_recipients;

	/* private */
	struct buffer added; /* "Name: value\n", the first inserted first */
	struct buffer head;  /* before the message, with the QMQP framing */
	size_t head_raw;     /* where in `head` the headers start */
	struct buffer tail;  /* ",", sender */
	bool sealed;
};

/* Acquires nothing. */
void mail_init(struct mail *m, struct block_pool *pool);

/* Frees what it holds.  Idempotent. */
void mail_deinit(struct mail *m);

/* As new, but it keeps some memory for the next mail. */
void mail_clear(struct mail *m);

/* Replaces the sender, which must be one (address.h); it may be the present one.
 * -ENOMEM: nothing has changed. */
MUSTCHECK int mail_set_sender(struct mail *m, const char *s, size_t size);

/*
 * Walks the recipients: `*at` is 0 before the first.  Returns the next one, not
 * terminated, good until the mail's deinit; or NULL after the last.
 */
const char *mail_recipient(const struct mail *m, size_t *at, size_t *ret_size);

/* Why a header cannot be inserted; mail_header_strerror() says it in words. */
enum mail_header_error {
	MAIL_HEADER_OK,
	MAIL_HEADER_NAME,  /* empty, or a byte outside of 33 … 126, or ':' */
	MAIL_HEADER_VALUE, /* not US-ASCII, or NUL, CR, LF */
	MAIL_HEADER_LONG,  /* the line exceeds LIMIT_HEADER_LINE */
	MAIL_HEADER_MANY,  /* all lines exceed LIMIT_ADDED_HEADERS */
	MAIL_HEADER_MEMORY,
};

/* Puts "NAME: VALUE" before the headers that are there (RFC 5322 2.2). */
MUSTCHECK enum mail_header_error
mail_insert_header(struct mail *m, const char *name, size_t name_size,
		   const char *value, size_t value_size);

const char *mail_header_strerror(enum mail_header_error e);

/*
 * Makes the mail ready to be sent.  `received` is the Received header's value,
 * that stands below the inserted headers, or NULL for none.  Line ends are those
 * of the message's first line.  -ENOMEM.
 */
MUSTCHECK int mail_seal(struct mail *m, const char *received);

/* Bytes of the sealed mail in that form. */
size_t mail_wire_size(const struct mail *m, enum mail_form form);

/* Nobody will ask for vectors again: gives the message's memory back.  Envelope and
 * sizes stay. */
void mail_drop_message(struct mail *m);

/* Fills at most `max` vectors (at least 1) with the bytes of the sealed mail from
 * `offset` on; returns how many, 0 at the end. */
int mail_iov(const struct mail *m, enum mail_form form, size_t offset,
	     struct iovec *iov, int max);

#endif
