/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_IO_SYSTEMD_H
#define QRELAY_IO_SYSTEMD_H

/*
 * What systemd hands to a service and wants to hear from it: sd_listen_fds(3),
 * sd_notify(3), sd_watchdog_enabled(3).  Without systemd all of it does nothing.
 */

#include <stddef.h>

#include "base/attr.h"

/* A socket that was handed over. */
struct systemd_socket {
	int fd;     /* owned; -1 once it was taken */
	char *name; /* owned; FileDescriptorName= */
};

struct systemd_sockets {
	struct systemd_socket *v; /* owned */
	size_t n;
};

/*
 * Takes the sockets handed over and clears the environment of them; they are
 * close-on-exec.  None is no error.  0 or -errno.
 */
MUSTCHECK int systemd_sockets_take(struct systemd_sockets *ret_sockets);

/* Closes those that nobody took.  Idempotent. */
void systemd_sockets_deinit(struct systemd_sockets *s);

/* 0 if `fd` is a listening stream socket, else -EINVAL. */
MUSTCHECK int systemd_check_listening(int fd);

void systemd_notify_ready(void);
void systemd_notify_reloading(void);
void systemd_notify_stopping(void);
void systemd_notify_watchdog(void);

/* Seconds in which the watchdog wants to hear of us, or 0. */
double systemd_watchdog(void);

#endif
