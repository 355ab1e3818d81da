# SPDX-License-Identifier: BSD-2-Clause
"""A network namespace with a link that takes its time and loses packets.

Over loopback a connection is there when connect(2) returns, and a peer has
all that was sent.  Here the peer THERE is this machine itself: a thread
sends back what comes out of a TUN device, a while later, with the addresses
swapped.  So a server listens on HERE and is called THERE.
See Documentation/networking/tuntap.rst of Linux, setns(2), RFC 791."""
import contextlib
import ctypes
import fcntl
import heapq
import os
import select
import socket
import struct
import subprocess
import threading
import time

HERE, THERE = '10.9.0.1', '10.9.0.2'

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454ca
IFF_TUN, IFF_NO_PI = 1, 0x1000
FIN, SYN, RST, ACK = 1, 2, 4, 16
MTU = 9000

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Packet:
    """IPv4 as it comes from the device."""

    def __init__(self, data):
        self.data = data
        self.is_tcp = data[0] >> 4 == 4 and data[9] == socket.IPPROTO_TCP

    def flags(self):
        return self.data[(self.data[0] & 15) * 4 + 13] if self.is_tcp else 0

    def reflected(self):
        """Both addresses stay in, so that the checksums stay right."""
        d = self.data
        return d[:12] + d[16:20] + d[12:16] + d[20:]


class FarLink:
    """delay: seconds each way, may be changed any time.
    lose: called with each Packet; true loses it."""

    def __init__(self, delay):
        self.delay = delay
        self.lose = lambda packet: False
        home = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        try:
            check(libc.unshare(CLONE_NEWNET))
            try:
                self.ns = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
                self.tun = self.open_tun()
            finally:
                check(libc.setns(home, CLONE_NEWNET))
        finally:
            os.close(home)
        self.wake, self.woken = os.pipe()
        self.thread = threading.Thread(target=self.reflect, daemon=True)
        self.thread.start()

    @staticmethod
    def open_tun():
        tun = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF,
                    struct.pack('16sH14x', b'far', IFF_TUN | IFF_NO_PI))
        for words in ('link set lo up', f'addr add {HERE}/24 dev far',
                      f'link set far up mtu {MTU}'):
            subprocess.run(['ip', *words.split()], check=True)
        return tun

    @contextlib.contextmanager
    def entered(self):
        """Sockets made by this thread, and children, are at the link."""
        home = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        try:
            check(libc.setns(self.ns, CLONE_NEWNET))
            try:
                yield
            finally:
                check(libc.setns(home, CLONE_NEWNET))
        finally:
            os.close(home)

    def reflect(self):
        queue, n = [], 0
        while True:
            wait = max(0, queue[0][0] - time.monotonic()) if queue else None
            ready, _, _ = select.select([self.tun, self.wake], [], [], wait)
            if self.wake in ready:
                return
            with contextlib.suppress(BlockingIOError):
                while self.tun in ready:
                    packet = Packet(os.read(self.tun, 2 * MTU))
                    if packet.is_tcp and not self.lose(packet):
                        n += 1
                        heapq.heappush(queue, (time.monotonic() + self.delay,
                                               n, packet.reflected()))
            while queue and queue[0][0] <= time.monotonic():
                os.write(self.tun, heapq.heappop(queue)[2])

    def close(self):
        os.write(self.woken, b'x')
        self.thread.join()
        for fd in (self.tun, self.ns, self.wake, self.woken):
            os.close(fd)
