# SPDX-License-Identifier: BSD-2-Clause
"""A name server on a loopback address of its own, and a /etc/resolv.conf
that names it, for one daemon alone."""
import os
import random
import shutil
import socket
import threading

import pytest

from .env import wait_until

A = 1     # nobody has an IPv6 address here
NO_SUCH_NAME = 3


class NameServer:
    """hosts: {name: IPv4 address}.  It answers after `delay` seconds, and not at
    all while `silent`."""

    def __init__(self, folder, hosts=None, options='', delay=0, silent=False):
        if os.geteuid() != 0 or shutil.which('unshare') is None:
            pytest.skip('needs root and unshare, for port 53 and resolv.conf')
        self.hosts = hosts or {}
        self.delay = delay
        self.silent = silent
        self.asked = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:     # other tests have theirs at the same time
            self.address = f'127.53.{random.randrange(256)}.' \
                           f'{random.randrange(1, 255)}'
            try:
                self.sock.bind((self.address, 53))
                break
            except OSError:
                pass
        self.file = folder / 'resolv.conf'
        self.file.write_text(f'nameserver {self.address}\n'
                             f'options {options}\n')
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @property
    def prefix(self):
        """Words before a command that has it as its only name server."""
        return ['unshare', '-m', 'sh', '-c',
                f'mount --bind {self.file} /etc/resolv.conf && exec "$@"',
                'sh']

    def serve(self):
        while True:
            query, client = self.sock.recvfrom(512)
            if not query:
                return
            name, kind = self.question(query)
            self.asked.append(name)
            if not self.silent:
                threading.Timer(self.delay, self.answer,
                                (query, name, kind, client)).start()

    @staticmethod
    def question(query):
        labels = []
        at = 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        return '.'.join(labels), int.from_bytes(query[at + 1:at + 3], 'big')

    def answer(self, query, name, kind, client):
        end = query.index(0, 12) + 5
        address = self.hosts.get(name)
        data = b''
        if address and kind == A:
            data = (b'\xc0\x0c\0\1\0\1\0\0\0\0\0\4' +
                    socket.inet_aton(address))
        status = 0 if address else NO_SUCH_NAME
        head = (query[:2] + bytes((0x81, 0x80 | status)) + b'\0\1' +
                (b'\0\1' if data else b'\0\0') + b'\0\0\0\0')
        try:
            self.sock.sendto(head + query[12:end] + data, client)
        except OSError:
            pass        # closed meanwhile

    def wait_asked(self, name):
        wait_until(lambda: name in self.asked, f'{name} is asked for')

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RD)      # wakes the thread
        except OSError:
            pass        # not connected, but woken all the same
        self.thread.join()
        self.sock.close()
