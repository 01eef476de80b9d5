"""The door protocol against a network that duplicates, reorders, delays and lies (I3, I4, I5).

Everything that was ever sent stays in the air and may be delivered again, in any order, at any time, also
after a reboot. The hub here is honest: it signs once for each command, after the intent is committed, with any of its
two keys, and after a disk that was rolled back it signs nothing of before (docs/mqtt.md, step 8). The attacker has every
message, the other door's commands, a key of their own, the second key once it is retired, and the hub's wall clock.
"""

import time
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from nacl.signing import SigningKey

from devices.contract.door import COMMAND_SECONDS, ChallengeRequest, Command, Signed
from devices.door.deciding.exchange import Act, Exchange, Refuse

pytestmark = pytest.mark.slow

HUB, SECOND, FOREIGN = SigningKey.generate(), SigningKey.generate(), SigningKey.generate()
NAMES = {HUB: "hub-1", SECOND: "hub-2"}
DOOR, OTHER = "door-1", "door-2"


def signed(key: SigningKey, door: str, command: str, nonce: str, verb: str = "pulse") -> bytes:
    content = Command.model_construct(
        door=door, command=command, verb=verb, pulse_ms=500, why="unknown", nonce=nonce, audit=1
    ).encoded()
    return Signed.carrying(content, key.sign(content).signature, NAMES.get(key, "hub-1")).encoded()


class DoorProtocol(RuleBasedStateMachine):
    challenges = Bundle("challenges")
    commands = Bundle("commands")
    questions = Bundle("questions")

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
        self.intents: set[str] = set()
        self.forgotten: set[str] = set()
        self.shown_nonces: set[str] = set()
        self.closed: set[str] = set()
        self.question: str | None = None
        self.believed = {HUB}

    @initialize()
    def first_boot(self) -> None:
        self.boot([])

    def boot(self, acted: list[str]) -> None:
        self.exchange = Exchange(
            DOOR, HUB.verify_key, "hub-1", clock=lambda: self.now, make_nonce=self.nonce, acted=acted
        )
        self.close_question()
        self.exchange.trust({NAMES[key]: key.verify_key for key in self.believed})

    def close_question(self) -> None:
        if self.question is not None:
            self.closed.add(self.question)
        self.question = None

    def may_sign(self) -> SigningKey:
        """The hub knows which of its keys the door believes, and uses the newest."""
        return SECOND if SECOND in self.believed else HUB

    def signed_by(self, payload: bytes) -> SigningKey:
        message = Signed.model_validate_json(payload)
        return next(key for key in (HUB, SECOND, FOREIGN) if message.is_by(key.verify_key))

    def nonce(self) -> str:
        self.nonces += 1
        return f"{self.nonces:032x}"

    def new_command(self) -> str:
        self.count += 1
        return f"c{self.count}"

    def give(self, command: str, *, retained: bool = False):
        challenge = self.exchange.challenge(ChallengeRequest(command=command).encoded(), retained=retained)
        if challenge is not None:
            self.given_at.setdefault(challenge.nonce, self.now)
        return challenge

    def arrive(self, payload: bytes, *, retained: bool) -> Act | Refuse:
        with mock.patch.object(time, "time", return_value=self.wall):
            decision = self.exchange.decide(payload, retained=retained)
        if isinstance(decision, Act):
            command = decision.command
            self.pulses.append((command.command, command.nonce, self.now))
            assert command.command in self.intents  # I5
            assert self.signed_by(payload) in self.believed
            assert decision.answers_request == (command.nonce in self.shown_nonces)
            assert command.nonce not in self.closed  # the door had decided by itself, or asked anew
            if decision.answers_request:
                assert command.verb in ("pulse", "deny")
                self.close_question()
            else:
                assert command.verb != "deny"
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
        return self.hub_signs(challenge.command, challenge.nonce, "pulse")

    def hub_signs(self, command: str, nonce: str, verb: str) -> bytes:
        if command in self.forgotten:
            return b""  # of before the rollback: unknown, and never signed again
        if command not in self.signed_for:
            self.intents.add(command)
            self.signed_for[command] = signed(self.may_sign(), DOOR, command, nonce, verb)
        return self.signed_for[command]

    @rule(target=commands)
    def deny_what_nobody_showed(self) -> bytes:
        """A denial answers an access request, and no challenge of the other kind."""
        challenge = self.give(self.new_command())
        payload = self.hub_signs(challenge.command, challenge.nonce, "deny")
        assert self.arrive(payload, retained=False) == Refuse("unknown_verb", challenge.command)
        return payload

    # -- at the reader -----

    def show_something(self) -> tuple[str, str]:
        command = self.new_command()
        self.close_question()
        self.question = nonce = self.exchange.new_request_nonce(command)
        self.given_at[nonce] = self.now
        self.shown_nonces.add(nonce)
        return command, nonce

    @rule(target=questions)
    def show(self) -> tuple[str, str]:
        return self.show_something()

    @rule(target=commands, question=questions, verb=st.sampled_from(["pulse", "deny", "lock", "hold_open"]))
    def answer(self, question: tuple[str, str], verb: str) -> bytes:
        return self.hub_signs(*question, verb)

    @rule(target=commands, verb=st.sampled_from(["pulse", "deny"]), held=st.sampled_from([0.0, 0.3, 4.999, 5.001]))
    def show_and_answer(self, verb: str, held: float) -> bytes:
        question = self.show_something()
        payload = self.hub_signs(*question, verb)
        self.now += held
        decision = self.arrive(payload, retained=False)
        assert isinstance(decision, Act) == (held <= COMMAND_SECONDS)
        return payload

    @rule(target=commands, verb=st.sampled_from(["lock", "hold_open", "lift_lockdown"]))
    def more_than_an_answer(self, verb: str) -> bytes:
        """Nobody at a reader unlocks the door for all."""
        command, nonce = self.show_something()
        payload = self.hub_signs(command, nonce, verb)
        assert self.arrive(payload, retained=False) == Refuse("unknown_verb", command)
        return payload

    @rule()
    def decide_alone(self) -> None:
        self.exchange.forget_request()
        self.close_question()

    @rule(target=commands)
    def answer_after_it_decided_alone(self) -> bytes:
        command, nonce = self.show_something()
        payload = self.hub_signs(command, nonce, "pulse")
        self.decide_alone()
        decision = self.arrive(payload, retained=False)
        assert isinstance(decision, Refuse)
        assert decision.reason == "no_challenge"
        return payload

    @rule(shown_first=st.booleans())
    def neither_overtakes_the_other(self, shown_first: bool) -> None:
        challenge, question = self.give(self.new_command()), self.show_something()
        payloads = [self.hub_signs(*question, "deny"), self.hub_signs(challenge.command, challenge.nonce, "pulse")]
        for payload in payloads if shown_first else reversed(payloads):
            assert isinstance(self.arrive(payload, retained=False), Act)

    # -- keys -----

    @rule(keys=st.sampled_from([{HUB}, {SECOND}, {HUB, SECOND}]))
    def new_list(self, keys: set[SigningKey]) -> None:
        self.believed = set(keys)
        self.exchange.trust({NAMES[key]: key.verify_key for key in keys})

    @rule(target=commands)
    def stolen_key_that_is_retired(self) -> bytes:
        self.new_list({HUB})
        command, nonce = self.show_something()
        payload = signed(SECOND, DOOR, command, nonce)
        assert self.arrive(payload, retained=False) == Refuse("bad_signature")
        self.forgotten.add(command)  # the thief's own: the hub never signs for it
        return b""

    @rule(target=commands)
    def ask_and_sign(self) -> bytes:
        return self.sign(self.ask())

    @rule()
    def undisturbed(self) -> None:
        """A door that never opens keeps every promise; this one must open."""
        command = self.new_command()
        challenge = self.give(command)
        payload = self.hub_signs(command, challenge.nonce, "pulse")
        assert isinstance(self.arrive(payload, retained=False), Act)

    # -- the network -----

    @rule(payload=commands.filter(bool))
    def deliver(self, payload: bytes) -> None:
        self.arrive(payload, retained=False)

    @rule(payload=commands.filter(bool))
    def deliver_as_retained(self, payload: bytes) -> None:
        assert self.arrive(payload, retained=True) == Refuse("retained")

    @rule(payload=commands.filter(bool), seconds=st.sampled_from([4.999, 5.001, 8.0, 3600.0]))
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
        payload = signed(self.may_sign(), OTHER, challenge.command, challenge.nonce)
        assert self.arrive(payload, retained=False) == Refuse("other_door")
        return payload

    @rule(seconds=st.floats(0, 20))
    def answer_to_the_first_of_two_challenges(self, seconds: float) -> None:
        """The request is held back, the hub signs the nonce that it got first."""
        challenge = self.ask()
        self.now += seconds
        self.ask_again(challenge)
        if payload := self.sign(challenge):
            self.arrive(payload, retained=False)

    @rule(payload=commands.filter(bool), place=st.integers(0, 200))
    def change_a_byte(self, payload: bytes, place: int) -> None:
        message = Signed.model_validate_json(payload)
        content = bytearray(message.content)
        content[place % len(content)] ^= 1
        changed = Signed.carrying(bytes(content), message.signature, message.key).encoded()
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

    @rule()
    def hub_with_its_disk_rolled_back(self) -> None:
        """What is signed is in the air for ever; what is not is never signed."""
        self.forgotten |= {f"c{number}" for number in range(1, self.count + 1)} - set(self.signed_for)

    # -- what must hold -----

    @invariant()
    def i3_one_command_is_at_most_one_action(self) -> None:
        commands = [command for command, _, _ in self.pulses]
        nonces = [nonce for _, nonce, _ in self.pulses]
        assert len(commands) == len(set(commands))
        assert len(nonces) == len(set(nonces))

    @invariant()
    def i4_nothing_is_late(self) -> None:
        for _, nonce, at in self.pulses:
            assert 0 <= at - self.given_at[nonce] <= COMMAND_SECONDS

    @invariant()
    def what_was_done_is_never_called_refused(self) -> None:
        done = {command for command, result in self.answers if result == "done"}
        assert not done & {command for command, result in self.answers if result == "refused"}


TestDoorProtocol = DoorProtocol.TestCase
TestDoorProtocol.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
