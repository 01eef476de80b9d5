"""The door protocol against a network that duplicates, reorders, delays and lies (I3, I4).

Everything that was ever sent stays in the air and may be delivered again, in any order, at any time, also
after a reboot. The hub here is honest: it signs once for each command. The attacker has every message, the
other door's commands, a key of their own, and the hub's wall clock.
"""

import time
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from nacl.signing import SigningKey

from devices.contract.door import COMMAND_SECONDS, ChallengeRequest, Command, Signed
from devices.door.exchange import Act, Exchange, Refuse

HUB, FOREIGN = SigningKey.generate(), SigningKey.generate()
DOOR, OTHER = "door-1", "door-2"


def signed(key: SigningKey, door: str, command: str, nonce: str, verb: str = "pulse") -> bytes:
    content = Command.model_construct(
        door=door, command=command, verb=verb, pulse_ms=500, nonce=nonce, audit=1
    ).payload()
    return Signed.carrying(content, key.sign(content).signature, "hub-1").payload()


class DoorProtocol(RuleBasedStateMachine):
    challenges = Bundle("challenges")
    commands = Bundle("commands")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.wall = 1.8e9
        self.count = 0
        self.nonces = 0
        self.signed_for: dict[str, bytes] = {}
        self.given_at: dict[str, float] = {}
        self.pulses: list[tuple[str, str, float]] = []
        self.journal: list[str] = []
        self.answers: list[tuple[str, str]] = []

    @initialize()
    def first_boot(self) -> None:
        self.boot([])

    def boot(self, acted: list[str]) -> None:
        self.exchange = Exchange(
            DOOR, HUB.verify_key, "hub-1", clock=lambda: self.now, make_nonce=self.nonce, acted=acted
        )

    def nonce(self) -> str:
        self.nonces += 1
        return f"{self.nonces:032x}"

    def new_command(self) -> str:
        self.count += 1
        return f"c{self.count}"

    def give(self, command: str, *, retained: bool = False):
        challenge = self.exchange.challenge(ChallengeRequest(command=command).payload(), retained=retained)
        if challenge is not None:
            self.given_at.setdefault(challenge.nonce, self.now)
        return challenge

    def arrive(self, payload: bytes, *, retained: bool) -> Act | Refuse:
        with mock.patch.object(time, "time", return_value=self.wall):
            decision = self.exchange.decide(payload, retained=retained)
        if isinstance(decision, Act):
            self.pulses.append((decision.command.command, decision.command.nonce, self.now))
            self.answers.append((decision.command.command, "done"))
            assert not retained
            assert decision.command.door == DOOR
            assert decision.command.command in self.signed_for
        elif decision.answer is not None:
            self.answers.append((decision.answer, "refused"))
        return decision

    # -- the honest hub -----

    @rule(target=challenges)
    def ask(self):
        return self.give(self.new_command())

    @rule(target=challenges, challenge=challenges)
    def ask_again(self, challenge):
        """The request was in the air twice."""
        again = self.give(challenge.command)
        return challenge if again is None else again

    @rule(challenge=challenges)
    def retained_request(self, challenge) -> None:
        assert self.give(challenge.command, retained=True) is None

    @rule(target=commands, challenge=challenges)
    def sign(self, challenge) -> bytes:
        """Once for each command, whatever challenges come."""
        if challenge.command not in self.signed_for:
            self.signed_for[challenge.command] = signed(HUB, DOOR, challenge.command, challenge.nonce)
        return self.signed_for[challenge.command]

    @rule(target=commands)
    def ask_and_sign(self) -> bytes:
        return self.sign(self.ask())

    @rule()
    def undisturbed(self) -> None:
        """A door that never opens keeps every promise; this one must open."""
        command = self.new_command()
        challenge = self.give(command)
        payload = self.signed_for[command] = signed(HUB, DOOR, command, challenge.nonce)
        assert isinstance(self.arrive(payload, retained=False), Act)

    # -- the network -----

    @rule(payload=commands)
    def deliver(self, payload: bytes) -> None:
        self.arrive(payload, retained=False)

    @rule(payload=commands)
    def deliver_as_retained(self, payload: bytes) -> None:
        assert self.arrive(payload, retained=True) == Refuse("retained")

    @rule(payload=commands, seconds=st.sampled_from([4.999, 5.001, 8.0, 3600.0]))
    def hold_back(self, payload: bytes, seconds: float) -> None:
        self.now += seconds
        self.arrive(payload, retained=False)

    @rule(seconds=st.one_of(st.floats(0, 2), st.floats(4.9, 5.1), st.floats(5, 1e6)))
    def delay(self, seconds: float) -> None:
        self.now += seconds

    # -- the attacker -----

    @rule(target=commands)
    def forge(self) -> bytes:
        """While the nonce is as fresh as it gets."""
        challenge = self.ask()
        payload = signed(FOREIGN, DOOR, challenge.command, challenge.nonce)
        assert self.arrive(payload, retained=False) == Refuse("bad_signature")
        return payload

    @rule(target=commands)
    def other_doors_command(self) -> bytes:
        """The hub opened the other door, which was made to give this door's nonce."""
        challenge = self.ask()
        payload = signed(HUB, OTHER, challenge.command, challenge.nonce)
        assert self.arrive(payload, retained=False) == Refuse("other_door")
        return payload

    @rule(seconds=st.floats(0, 20))
    def answer_to_the_first_of_two_challenges(self, seconds: float) -> None:
        """The request is held back, the hub signs the nonce that it got first."""
        challenge = self.ask()
        self.now += seconds
        self.ask_again(challenge)
        self.arrive(self.sign(challenge), retained=False)

    @rule(payload=commands, place=st.integers(0, 200))
    def change_a_byte(self, payload: bytes, place: int) -> None:
        message = Signed.model_validate_json(payload)
        content = bytearray(message.content)
        content[place % len(content)] ^= 1
        changed = Signed.carrying(bytes(content), message.signature, message.key).payload()
        assert isinstance(self.arrive(changed, retained=False), Refuse)

    @rule(jump=st.sampled_from([-1.8e9, -3600.0, -20.0, 20.0, 3600.0, 1e9]))
    def set_the_wall_clock(self, jump: float) -> None:
        self.wall += jump

    # -- the machine -----

    @rule()
    def write_the_journal(self) -> None:
        self.journal = [command for command, _, _ in self.pulses]

    @rule()
    def reboot(self) -> None:
        """Without what had not been written yet."""
        self.boot(self.journal)

    @rule()
    def reboot_with_the_disk_rolled_back(self) -> None:
        self.journal = []
        self.boot([])

    # -- what must hold -----

    @invariant()
    def i3_one_command_is_at_most_one_pulse(self) -> None:
        commands = [command for command, _, _ in self.pulses]
        nonces = [nonce for _, nonce, _ in self.pulses]
        assert len(commands) == len(set(commands))
        assert len(nonces) == len(set(nonces))

    @invariant()
    def i4_no_pulse_is_late(self) -> None:
        for _, nonce, at in self.pulses:
            assert 0 <= at - self.given_at[nonce] <= COMMAND_SECONDS

    @invariant()
    def what_was_done_is_never_called_refused(self) -> None:
        done = {command for command, result in self.answers if result == "done"}
        assert not done & {command for command, result in self.answers if result == "refused"}


TestDoorProtocol = DoorProtocol.TestCase
TestDoorProtocol.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
