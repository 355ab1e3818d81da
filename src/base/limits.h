/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef QRELAY_BASE_LIMITS_H
#define QRELAY_BASE_LIMITS_H

/*
 * Every size, count and duration that a peer or a script controls, or that
 * bounds what one may cost us.  Durations are seconds, sizes are bytes.
 */

/* The globals of the script: default, least and greatest value. */
#define LIMIT_MAX_SIZE_DEFAULT 16777216 /* a message */
#define LIMIT_MAX_SIZE_MIN 1024
#define LIMIT_MAX_SIZE_MAX 1073741824
#define LIMIT_MAX_RECIPIENTS_DEFAULT 1024 /* a mail */
#define LIMIT_MAX_RECIPIENTS_MAX 1000000
#define LIMIT_MAX_CONNECTIONS_DEFAULT 1024
#define LIMIT_MAX_CONNECTIONS_MAX 1000000
#define LIMIT_MAX_MEMORY_DEFAULT 536870912 /* messages held */
#define LIMIT_MAX_MEMORY_MIN 65536
#define LIMIT_MAX_MEMORY_MAX 1099511627776
#define LIMIT_RECEIVE_TIMEOUT_DEFAULT 60 /* without a byte */
#define LIMIT_RECEIVE_TOTAL_FACTOR 10    /* x that in all */
#define LIMIT_HANDLER_TIMEOUT_DEFAULT 1  /* of CPU a mail */
#define LIMIT_LUA_MEMORY_DEFAULT 268435456
#define LIMIT_LUA_MEMORY_MIN 1048576
#define LIMIT_LUA_RESERVE 1048576 /* beyond it, for calls of the daemon's own */
#define LIMIT_SHUTDOWN_TIMEOUT_DEFAULT 5
#define LIMIT_SCRIPT_TIMEOUT 60  /* of CPU, start and `reload` */
#define LIMIT_DURATION_MAX 86400 /* of any duration above */
#define LIMIT_DURATION_MIN 0.001

/* An address of the envelope: what qmail and Postfix carry without trouble. */
#define LIMIT_ADDRESS 999
/* The same as a netstring: "999:", the address, ",". */
#define LIMIT_ADDRESS_NETSTRING 1004

/* Digits of a netstring's length: 10^18 - 1 fits a 64-bit size_t. */
#define LIMIT_NETSTRING_DIGITS 18

/* A header line that the script inserts (RFC 5322 2.1.1), without its end. */
#define LIMIT_HEADER_LINE 998
/* All lines inserted into one mail. */
#define LIMIT_ADDED_HEADERS 1048576

/* The reply of a server: what is read, and what of it is passed on (the
 * verdict's letter and its text). */
#define LIMIT_REPLY_READ 65536
#define LIMIT_REPLY 256
#define LIMIT_REPLY_TEXT (LIMIT_REPLY - 1)

/* What is still taken of a client that has its answer already. */
#define LIMIT_DRAIN_FACTOR 4 /* x max_size */
#define LIMIT_DRAIN_TIME 30

/* Connections beyond a uid's limit that are drained as well. */
#define LIMIT_REFUSED_PER_UID 16

/* qmail-qmqpc gives up after 60 s, and an answer that comes later means a
 * duplicate: so much may pass from the request's last byte to our answer. */
#define LIMIT_ANSWER_TIME 55
#define LIMIT_CONNECT_TIME 20 /* each address */
#define LIMIT_RESOLVE_TIME 20
/* Addresses kept of one host name: each may cost LIMIT_CONNECT_TIME. */
#define LIMIT_RESOLVE_ADDRESSES 32
#define LIMIT_ACTION_TIMEOUT 3600
#define LIMIT_SLEEP 3600

/* One read of one client, so that a large mail does not hold up small ones. */
#define LIMIT_READ_AT_ONCE 131072
/* Vectors of one sendmsg(2), for the same reason: with 8 KiB blocks, 512 KiB.  Fewer
 * would cost large mails more, since each stays for longer. */
#define LIMIT_IOV 64

/* A program that must go: from SIGTERM to SIGKILL; and how often it is looked
 * after meanwhile, and killed again afterwards. */
#define LIMIT_CHILD_GRACE 10
#define LIMIT_CHILD_LOOK 1
/* How long shutdown looks after programs it has killed; init reaps the rest. */
#define LIMIT_CHILD_REAP 0.5
/* What is read of one pipe of a program, most of it to be thrown away: one that
 * writes without end must not keep us reading without end. */
#define LIMIT_CHILD_OUTPUT 16777216
/* What of a program's stderr is logged, a mail. */
#define LIMIT_STDERR_LINES 64
#define LIMIT_STDERR_LINE 512

/* Lines for stderr that wait for it to take them. */
#define LIMIT_LOG_BUFFER 1048576
/* A line of the log; what is longer is cut. */
#define LIMIT_LOG_LINE 16384
/* How often a repeated complaint (accept failed) is logged. */
#define LIMIT_COMPLAINT_INTERVAL 10
/* Clients that a listener accepts in one turn of the loop, and seconds after
 * which it stops: what a turn adds to the time that others wait. */
#define LIMIT_ACCEPT_AT_ONCE 16
#define LIMIT_ACCEPT_TIME 0.002
/* More large messages (of so many bytes) than that under way are to be finished
 * first, while the cache has a part of them: then it accepts one. */
#define LIMIT_ACCEPT_LARGE 4
#define LIMIT_LARGE 131072
/* How long a listener rests when accept has no descriptor or memory. */
#define LIMIT_ACCEPT_PAUSE 0.1

/* Descriptors that a connection may need: client, server or four pipe ends and
 * a pidfd, the peer's pidfd, and its cgroup. */
#ifndef LIMIT_FDS_PER_CONNECTION /* the bench holds clients that use one */
#define LIMIT_FDS_PER_CONNECTION 8
#endif
/* Descriptors beside those: stdio, loop, listeners, database, script. */
#define LIMIT_FDS_RESERVED 64

/* The path of a control group: the kernel cuts it at PATH_MAX - 1, some versions
 * without a word, so that one of that length may be another group's. */
#define LIMIT_CGROUP_PATH 4094
/* /proc/PID/cgroup: a line each of a dozen hierarchies, with such a path. */
#define LIMIT_PROC_CGROUP 65536
/* /proc/self/mountinfo: 100000 mounts (sysctl fs.mount-max) of usual length. */
#define LIMIT_MOUNTINFO 16777216
/* How often a client's control group is looked up again if it moved between two
 * looks. */
#define LIMIT_CGROUP_TRIES 3
/* Control groups whose path is remembered; a power of two. */
#define LIMIT_CGROUP_CACHE 1024
/* Directories that are read to find the group of a client that has exited: some
 * 20 us each, during which the loop stands still. */
#define LIMIT_CGROUP_WALK 4096
/* The next search begins this many times the last one's duration later, so that
 * clients that exit cannot take more than a tenth of the time. */
#define LIMIT_CGROUP_WALK_REST 9

/* The kernel's own limits (xattr(7)). */
#define LIMIT_XATTR_NAME 255
#define LIMIT_XATTR_VALUE 65536
#define LIMIT_XATTR_LIST 65536

/* The database.  Connections of one pg:new in all; of these so many may share
 * the queries, so that one stays for LISTEN and one for a transaction. */
#define LIMIT_PG_CONNECTIONS 8
#define LIMIT_PG_SHARED_DEFAULT 2
#define LIMIT_PG_SHARED_MAX 6
/* Host names resolved, connected, authenticated, set up. */
#define LIMIT_PG_CONNECT_TIME 10
/* Between attempts to connect, doubled each time. */
#define LIMIT_PG_BACKOFF_MIN 1
#define LIMIT_PG_BACKOFF_MAX 30
/* A call: waiting for a connection and for the result. */
#define LIMIT_PG_TIMEOUT_DEFAULT 20
#define LIMIT_PG_TIMEOUT_MAX 3600
/* So late may the oldest query of a connection be before it is closed. */
#define LIMIT_PG_OVERDUE 5
/* Behind a query that takes longer than this no other one is put if another
 * connection is there. */
#define LIMIT_PG_STALLED 0.05
/* How long an idle connection of a transaction is kept for the next one. */
#define LIMIT_PG_IDLE 60
/* Prepared statements a connection, and the longest text that is prepared: a
 * server keeps each of them in its memory. */
#define LIMIT_PG_STATEMENTS 256
#define LIMIT_PG_STATEMENT_TEXT 65536
/* Text and parameters of a query; they are held outside of Lua's memory. */
#define LIMIT_PG_QUERY 67108864
#define LIMIT_PG_PARAMETERS 65535 /* the protocol's 16 bits */
/* Rows and names of a result; the same. */
#define LIMIT_PG_RESULT 16777216
/* A server's message. */
#define LIMIT_PG_MESSAGE 1024
/* Addresses of a conninfo's hosts. */
#define LIMIT_PG_ADDRESSES 64
/* Of an identifier (schema, channel): NAMEDATALEN - 1. */
#define LIMIT_PG_NAME 63
/* PostgreSQL's own limit (MAXDIM). */
#define LIMIT_PG_ARRAY_DEPTH 6
/* Callbacks of notifications that wait for something; the others queue up, and
 * the connection is not read. */
#define LIMIT_PG_CALLBACKS 64
/* How often a lost LISTEN is logged. */
#define LIMIT_PG_COMPLAINT_INTERVAL 10

/* A traceback in the log. */
#define LIMIT_TRACEBACK_LINES 32

/* One call of sodium.randombytes: a key takes 64 at most, and a mistaken number
 * must not hold up all mail. */
#define LIMIT_RANDOMBYTES 1048576

#endif
