# SPDX-License-Identifier: BSD-2-Clause
"""What the end-to-end tests are made of: a daemon under test, a strict
QMQP client, scripted QMQP servers and a strict reader of the log."""
