# SPDX-License-Identifier: BSD-2-Clause
"""The processes of a run, and their threads."""
import multiprocessing
import signal
import threading

FORK = multiprocessing.get_context('fork')


def in_threads(number, work):
    """work(0), work(1) ... at a time; until all have returned."""
    threads = [threading.Thread(target=work, args=(i,))
               for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def child(target, args):
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # the parent ends us
    target(*args)


class Family:
    """Forked, so begin it before there are threads."""

    def __init__(self):
        self.members = []

    def fork(self, target, *args):
        process = FORK.Process(target=child, args=(target, args))
        process.start()
        self.members.append(process)
        return process

    def all_alive(self):
        return all(process.is_alive() for process in self.members)

    @staticmethod
    def join(process, seconds):
        """-> faults"""
        process.join(seconds)
        if process.exitcode == 0:
            return []
        return [('a process of the soak fails', None,
                 f'{process.name}: {process.exitcode}')]

    def kill(self):
        for process in self.members:
            if process.is_alive():
                process.kill()
