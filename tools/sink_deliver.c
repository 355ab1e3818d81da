/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "proto/mail.h"
#include "tools/maildir.h"
#include "tools/sink.h"

size_t sink_deliver(struct sink *sink, struct mail *mail,
		    char ret_reply[QMQP_REPLY_WIRE_MAX])
{
	char name[MAILDIR_NAME_MAX], text[LIMIT_REPLY];
	int r = 0;

	if (sink->maildir != NULL)
		r = maildir_deliver(sink->maildir, mail, name);
	if (r < 0) {
		snprintf(text, sizeof(text), "Zcannot store the mail: %s",
			 strerror(-r));
	} else if (sink->reply != NULL) {
		return qmqp_reply_print(ret_reply, sink->reply[0],
					sink->reply + 1,
					strlen(sink->reply + 1));
	} else if (sink->maildir != NULL) {
		snprintf(text, sizeof(text), "Kok %s", name);
	} else {
		strcpy(text, "Kok");
	}
	return qmqp_reply_print(ret_reply, text[0], text + 1, strlen(text + 1));
}

size_t sink_refuse(enum qmqp_request_result why,
		   char ret_reply[QMQP_REPLY_WIRE_MAX])
{
	const char *text = qmqp_request_strerror(why);

	return qmqp_reply_print(ret_reply,
				why == QMQP_REQUEST_MEMORY ? 'Z' : 'D', text,
				strlen(text));
}
