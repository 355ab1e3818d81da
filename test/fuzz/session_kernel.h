/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_FUZZ_SESSION_KERNEL_H
#define QRELAY_FUZZ_SESSION_KERNEL_H

/*
 * What the daemon asks the kernel for and does not get: this stands in for the C
 * library's clock_gettime(), sendmsg(), accept4(), socket() and getsockopt().  The monotonic
 * clock, also libev's, stands still unless it is moved, so that each input runs
 * the same way whenever it is run.
 */

#include <stddef.h>
#include <sys/types.h>

/* How it is without this: whole sends, no failures.  Time goes on. */
void session_kernel_reset(void);

/* A new input: nobody has connected. */
void session_kernel_forget_uids(void);

/* Moves the clock. */
void session_kernel_pass(double seconds);

/* sendmsg() takes at most that many bytes from now on; 0: all that it can. */
void session_kernel_bite(size_t bytes);

/* The next call has no descriptor (EMFILE). */
void session_kernel_fail_accept(void);
void session_kernel_fail_socket(void);

/* The next sendmsg() finds nobody (EPIPE). */
void session_kernel_fail_send(void);

/* Whose process has connected, in the order in which they are asked for
 * (SO_PEERCRED). */
void session_kernel_add_uid(uid_t uid);

/* socket() as it is, for the fuzzer's own. */
int session_kernel_socket(int family, int type, int protocol);

#endif
