"""Lists, braces, logical lines, macros, services, addresses: the grammar of Postfix's files."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.postfix.endpoint import Endpoint
from gatepost.postfix.expand import expand
from gatepost.postfix.instance import Instance, Service
from gatepost.postfix.text import logical_lines, words

PARAMETERS = {
    "a": "A", "empty": "", "chain": "x${a}y", "loop": "<$loop>", "one": "$two", "two": "$one", "level": "3.6",
    "bomb": "$b1 $b1", "b1": "$b2 $b2 $b2", "b2": "$b3 $b3 $b3", "b3": "$b4 $b4 $b4", "b4": "$bomb",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"), ("", ""), ("$a", "A"), ("${a}", "A"), ("$(a)", "A"), ("$a$a/$a.b", "AA/A.b"),
        ("$chain", "xAy"), ("$$a", "$a"), ("5$", "5$"), ("$-", "$-"), ("$unknown.", "."),
        ("${a?yes}", "yes"), ("${empty?yes}", ""), ("${a:no}", ""), ("${empty:no}", "no"),
        ("${a?{yes}:{no}}", "yes"), ("${empty?{yes}:{no}}", "no"), ("${a?$a-$chain}", "A-xAy"),
        ("${empty ? {yes} : {$a}}", "A"),
        ("${{$level} <level {3.6} ? {no} : {yes}}", "yes"), ("${{$level} <level {3.10} ? {no} : {yes}}", "no"),
        ("${{$level} >=level {1} ? {new}}", "new"), ("${{2} <level {10} ? {less} : {more}}", "less"),
        ("${{$a} == {A} ? {same} : {other}}", "same"), ("${{$a} != {A} ? {other}}", ""),
        ("${{9} < {10} ? {as numbers} : {as text}}", "as numbers"), ("${{b} < {c} ? {as text}}", "as text"),
        ("${a", "A"), ("${a?{yes", "yes"), ("${", ""), ("${{", ""), ("${{x} ~ {y} ? {z}}", ""),
    ],
)  # fmt: skip
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, lambda name: PARAMETERS.get(name, "")) == expanded


@pytest.mark.parametrize("text", ["$loop", "$one", "$bomb"])
def test_what_refers_to_itself_ends(text: str) -> None:
    assert len(expand(text, lambda name: PARAMETERS.get(name, ""))) < 100_000


@settings(max_examples=200)
@given(st.text(alphabet="${}()?:=<!a 1\\lev"), st.text(alphabet="${}?:ab1 "))
def test_any_text_expands(text: str, value: str) -> None:
    assert isinstance(expand(text, lambda name: value), str)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []), ("a", ["a"]), ("a,b c\td", ["a", "b", "c", "d"]), (" , a ,, b ", ["a", "b"]),
        ("{ a, b } c", ["{ a, b }", "c"]), ("x={a b} y", ["x={a b}", "y"]), ("{a {b c} d},e", ["{a {b c} d}", "e"]),
        ("{a, b", ["{a, b"]),
    ],
)  # fmt: skip
def test_words(text: str, parts: list[str]) -> None:
    assert words(text) == parts


def test_logical_lines() -> None:
    text = "# no\na = b\n   c\n\n# not this\n\td\n  # nor this\ne = f"
    assert list(logical_lines(text)) == ["a = b c d", "e = f"]


@pytest.mark.parametrize(
    ("line", "options", "arguments"),
    [
        ("smtpd", {}, ()),
        ("/usr/lib/postfix/sbin/smtpd -v", {}, ()),
        ("smtpd -o a=b -v -o c=", {"a": "b", "c": ""}, ()),
        ("smtpd -oa=b -o { c = d, e f } -o {g=h}", {"a": "b", "c": "d, e f", "g": "h"}, ()),
        ("smtpd -o a=b=c -o a=d", {"a": "d"}, ()),
        ("smtpd -o", {}, ()),
        ("spawn user=x argv=/bin/y -o no=option", {}, ("user=x", "argv=/bin/y", "-o", "no=option")),
    ],
)
def test_services(line: str, options: dict[str, str], arguments: tuple[str, ...]) -> None:
    service = Service.parse(f"127.0.0.1:25 inet n - y - - {line}")
    assert service is not None
    assert (service.command, service.chroot, service.port) == (line.split()[0].rpartition("/")[2], "y", "25")
    assert service.options == options
    assert service.arguments == arguments


def test_half_a_service_is_none() -> None:
    assert Instance.parse("", "smtp inet n - y\n", "").services == ()


def test_a_service_goes_before_main_and_main_before_defaults() -> None:
    master = "smtp inet n - n - - smtpd -o mine=service -o uses=$other\ntwo inet n - n - - smtpd\n"
    instance = Instance.parse(
        "mine = main\nother = $mine", master, "mine = default\nelse = ${mine}\nuses = d"
    )
    first, second = instance.services
    assert [instance.value("mine", each) for each in (first, second, None)] == ["service", "main", "main"]
    assert instance.value("uses", first) == "service"
    assert instance.value("else", second) == "main"
    assert instance.value("nowhere") == ""


@pytest.mark.parametrize(
    ("chroot", "level", "chrooted"),
    [
        ("y", "3.6", True),
        ("n", "0", False),
        ("-", "3.6", False),
        ("-", "2", False),
        ("-", "0", True),
        ("-", "", True),
    ],
)
def test_chroot(chroot: str, level: str, chrooted: bool) -> None:
    instance = Instance.parse(f"compatibility_level = {level}", f"smtp inet n - {chroot} - - smtpd", "")
    assert instance.chrooted(instance.services[0]) is chrooted


@pytest.mark.parametrize(
    ("text", "seconds"), [("100s", 100), ("5m", 300), ("7", 7), ("1h", 3600), ("", None), ("soon", None)]
)
def test_times(text: str, seconds: float | None) -> None:
    assert Instance({}, {}, ()).seconds(text) == seconds


@pytest.mark.parametrize(
    ("word", "chroot", "place", "options"),
    [
        ("inet:127.0.0.1:8891", "n", "127.0.0.1 8891 ", {}),
        ("inet:[::1]:8891", "n", "::1 8891 ", {}),
        ("INET:LocalHost:8891", "n", "localhost 8891 ", {}),
        ("inet:host:milter", "n", "host 0 ", {}),
        ("unix:private/x", "n", " 0 /queue/private/x", {}),
        ("unix:private/x", "y", " 0 /queue/private/x", {}),
        ("unix:/run/x", "n", " 0 /run/x", {}),
        ("unix:/var/run/x", "n", " 0 /run/x", {}),
        ("unix:/run/x", "y", " 0 /queue/run/x", {}),
        ("local:/run//x", "n", " 0 /run/x", {}),
        ("{ inet:127.0.0.1:1, timeout=3s, default_action = x }", "n", "127.0.0.1 1 ", {"timeout": "3s"}),
        ("{ unix:x, { default_action = 451 4.3.5 No } }", "n", " 0 /queue/x", {"default_action": "451 4.3.5 No"}),
    ],
)  # fmt: skip
def test_endpoints(word: str, chroot: str, place: str, options: dict[str, str]) -> None:
    instance = Instance.parse("queue_directory = /queue", f"smtp inet n - {chroot} - - smtpd", "")
    endpoint = Endpoint.parse(word, instance, instance.services[0])
    assert f"{endpoint.host} {endpoint.port} {endpoint.path}" == place
    assert {name: endpoint.options[name] for name in options} == options
    assert endpoint.fault == ""


@pytest.mark.parametrize(
    ("word", "better"),
    [
        ("inet:8891@127.0.0.1", "inet:127.0.0.1:8891"), ("inet:8891@::1", "inet:[::1]:8891"),
        ("inet6:8891", "inet:[::1]:8891"), ("inet6:[::1]:8891", "inet:[::1]:8891"),
        ("127.0.0.1:8891", "inet:127.0.0.1:8891"), ("", "inet:"),
    ],
)  # fmt: skip
def test_addresses_that_postfix_cannot_read(word: str, better: str) -> None:
    instance = Instance.parse("", "smtp inet n - n - - smtpd", "")
    endpoint = Endpoint.parse(word, instance, instance.services[0])
    assert endpoint.fault
    assert endpoint.better == better


@settings(max_examples=200)
@given(st.text(), st.text())
def test_any_text_is_read(main: str, master: str) -> None:
    instance = Instance.parse(main, master, "")
    for service in instance.services:
        for word in instance.items("smtpd_milters", service):
            Endpoint.parse(word, instance, service)
