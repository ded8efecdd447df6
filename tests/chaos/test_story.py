"""The table at the end: what was done to whom, and what came of it."""

from __future__ import annotations

from tests.chaos.story import Story, Teller, table


def row(text: str, name: str) -> list[str]:
    [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return line.removeprefix(name).split()


def test_each_driver_has_a_column_and_what_both_stand_on_is_counted_once() -> None:
    story = Story()
    fake, real = Teller(story, "fake"), Teller(story, "libvirt")
    fake.happens("kill agent")
    for _ in range(2):
        real.happens("kill agent")
    Teller(story, "").happens("kill broker")
    real.count("requests", 15)
    fake.started(1.0)
    fake.started(2.5)
    text = table(story, ["fake", "libvirt"])
    assert row(text, "kill agent") == ["1", "2"]
    assert row(text, "kill broker") == ["1"]
    assert row(text, "requests") == ["0", "15"]
    assert row(text, "recoveries, slowest") == ["2.5", "s", "0.0", "s"]


def test_a_line_of_the_story_says_whom_it_is_about() -> None:
    story = Story()
    Teller(story, "fake").tell("agent: ready again")
    assert story.lines[0].endswith("  fake: agent: ready again")
