# SPDX-License-Identifier: BSD-2-Clause
"""Which verdicts a mail may get, by what was asked for and by what its
server or program says it did."""

# the daemon's own, before any handler has run
BUSY = {'Ztoo busy', 'Ztoo many connections'}
COME_AND_GO = ('flaky', 'two', 'gone')
# what a server did so that its verdict, if any, may be lost
LOSES = {'reset', 'resetall', 'close', 'half', 'halfreset', 'earlycut',
         'nonsense', 'lie', 'hasty'}
REPLY = 256             # bytes of a server's reply that are passed on
EXACT = 0.9             # of a time-out: clocks are read at several places

INTERNAL = 'Zinternal server error'


def of_exec(id):
    return {'K': f'Kok {id}', 'stderr': f'Kok {id}', 'child': f'Kok {id}',
            'D': f'Dno {id}', 'Z': f'Zlater {id}', 'die': INTERNAL,
            'dieearly': INTERNAL, 'noread': INTERNAL, 'mute': INTERNAL,
            'Kfail': INTERNAL, 'half': INTERNAL, 'hang': 'Ztimeout',
            'stubborn': 'Ztimeout'}


def of_raw(id):
    return {'K': f'Kok {id}', 'child': f'Kok {id}', 'D': f'Dno {id}',
            'Z': f'Zlater {id}', 'die': INTERNAL, 'dieearly': INTERNAL,
            'noread': 'Kok', 'hang': 'Ztimeout',
            'loud': f'Kmuch of {id} ok {id}'}


def fixed(id, action, how):
    """The only verdict of an action without a server; None if it has one."""
    if action == 'exec':
        return of_exec(id)[how]
    if action == 'raw':
        return of_raw(id)[how]
    return {'discard': f'Kdiscarded {id}', 'reject': f'Drejected {id}',
            'defer': f'Zdeferred {id}',
            'script': 'Zscript failed'}.get(action)


class Times:
    """The time-outs of a run, in seconds; how long a mail may take for
    which the daemon waits for nothing; and the longest time for which the
    whole run stood still."""

    def __init__(self, receive, hang, calm, prompt):
        self.receive, self.hang, self.calm = receive, hang, calm
        self.prompt = prompt
        self.pause = 0

    def may_expire(self, action, how, seconds):
        """Whether a mail that took so long may have a time-out."""
        if self.paused(seconds):
            return True
        waits = action in ('exec', 'raw') or \
            action.startswith('to-') and how.startswith('hang')
        return waits and seconds >= EXACT * self.hang

    def paused(self, seconds):
        """Whether a pause explains the time-out of one who took so long."""
        return self.pause > self.receive and seconds >= EXACT * self.receive


def fault(plan, verdict, served, seconds, times):
    """What is wrong with the verdict of a mail whose request was whole:
    None, or what was expected instead.

    plan     (id, action, how)
    served   what servers say of this mail (servers.py)
    seconds  how long it took, at least
    """
    id, action, how = plan
    if verdict in BUSY:
        return f'no server, as it was {verdict}' if served else None
    if verdict == 'Ztimeout' and times.may_expire(action, how, seconds):
        return None
    want = fixed(id, action, how)
    if want:
        return None if verdict == want else want
    return fault_of_relay(action[3:], verdict, served)


def fault_of_relay(server, verdict, served):
    """The same, for a mail that went to a server."""
    restless = server.startswith(COME_AND_GO)
    if not served:
        own = {'Zconnect failed', 'Zrelay failed'} if restless else set()
        return None if verdict in own else \
            f'{sorted(own)}: no server had it'
    one = served[0]
    said = one['said'][:REPLY] if one['said'] else None
    loses = one['cut'] or one['how'].rstrip('0123456789') in LOSES
    if verdict == said:
        return None
    if one['sure'] and said and not loses:
        return f'the server\'s {said!r}'
    if loses and verdict == 'Zrelay failed':
        return None
    if one['how'].startswith('nonsense') and \
            verdict == 'Zmalformed relay response':
        return None
    return f'{said!r}, or what befits {one["how"]}'


def may_be_gone(plan, served):
    """Whether a mail may end as `client gone`: not when a server had it
    as a whole."""
    return not any(one['whole'] for one in served)
