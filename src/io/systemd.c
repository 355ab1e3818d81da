/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/fd.h"

int systemd_sockets_take(struct systemd_sockets *ret_sockets)
{
	struct systemd_sockets s = {NULL, 0};
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	if (n < 0)
		return n;
	if (n > 0) {
		s.v = calloc((size_t)n, sizeof(*s.v));
		if (s.v == NULL) {
			for (int i = 0; i < n; i++)
				free(names[i]);
			free(names);
			return -ENOMEM;
		}
	}
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		int flags = fcntl(fd, F_GETFL);

		if (flags >= 0)
			(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
		s.v[i] = (struct systemd_socket){.fd = fd, .name = names[i]};
	}
	free(names);
	s.n = (size_t)n;
	*ret_sockets = s;
	return 0;
}

void systemd_sockets_deinit(struct systemd_sockets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		fd_close(&s->v[i].fd);
		free(s->v[i].name);
	}
	free(s->v);
	*s = (struct systemd_sockets){NULL, 0};
}

int systemd_check_listening(int fd)
{
	return sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0 ? 0 : -EINVAL;
}

void systemd_notify_ready(void)
{
	sd_notify(0, "READY=1");
}

/* sd_notify(3): a reload tells when it began, for Type=notify-reload. */
void systemd_notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		   (uint64_t)now.tv_sec * 1000000 +
			   (uint64_t)now.tv_nsec / 1000);
}

void systemd_notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void systemd_notify_watchdog(void)
{
	sd_notify(0, "WATCHDOG=1");
}

double systemd_watchdog(void)
{
	uint64_t usec = 0;

	if (sd_watchdog_enabled(0, &usec) <= 0)
		return 0.;
	return (double)usec / 1e6;
}
